-- Weight and height of patients from outside their exams: worklist, HL7 messages, files. Only
-- ever added to; what fills a gap of an exam is worked out from here each time its parts are made.
CREATE TABLE patient_size (
    size_id VARCHAR NOT NULL,              -- hash of the measurement: told twice, kept once
    patient_key VARCHAR NOT NULL,
    measured_at TIMESTAMP NOT NULL,        -- local time of the site
    weight_kg DOUBLE,
    height_cm DOUBLE,
    source VARCHAR NOT NULL,               -- worklist, hl7, manual
    received_at TIMESTAMP WITH TIME ZONE NOT NULL
);
