-- Exams known only from an export of another dose system.
ALTER TABLE part ADD COLUMN is_history BOOLEAN;

-- One row a reading that came from such an export, with what tells whether DICOM has the exam.
CREATE TABLE history (
    study_uid VARCHAR NOT NULL,
    part_key VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    import_uid VARCHAR NOT NULL,          -- of the file under its mapping
    row_number BIGINT NOT NULL,           -- the exam's first row in the file
    family VARCHAR NOT NULL,              -- modality class, where one exam may be called by two
    started_at TIMESTAMP,
    has_time BOOLEAN NOT NULL,            -- false where the export gives the date only
    station VARCHAR,                      -- station name in upper case
    patient_key VARCHAR,                  -- None where no ID joins exams
    dose DOUBLE,                          -- DLP, KAP, glandular dose or activity of the exam
    age_y DOUBLE,
    sex VARCHAR
);
