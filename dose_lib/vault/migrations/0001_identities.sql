-- What an object said of a patient, an exam, a member of staff: each content is kept once,
-- under a hash of itself. Lists and codes are JSON. A column `*_no` holds the first 64 bits of
-- the key beside it: narrow enough to be searched whole in a millisecond, where the texts of
-- ten years take fifty; the key itself is always compared as well.
CREATE TABLE patient (
    patient_no UBIGINT NOT NULL,
    patient_key VARCHAR NOT NULL,
    version UBIGINT NOT NULL,
    patient_id VARCHAR,
    patient_id_issuer VARCHAR,
    other_patient_ids VARCHAR,
    patient_name VARCHAR,
    birth_date VARCHAR,
    patient_comments VARCHAR
);

CREATE TABLE exam (
    part_no UBIGINT NOT NULL,
    part_key VARCHAR NOT NULL,
    version UBIGINT NOT NULL,
    accession_number VARCHAR,
    accession_issuer VARCHAR,
    grouped_accession_numbers VARCHAR,
    study_id VARCHAR,
    requested_procedure_id VARCHAR,
    scheduled_step_id VARCHAR,
    performed_step_id VARCHAR,
    admission_id VARCHAR,
    patient_location VARCHAR,
    placer_order_number VARCHAR,
    filler_order_number VARCHAR,
    prescription_id VARCHAR,
    dispense_unit_id VARCHAR,
    calibration_responsible VARCHAR,
    unkeyed_staff VARCHAR,
    texts VARCHAR
);

CREATE TABLE staff (
    staff_no UBIGINT NOT NULL,
    staff_key VARCHAR NOT NULL,
    version UBIGINT NOT NULL,
    staff_name VARCHAR,
    staff_id VARCHAR,
    staff_id_issuer VARCHAR,
    staff_login VARCHAR,
    staff_organization VARCHAR,
    staff_role_in_organization VARCHAR
);

-- Which object said it, of which part, received and happened when. Everything above lives as
-- long as one of these rows names it: erasure and expiry remove rows here, the rest follows.
CREATE TABLE sighting (
    object_no UBIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    part_no UBIGINT NOT NULL,
    part_key VARCHAR NOT NULL,
    exam_version UBIGINT NOT NULL,
    patient_no UBIGINT NOT NULL,
    patient_key VARCHAR NOT NULL,
    patient_version UBIGINT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE
);

CREATE TABLE presence (
    object_no UBIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    staff_no UBIGINT NOT NULL,
    staff_key VARCHAR NOT NULL,
    staff_version UBIGINT NOT NULL,
    staff_role_in_procedure VARCHAR,
    staff_where VARCHAR,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE
);

-- Merges, erasures, expiries; only ever appended.
CREATE TABLE decision (
    decision_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    payload VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL
);

-- Every look-up and every change asked for, refused ones too; only ever appended. `chain` is
-- a keyed hash over the row and the row before.
CREATE TABLE audit (
    n BIGINT NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    person VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    os_user VARCHAR NOT NULL,
    pid BIGINT NOT NULL,
    action VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    chain VARCHAR NOT NULL
);

-- Values that the vault needs and that live as long as it: the audit's key, open work.
CREATE TABLE memo (
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);
