-- Which readings count: an object that was corrected, moved to another study or rejected stays
-- as it was read, and counts no more. The keys are the first 64 bits of a SHA-256. Rows of before
-- are filled by the owner (`dose_lib.store.marking`).
ALTER TABLE reading ADD COLUMN sop_key UBIGINT;        -- of the SOP Instance UID
ALTER TABLE reading ADD COLUMN exposures_key UBIGINT;  -- of UIDs and starts of its events
ALTER TABLE reading ADD COLUMN content_at TIMESTAMP;   -- when the object says it was made
ALTER TABLE reading ADD COLUMN started_at TIMESTAMP;   -- of the exam, as this object says it
ALTER TABLE reading ADD COLUMN patient_key VARCHAR;    -- as this object says it

-- One row an object that a rejection note names (IHE IOCM).
CREATE TABLE rejection (
    receipt_id VARCHAR NOT NULL,           -- of the note
    code VARCHAR NOT NULL,                 -- 113001, 113037, 113038, 113039 (DCM)
    sop_instance_uid VARCHAR NOT NULL,     -- of the rejected object
    sop_key UBIGINT NOT NULL,
    study_uids VARCHAR[] NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL
);

ALTER TABLE object ADD COLUMN patient_key VARCHAR;     -- of objects without parts: erased with them

-- Received objects whose bytes are to be removed, because they tell of someone who was erased;
-- a row goes when its file has gone (`pipelines.keeping`).
CREATE TABLE raw_removal (
    sha256 VARCHAR NOT NULL,
    keeps_doses BOOLEAN NOT NULL           -- false: nothing of it may stay
);
