-- What normalising adds: why a part has its name, contrast, projections, and what we computed.
ALTER TABLE part ADD COLUMN procedure_rule VARCHAR;
ALTER TABLE part ADD COLUMN procedure_confidence DOUBLE;
ALTER TABLE part ADD COLUMN procedure_evidence VARCHAR;
ALTER TABLE part ADD COLUMN contrast VARCHAR;
-- Copies of what `derived` holds with formula, version and inputs, for fast queries.
ALTER TABLE part ADD COLUMN size_method VARCHAR;
ALTER TABLE part ADD COLUMN derived_water_equivalent_diameter_mm DOUBLE;
ALTER TABLE part ADD COLUMN derived_ssde_max_mgy DOUBLE;
ALTER TABLE part ADD COLUMN derived_ssde_mean_mgy DOUBLE;
ALTER TABLE part ADD COLUMN derived_effective_dose_msv DOUBLE;
ALTER TABLE event ADD COLUMN projection VARCHAR;

-- Names a part had before a decision changed them; only ever appended, so that the answer to a
-- question of last year can be given again.
CREATE TABLE former_name (
    part_key VARCHAR NOT NULL,
    procedure_name VARCHAR,
    body_region VARCHAR,
    contrast VARCHAR,
    until TIMESTAMP WITH TIME ZONE NOT NULL
);

-- Which decisions about names the stored parts have been made to obey.
CREATE TABLE applied_decision (
    decision_id VARCHAR NOT NULL,
    n_parts BIGINT NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL
);

-- One row a device key: the physical unit it belongs to. A unit changes its observer UID with
-- its software, and sends reports with one and images without; maker, model and serial stay.
CREATE TABLE device_unit (
    device_key VARCHAR NOT NULL,
    unit_key VARCHAR NOT NULL,
    manufacturer VARCHAR,
    model VARCHAR,
    serial_number VARCHAR
);
