-- Which exposures and administrations a reading tells of, one key each: a study that was moved
-- and got further exposures is known by those it had. None where one of them has no UID.
-- Rows of before are filled by the owner (`dose_lib.store.marking`).
ALTER TABLE reading ADD COLUMN exposures UBIGINT[];
