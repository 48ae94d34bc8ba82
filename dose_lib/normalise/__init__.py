"""Records to records: names, places and times made comparable between devices and years.

`normalise_part(part, site)` is the one verb of this stage; `read_site(settings)` gives what
the site itself says. Nothing here opens a store; what is not clear stays None.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dose_lib.normalise.agreement import CODES as DISAGREEMENTS
from dose_lib.normalise.audience import Audience, AudienceReading, protocol_class
from dose_lib.normalise.catalogue import Procedure, catalogue, find_procedure, match_text
from dose_lib.normalise.clock import UtcTime, to_utc
from dose_lib.normalise.events import diagnostic_events, is_diagnostic
from dose_lib.normalise.learning import KnownName, Suggestion, suggest_names
from dose_lib.normalise.patient import not_patient_reason
from dose_lib.normalise.procedure import WAITING, Evidence, Naming, name_part
from dose_lib.normalise.projection import members, name_projection, projections
from dose_lib.normalise.regions import body_regions
from dose_lib.normalise.site import (
    LEARNED_BY,
    DeviceRule,
    LearnedName,
    SiteFacts,
    mapping_key,
    read_site,
    subject_key,
)
from dose_lib.normalise.texts import Wording, code_key, is_helper_name, text_key, wordings
from dose_lib.normalise.unit import unit_key, with_unit_key
from dose_lib.records import Device, Identity, Issue, Part, Severity, XRayEvent

__all__ = [
    "DISAGREEMENTS",
    "LEARNED_BY",
    "WAITING",
    "Audience",
    "AudienceReading",
    "DeviceRule",
    "Evidence",
    "KnownName",
    "LearnedName",
    "Naming",
    "Procedure",
    "SiteFacts",
    "Suggestion",
    "UtcTime",
    "Wording",
    "body_regions",
    "catalogue",
    "code_key",
    "diagnostic_events",
    "find_procedure",
    "is_diagnostic",
    "is_helper_name",
    "judge_patient",
    "mapping_key",
    "match_text",
    "members",
    "name_part",
    "name_projection",
    "normalise_part",
    "not_patient_reason",
    "place_device",
    "projections",
    "protocol_class",
    "read_site",
    "subject_key",
    "suggest_names",
    "text_key",
    "to_utc",
    "unit_key",
    "wordings",
]

_RULES = ("normalise.procedure", "normalise.clock")


def place_device(device: Device, site: SiteFacts) -> tuple[Device, str | None]:
    """The device with the site's name, site and room for it, and its time zone.

    The first rule that fits and says a field gives it; what no rule says stays as it was.
    """
    rules = [r for r in site.devices if r.fits(device)]

    def first(field: str) -> str | None:
        return next((v for r in rules if (v := getattr(r, field))), None)

    named = msgspec.structs.replace(
        device,
        display_name=first("display_name") or device.display_name,
        site=first("site") or device.site,
        room=first("room") or device.room,
    )
    return named, first("timezone")


def judge_patient(part: Part, site: SiteFacts, identity: Identity | None = None) -> Part:
    """A part with the verdict whether it is a patient's exam, and nothing else.

    The one step that needs an identity; done where the object is read, so that names of
    phantoms are recognised and none of it is kept.
    """
    reason = not_patient_reason(part, site, identity)
    # What an identity said before stays said when the part comes again without it.
    is_patient = reason is None and (identity is not None or part.is_patient is not False)
    return msgspec.structs.replace(
        part,
        is_patient=is_patient,
        not_patient_reason=None if is_patient else reason or part.not_patient_reason,
    )


def normalise_part(part: Part, site: SiteFacts, identity: Identity | None = None) -> Part:
    """A part with comparable names: procedure, region, device, room, UTC, patient or not.

    Parameters
    ----------
    part
        As read or merged. Running it again on its own result changes nothing.
    site
        What the site says; see `read_site`.
    identity
        Where given, names and IDs of phantoms are recognised too; nothing of it is kept.
    """
    part = judge_patient(part, site, identity)
    device, zone = place_device(with_unit_key(part.device, site), site)
    utc = to_utc(part.started_at, site.timezone, zone)
    naming = name_part(part, site)
    kept = tuple(i for i in part.issues if i.rule not in _RULES)
    return msgspec.structs.replace(
        part,
        device=device,
        started_at_utc=utc.at,
        tz_source=utc.source,
        is_ambiguous_hour=utc.is_ambiguous,
        procedure_name=naming.procedure_name,
        procedure_rule=_rule(naming),
        procedure_confidence=naming.confidence if naming.procedure_name else None,
        procedure_evidence=_evidence(naming),
        body_region=naming.body_region,
        is_body_region_inferred=naming.is_region_inferred,
        contrast=naming.contrast,
        events=tuple(_with_projection(e, part) for e in part.events),
        issues=(*kept, *naming.issues, *_clock_issues(utc)),
    )


def _rule(naming: Naming) -> str | None:
    if naming.proposal is not None:
        return WAITING
    return naming.evidence[0].rule if naming.evidence else None


def _evidence(naming: Naming) -> str | None:
    if not naming.evidence:
        return None
    said = naming.evidence[0].in_words()
    if naming.proposal is None:
        return said
    return f"perhaps {naming.proposal} ({naming.confidence:.2f}), by {said}"


def _with_projection(event: Any, part: Part) -> Any:
    if not isinstance(event, XRayEvent):
        return event
    name = name_projection(event, part.modality, part.mg_mode)
    return event if name == event.projection else msgspec.structs.replace(event, projection=name)


def _clock_issues(utc: UtcTime) -> tuple[Issue, ...]:
    if not utc.is_ambiguous:
        return ()
    message = "The hour is repeated at the end of summer time; the first of the two was taken."
    return (
        Issue(
            code="ambiguous_hour",
            severity=Severity.INFO,
            where="started_at",
            message=message,
            rule="normalise.clock",
        ),
    )
