"""CT radiation dose (PS3.16 TID 10011 to 10015): records to content items."""

from __future__ import annotations

from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Device,
    DoseCheck,
    Identity,
    Part,
    Phantom,
)
from dose_lib.simulate.writer.codes import dcm, sct, yes_no
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.people import (
    ADMINISTERING,
    AUTHORIZING,
    irradiating_device,
    observer,
    person,
    persons,
)
from dose_lib.simulate.writer.private import toshiba_body_parameters
from dose_lib.simulate.writer.tree import (
    INFERRED,
    MOD,
    OBS,
    PROP,
    Item,
    Items,
    coded,
    container,
    moment,
    number,
    text,
    uid,
)

ACQUISITION_TYPES = {
    CtAcquisitionType.SEQUENCED: dcm("113804"),
    CtAcquisitionType.SPIRAL: sct("116152004"),
    CtAcquisitionType.CONSTANT_ANGLE: dcm("113805"),
    CtAcquisitionType.STATIONARY: dcm("113806"),
    CtAcquisitionType.FREE: dcm("113807"),
    CtAcquisitionType.CONE_BEAM: sct("702569007"),
}
PHANTOMS = {
    Phantom.HEAD_16CM: dcm("113690"),
    Phantom.BODY_32CM: dcm("113691"),
    Phantom.SMALL_10CM: dcm("130541"),
    Phantom.NEMA_XR21: dcm("113692"),
}
SCOPE_UIDS = {"113014": "110180", "113016": "121126", "113015": "112002", "113852": "113769"}
_METHOD = sct("370129005")


def ct_items(part: Part, identity: Identity, dialect: Dialect) -> Items:
    """Content of the root container (TID 10011)."""
    events = [e for e in part.events if isinstance(e, CtEvent) and is_written(e, dialect)]
    authorizing = persons(identity, AUTHORIZING) if dialect.participants else ()
    return (
        *coded("121049", part.language, relation=MOD),
        *procedure_reported(part, sct("77477000")),
        *observer(part.device),
        *moment("113809", part.started_at, OBS),
        *moment("113810", part.ended_at, OBS),
        *scope(part),
        _accumulated(part, len(events)),
        *(_event(e, part.device, identity, dialect) for e in events),
        *text("121106", part.comment),
        *(i for code in part.source_of_dose for i in coded("113854", code)),
        *authorizing,
        *((toshiba_body_parameters(len(events) * 120),) if dialect.private == "toshiba" else ()),
    )


def is_written(event: CtEvent, dialect: Dialect) -> bool:
    """False for localisers of makers that report none."""
    return dialect.localisers != "none" or not _is_localiser(event)


def _is_localiser(event: CtEvent) -> bool:
    return event.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE


def procedure_reported(part: Part, default: Code) -> Items:
    """Procedure reported and its intent (rows 2 and 3 of both root templates)."""
    intent = coded(sct("363703001"), part.intent, relation=MOD)
    return coded("121058", part.procedure_reported or default, *intent, relation=MOD)


def scope(part: Part) -> Items:
    """Scope of accumulation and its UID."""
    code = part.scope_of_accumulation
    if code is None:
        return ()
    concept = SCOPE_UIDS.get(code.value or "", "110180")
    return coded("113705", code, *uid(concept, part.scope_uid, PROP), relation=OBS)


def _accumulated(part: Part, n_events: int) -> Item:
    totals = part.totals
    stated = {n for n in ("dlp_total_mgy_cm", "n_events") if n not in totals.derived}
    phantoms = (
        (totals.dlp_16cm_mgy_cm, "dlp_16cm_mgy_cm", Phantom.HEAD_16CM),
        (totals.dlp_32cm_mgy_cm, "dlp_32cm_mgy_cm", Phantom.BODY_32CM),
        (totals.dlp_10cm_mgy_cm, "dlp_10cm_mgy_cm", Phantom.SMALL_10CM),
    )
    subtotals = (
        number("130745", dlp, "mGy.cm", *coded("113835", PHANTOMS[phantom], relation=PROP))
        for dlp, name, phantom in phantoms
        if name not in totals.derived
    )
    count = totals.n_events if totals.n_events is not None else n_events
    return container(
        "113811",
        (
            *number("113812", count, "{events}"),
            *number(
                "113813",
                totals.dlp_total_mgy_cm if "dlp_total_mgy_cm" in stated else None,
                "mGy.cm",
            ),
            *(i for items in subtotals for i in items),
            *number(
                "113814",
                totals.effective_dose_msv,
                "mSv",
                *coded("121406", totals.effective_dose_reference_authority, relation=PROP),
                *coded(_METHOD, totals.effective_dose_method, relation=PROP),
                *text("113815", totals.effective_dose_patient_model, relation=PROP),
            ),
        ),
    )


def _event(event: CtEvent, device: Device, identity: Identity, dialect: Dialect) -> Item:
    has_dose = not (_is_localiser(event) and dialect.localisers == "no dose")
    participants: Items = ()
    if dialect.participants:
        operators = persons(identity, ADMINISTERING)
        participants = (*operators, *irradiating_device(device))
    label = coded("113606", event.label_type, relation=MOD)
    algorithms = (coded("113961", a, relation=PROP) for a in event.reconstruction_algorithm)
    kind = event.acquisition_type
    return container(
        "113819",
        (
            *text("125203", event.acquisition_protocol),
            *coded("123014", event.target_region),
            *coded(
                "113820",
                ACQUISITION_TYPES[kind] if kind else None,
                *(i for items in algorithms for i in items),
            ),
            *coded(sct("408730004"), event.procedure_context),
            *uid("113769", event.event_uid),
            *text("113605", event.label, *label),
            *_repeats(event),
            *moment("111526", event.started_at),
            container("113822", _parameters(event)),
            *((container("113829", _dose(event, identity)),) if has_dose else ()),
            *text("113842", event.modulation_type),
            *text("121106", event.comment),
            *participants,
        ),
    )


def _repeats(event: CtEvent) -> Items:
    return (
        *coded(
            "128551",
            None if event.is_repeated is None else yes_no(event.is_repeated),
            *coded("128552", event.repeat_reason, relation=MOD),
            *uid("113769", event.repeat_of_event_uid, PROP),
        ),
        *coded(
            "130503",
            None if event.is_rejected is None else yes_no(event.is_rejected),
            *coded("130504", event.reject_reason, relation=MOD),
        ),
    )


def _parameters(event: CtEvent) -> Items:
    return (
        *number("113824", event.exposure_time_s, "s"),
        *number("113825", event.scanning_length_mm, "mm"),
        *number("113893", event.reconstructable_length_mm, "mm"),
        *number("113899", event.exposed_range_mm, "mm"),
        *number("113895", event.reconstructable_top_z_mm, "mm"),
        *number("113896", event.reconstructable_bottom_z_mm, "mm"),
        *number("113897", event.scan_top_z_mm, "mm"),
        *number("113898", event.scan_bottom_z_mm, "mm"),
        *uid("112227", event.frame_of_reference_uid),
        *number("113826", event.nominal_single_collimation_mm, "mm"),
        *number("113827", event.nominal_total_collimation_mm, "mm"),
        *number("113828", event.pitch, "{ratio}"),
        *number("113823", event.n_sources, "{X-Ray sources}"),
        *(container("113831", _source(s)) for s in event.sources),
    )


def _source(source: CtSource) -> Items:
    return (
        *text("113832", source.source_id),
        *number("113733", source.kvp_kv, "kV"),
        *number("113833", source.max_tube_current_ma, "mA"),
        *number("113734", source.tube_current_ma, "mA"),
        *number("113834", source.rotation_time_s, "s"),
        *number("113821", source.filter_al_equivalent_mm, "mm"),
    )


def _dose(event: CtEvent, identity: Identity) -> Items:
    method = number(
        "113840",
        event.effective_dose_factor_msv_per_mgy_cm,
        "mSv/mGy.cm",
    )
    return (
        *number("113830", event.ctdi_vol_mgy, "mGy"),
        *coded("113835", PHANTOMS[event.phantom] if event.phantom else None),
        *number("113836", event.ctdi_free_air_factor_mgy_per_mas, "mGy/mA.s"),
        *number("113837", event.ctdi_free_air_mgy, "mGy"),
        *number("113838", event.dlp_mgy_cm, "mGy.cm"),
        *number(
            "113839",
            event.effective_dose_msv,
            "mSv",
            *coded(_METHOD, event.effective_dose_method, *method, relation=PROP),
        ),
        *_ssde(event),
        *(_dose_check(event.dose_check, identity) if event.dose_check else ()),
    )


def _ssde(event: CtEvent) -> Items:
    """Rows 30 to 34h: the estimate and what it was inferred from."""
    diameter = number(
        "113980",
        event.water_equivalent_diameter_mm,
        "mm",
        *coded(_METHOD, event.water_equivalent_diameter_method, relation=MOD),
        *number("113994", event.water_equivalent_diameter_z_mm, "mm", relation=INFERRED),
        relation=INFERRED,
    )
    at_z = (
        number(
            "113993",
            z.ssde_mgy,
            "mGy",
            *number("113994", z.z_mm, "mm", relation=INFERRED),
            *number("113995", z.water_equivalent_diameter_mm, "mm", relation=INFERRED),
            relation=INFERRED,
        )
        for z in event.ssde_at_z
    )
    coefficients = (number("113991", c, "mm", relation=INFERRED) for c in event.dw_coefficients)
    main = number(
        "113930",
        event.ssde_mgy,
        "mGy",
        *coded(_METHOD, event.ssde_method, relation=MOD),
        *number("113931", event.lateral_mm, "mm", relation=INFERRED),
        *number("113932", event.ap_mm, "mm", relation=INFERRED),
        *number("113933", event.effective_diameter_mm, "mm", relation=INFERRED),
        *(i for items in coefficients for i in items),
        *(i for u in event.ssde_source_uids for i in uid("113985", u, INFERRED)),
        *diameter,
        *(i for items in at_z for i in items),
    )
    others = (
        number("113930", a.ssde_mgy, "mGy", *coded(_METHOD, a.ssde_method, relation=MOD))
        for a in event.ssde_alternatives
    )
    return (*main, *(i for items in others for i in items))


def _configured(flag: bool | None) -> Code | None:
    return None if flag is None else yes_no(flag)


def _dose_check(check: DoseCheck, identity: Identity) -> Items:
    """Alert and notification (TID 10015), with the person who went on."""
    who = {s.staff_key: s for s in identity.staff}
    alert_by = who.get(check.alert_operator_key) if check.alert_operator_key else None
    told = who.get(check.notification_operator_key) if check.notification_operator_key else None
    behaviour = _configured(check.is_alternative_alert_behaviour)
    alert = (
        *coded("113901", _configured(check.alert_dlp_configured)),
        *coded("113902", _configured(check.alert_ctdi_vol_configured)),
        *number("113903", check.alert_dlp_mgy_cm, "mGy.cm"),
        *number("113904", check.alert_ctdi_vol_mgy, "mGy"),
        *number("113905", check.alert_dlp_forward_mgy_cm, "mGy.cm"),
        *number("113906", check.alert_ctdi_vol_forward_mgy, "mGy"),
        *text("113907", check.alert_reason),
        *((person(alert_by, AUTHORIZING),) if alert_by else ()),
        *coded("113915", behaviour),
    )
    notification = (
        *coded("113909", _configured(check.notification_dlp_configured)),
        *coded("113910", _configured(check.notification_ctdi_vol_configured)),
        *number("113911", check.notification_dlp_mgy_cm, "mGy.cm"),
        *number("113912", check.notification_ctdi_vol_mgy, "mGy"),
        *number("113913", check.notification_dlp_forward_mgy_cm, "mGy.cm"),
        *number("113914", check.notification_ctdi_vol_forward_mgy, "mGy"),
        *text("113907", check.notification_reason),
        *((person(told, AUTHORIZING),) if told else ()),
    )
    return (
        *((container("113900", alert),) if alert else ()),
        *((container("113908", notification),) if notification else ()),
    )
