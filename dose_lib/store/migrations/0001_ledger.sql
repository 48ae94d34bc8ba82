-- What arrived and what became of it. One row of `object` is one receipt: the same bytes sent
-- twice are two receipts, the second a duplicate, so that every object sent is accounted for.
CREATE TABLE object (
    receipt_id VARCHAR NOT NULL,          -- hash of content, time, route and caller
    sha256 VARCHAR NOT NULL,
    sop_instance_uid VARCHAR,
    sop_class VARCHAR,
    study_uid VARCHAR,
    size_bytes BIGINT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    route VARCHAR NOT NULL,               -- c-store, folder, archive, ...
    caller VARCHAR,                       -- AE title or host that sent it
    status VARCHAR NOT NULL CHECK (status IN (
        'waiting', 'stored', 'superseded', 'duplicate', 'no_dose', 'quarantined', 'erased'
    )),
    reason VARCHAR,
    part_keys VARCHAR[] NOT NULL,
    stored_at TIMESTAMP WITH TIME ZONE NOT NULL
);

-- What each object said, once a distinct content: the input of every merge. `record` is the part
-- as read, JSON compressed by zlib. Dose tables can always be made again from these rows.
CREATE TABLE reading (
    study_uid VARCHAR NOT NULL,
    part_key VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    receipt_id VARCHAR NOT NULL,          -- the receipt that brought the content
    sop_instance_uid VARCHAR,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    record BLOB NOT NULL
);

-- Where each value of a merged part came from: JSON list of Provenance, compressed by zlib.
CREATE TABLE provenance (
    part_key VARCHAR NOT NULL,
    sop_instance_uid VARCHAR,             -- the object the values came from
    trace BLOB NOT NULL
);

-- Settings of the site that the views obey; written by the owner when it opens the store.
CREATE TABLE site_setting (
    name VARCHAR NOT NULL,
    value VARCHAR
);
