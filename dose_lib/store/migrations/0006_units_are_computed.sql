-- The unit of a device follows from what the object says (normalise.unit): no table is needed.
DROP TABLE device_unit;
