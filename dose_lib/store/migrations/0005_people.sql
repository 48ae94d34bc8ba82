-- Patient keys that merges made one (HL7 A40), worked out from the decisions of kind
-- patient_merge and patient_unmerge; views show the surviving key.
CREATE TABLE patient_alias (
    patient_key VARCHAR NOT NULL,
    surviving_key VARCHAR NOT NULL
);
