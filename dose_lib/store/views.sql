-- What everyone queries. Made anew whenever this text changes; nothing here holds data.
-- The latest decision of a kind and subject holds; ties in time are broken by the id, so that
-- a rebuild shows the same.

CREATE OR REPLACE VIEW decisions AS
SELECT decision_id, kind, subject, payload, author, decided_at
FROM decision;

CREATE OR REPLACE VIEW latest_decisions AS
SELECT
    kind,
    subject,
    arg_max(payload, (decided_at, decision_id)) AS payload,
    arg_max(author, (decided_at, decision_id)) AS author,
    max(decided_at) AS decided_at
FROM decision
GROUP BY kind, subject;

-- Names the site gave to devices by a decision; they win over devices.toml and the header.
CREATE OR REPLACE VIEW named_devices AS
SELECT
    subject AS device_key,
    payload->>'display_name' AS display_name,
    payload->>'site' AS site,
    payload->>'room' AS room
FROM latest_decisions
WHERE kind = 'device_name';

CREATE OR REPLACE VIEW operator_codes AS
SELECT subject AS operator_key, payload->>'code' AS code
FROM latest_decisions
WHERE kind = 'operator_code';

CREATE OR REPLACE VIEW studies AS
SELECT
    p.part_key,
    p.study_uid,
    p.modality,
    p.started_at,
    p.started_at_utc,
    p.ended_at,
    p.tz_source,
    p.is_ambiguous_hour,
    p.study_description,
    p.procedure_name,
    p.procedure_rule,
    p.procedure_confidence,
    p.procedure_evidence,
    p.contrast,
    p.body_region,
    p.is_body_region_inferred,
    p.procedure_code,
    p.requested_procedure,
    p.performed_procedure_step_description,
    p.protocol_names,
    p.intent,
    p.indication,
    p.is_patient,
    p.not_patient_reason,
    p.is_history,
    p.mg_mode,
    p.operator_keys,
    CASE
        WHEN (SELECT max(value) FROM site_setting WHERE name = 'show_operators') = 'none' THEN NULL
        ELSE coalesce(o.code, 'Operator ' || left(p.operator_keys[1], 6))
    END AS operator,
    p.physician_keys,
    p.requester_key,
    p.device_key,
    coalesce(
        d.display_name,
        p.display_name,
        p.station_name,
        nullif(concat_ws(' ', p.manufacturer, p.model), '')
    ) AS device,
    p.manufacturer,
    p.model,
    p.serial_number,
    p.station_name,
    p.station_ae_title,
    p.software_versions,
    coalesce(d.site, p.site) AS site,
    coalesce(d.room, p.room) AS room,
    coalesce(a.surviving_key, p.patient_key) AS patient_key,
    p.is_linked,
    p.age_y,
    p.sex,
    p.weight_kg,
    p.height_cm,
    p.bmi_kg_per_m2,
    p.size_source,
    p.size_measured_at,
    p.size_method,
    p.derived_water_equivalent_diameter_mm,
    p.derived_ssde_max_mgy,
    p.derived_ssde_mean_mgy,
    p.derived_effective_dose_msv,
    p.n_events,
    p.n_administrations,
    p.n_localiser_events,
    p.n_spiral_events,
    p.n_sequenced_events,
    p.n_stationary_events,
    p.n_fluoro_events,
    p.n_acquisition_events,
    p.dlp_total_mgy_cm,
    p.dlp_16cm_mgy_cm,
    p.dlp_32cm_mgy_cm,
    p.dlp_10cm_mgy_cm,
    p.dlp_unknown_phantom_mgy_cm,
    p.ctdi_vol_16cm_max_mgy,
    p.ctdi_vol_32cm_max_mgy,
    p.ssde_max_mgy,
    p.effective_dose_msv,
    p.effective_dose_reference_authority,
    p.effective_dose_method,
    p.effective_dose_patient_model,
    p.effective_dose_phantom,
    p.effective_dose_dosimeter,
    p.kap_gy_cm2,
    p.kap_fluoro_gy_cm2,
    p.kap_acquisition_gy_cm2,
    p.ka_r_mgy,
    p.ka_r_fluoro_mgy,
    p.ka_r_acquisition_mgy,
    p.ka_r_max_plane_mgy,
    p.fluoro_time_s,
    p.acquisition_time_s,
    p.n_exposures,
    p.n_frames,
    p.entrance_dose_mgy,
    p.entrance_dose_derivation,
    p.agd_left_mgy,
    p.agd_right_mgy,
    p.agd_both_mgy,
    p.totals_derived,
    p.derived,
    p.n_issues,
    p.received_at
FROM part AS p
LEFT JOIN named_devices AS d ON d.device_key = p.device_key
LEFT JOIN operator_codes AS o ON o.operator_key = p.operator_keys[1]
LEFT JOIN patient_alias AS a ON a.patient_key = p.patient_key;

-- Without a join to the exams: what is asked of them stands beside the event (migration 10).
CREATE OR REPLACE VIEW events AS
SELECT
    e.exam_study_uid AS study_uid,
    e.exam_modality AS modality,
    e.exam_started_at AS study_started_at,
    e.exam_device_key AS device_key,
    coalesce(d.display_name, e.exam_device) AS device,
    e.exam_procedure_name AS procedure_name,
    e.exam_body_region AS body_region,
    e.exam_age_y AS age_y,
    e.exam_sex AS sex,
    e.exam_weight_kg AS weight_kg,
    e.exam_is_patient AS is_patient,
    e.exam_is_history AS is_history,
    e.* EXCLUDE (
        exam_study_uid, exam_modality, exam_started_at, exam_device_key, exam_device,
        exam_procedure_name, exam_body_region, exam_age_y, exam_sex, exam_weight_kg,
        exam_is_patient, exam_is_history
    )
FROM event AS e
LEFT JOIN named_devices AS d ON d.device_key = e.exam_device_key;

CREATE OR REPLACE VIEW administrations AS
SELECT
    s.study_uid,
    s.modality,
    s.started_at AS study_started_at,
    s.device_key,
    s.device,
    s.procedure_name,
    s.body_region,
    s.age_y,
    s.sex,
    s.weight_kg,
    s.is_patient,
    s.is_history,
    a.*
FROM administration AS a
JOIN studies AS s USING (part_key);

CREATE OR REPLACE VIEW estimates AS
SELECT s.study_uid, s.modality, s.device_key, s.device, s.procedure_name, s.is_history, e.*
FROM estimate AS e
JOIN studies AS s USING (part_key);

CREATE OR REPLACE VIEW issues AS
SELECT
    s.study_uid,
    s.modality,
    s.started_at,
    s.device_key,
    s.device,
    s.procedure_name,
    s.is_history,
    i.*
FROM issue AS i
JOIN studies AS s USING (part_key);

CREATE OR REPLACE VIEW devices AS
SELECT
    device_key,
    arg_max(device, started_at) AS device,
    arg_max(site, started_at) AS site,
    arg_max(room, started_at) AS room,
    arg_max(manufacturer, started_at) AS manufacturer,
    arg_max(model, started_at) AS model,
    arg_max(serial_number, started_at) AS serial_number,
    arg_max(station_name, started_at) AS station_name,
    arg_max(software_versions, started_at) AS software_versions,
    list_sort(list(DISTINCT modality)) AS modalities,
    count(*) AS n_parts,
    min(started_at) AS first_started_at,
    max(started_at) AS last_started_at,
    max(received_at) AS last_received_at
FROM studies
WHERE device_key IS NOT NULL
GROUP BY device_key;

CREATE OR REPLACE VIEW objects AS
SELECT
    receipt_id,
    sha256,
    sop_instance_uid,
    sop_class,
    study_uid,
    size_bytes,
    received_at,
    route,
    caller,
    status,
    reason,
    part_keys,
    stored_at
FROM object;

CREATE OR REPLACE VIEW findings AS
SELECT
    f.finding_id,
    f.detector,
    f.rule_version,
    f.severity,
    f.part_key,
    f.device_key,
    coalesce(d.display_name, f.device) AS device,
    f.procedure_name,
    f.subject,
    f.title,
    f.summary,
    f.evidence,
    f.opened_at,
    f.occurred_at,
    coalesce(s.payload->>'state', 'open') AS state,
    s.author AS state_by,
    s.decided_at AS state_at,
    s.payload->>'note' AS state_note
FROM finding AS f
LEFT JOIN named_devices AS d ON d.device_key = f.device_key
LEFT JOIN latest_decisions AS s ON s.kind = 'finding_state' AND s.subject = f.finding_id;
