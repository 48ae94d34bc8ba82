-- What queries ask of an event's exam stands beside the event, so that no query over years of
-- events joins millions of rows by a text key. Written with the event, from the same part.
ALTER TABLE event ADD COLUMN exam_study_uid VARCHAR;
ALTER TABLE event ADD COLUMN exam_modality VARCHAR;
ALTER TABLE event ADD COLUMN exam_started_at TIMESTAMP;
ALTER TABLE event ADD COLUMN exam_device_key VARCHAR;
ALTER TABLE event ADD COLUMN exam_device VARCHAR;       -- as the part calls it; decisions come on top
ALTER TABLE event ADD COLUMN exam_procedure_name VARCHAR;
ALTER TABLE event ADD COLUMN exam_body_region VARCHAR;
ALTER TABLE event ADD COLUMN exam_age_y DOUBLE;
ALTER TABLE event ADD COLUMN exam_sex VARCHAR;
ALTER TABLE event ADD COLUMN exam_weight_kg DOUBLE;
ALTER TABLE event ADD COLUMN exam_is_patient BOOLEAN;
ALTER TABLE event ADD COLUMN exam_is_history BOOLEAN;

UPDATE event SET
    exam_study_uid = p.study_uid,
    exam_modality = p.modality,
    exam_started_at = p.started_at,
    exam_device_key = p.device_key,
    exam_device = coalesce(
        p.display_name,
        p.station_name,
        nullif(concat_ws(' ', p.manufacturer, p.model), '')
    ),
    exam_procedure_name = p.procedure_name,
    exam_body_region = p.body_region,
    exam_age_y = p.age_y,
    exam_sex = p.sex,
    exam_weight_kg = p.weight_kg,
    exam_is_patient = p.is_patient,
    exam_is_history = p.is_history
FROM part AS p
WHERE p.part_key = event.part_key;
