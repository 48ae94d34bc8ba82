-- What detectors opened. A finding is written once; people change its state by decisions.
CREATE TABLE finding (
    finding_id VARCHAR NOT NULL,
    detector VARCHAR NOT NULL,
    rule_version VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    summary VARCHAR NOT NULL,
    evidence JSON NOT NULL,
    part_key VARCHAR,
    device_key VARCHAR,
    device VARCHAR,
    procedure_name VARCHAR,
    occurred_at TIMESTAMP,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL
);

-- Every human decision, only ever appended; the latest of a kind and subject holds. Rebuild
-- applies them again.
CREATE TABLE decision (
    decision_id VARCHAR NOT NULL,         -- hash of the decision: handed in twice, kept once
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    payload JSON NOT NULL,
    author VARCHAR NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL
);
