"""A part as read becomes comparable; what nobody said stays None."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from dose_lib.errors import SettingsError
from dose_lib.normalise import SiteFacts, name_part, normalise_part, read_site, to_utc
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    Decision,
    Device,
    Identity,
    Modality,
    Part,
    Severity,
)
from dose_lib.settings import Settings

CHEST = Code("T-D3000", "SRT", "Chest")
ABDOMEN = Code("T-D4000", "SRT", "Abdomen")
HEAD = Code("69536005", "SCT", "Head")
SITE = SiteFacts(timezone="Europe/London")


def event(protocol: str | None, region: Code | None = None, **fields: object) -> CtEvent:
    values = {"acquisition_type": CtAcquisitionType.SPIRAL} | fields
    return CtEvent(acquisition_protocol=protocol, target_region=region, **values)  # type: ignore[arg-type]


def topogram(region: Code | None = None) -> CtEvent:
    return event("Topogram", region, acquisition_type=CtAcquisitionType.CONSTANT_ANGLE)


def part(*events: CtEvent, **fields: object) -> Part:
    names = tuple(dict.fromkeys(e.acquisition_protocol for e in events if e.acquisition_protocol))
    base = Part(
        part_key="p", study_uid="1.2", modality=Modality.CT, events=events, protocol_names=names
    )
    return msgspec.structs.replace(base, **fields)


def test_the_description_names_and_the_code_places() -> None:
    naming = name_part(part(topogram(), event("x", CHEST), study_description="CTPA"), SITE)
    assert (naming.procedure_name, naming.body_region) == ("CTPA", "chest")
    assert naming.is_region_inferred is False
    assert naming.evidence[0].field == "study_description"


def test_a_long_scan_coded_as_one_region_keeps_its_name() -> None:
    """Scanners code "Abdomen" for a scan of the whole trunk."""
    naming = name_part(part(event("TAP", ABDOMEN), study_description="Thorax^TAP (Adult)"), SITE)
    assert naming.procedure_name == "CT Chest Abdomen Pelvis"
    assert naming.body_region == "chest-abdomen-pelvis"
    assert naming.is_region_inferred is True
    assert not naming.issues


def test_the_protocols_name_where_nothing_else_does() -> None:
    naming = name_part(part(topogram(), event("Thorax nativ"), event("Abdomen KM")), SITE)
    assert naming.procedure_name == "CT Chest Abdomen"
    assert naming.is_region_inferred is True


def test_localisers_and_bolus_tracking_name_nothing() -> None:
    bolus = event("Monitoring", HEAD, acquisition_type=CtAcquisitionType.STATIONARY)
    naming = name_part(part(topogram(HEAD), bolus, event(None, CHEST)), SITE)
    assert naming.procedure_name is None
    assert naming.body_region == "chest"
    assert naming.is_region_inferred is False


def test_a_name_from_elsewhere_is_dropped_with_an_issue() -> None:
    naming = name_part(part(event("Brain", HEAD), study_description="CT abdomen pelvis"), SITE)
    assert naming.procedure_name is None
    assert naming.body_region == "head"
    (issue,) = naming.issues
    assert (issue.code, issue.severity) == ("procedure_disagrees", Severity.WARNING)


def test_more_done_than_coded_is_said() -> None:
    done = part(event("a", CHEST), event("b", ABDOMEN), study_description="CT chest")
    naming = name_part(done, SITE)
    assert naming.procedure_name == "CT Chest"
    assert naming.body_region == "chest-abdomen"
    assert [i.code for i in naming.issues] == ["more_done_than_coded"]


def test_a_spine_lies_in_the_trunk() -> None:
    naming = name_part(part(event("LWS", ABDOMEN), study_description="LWS nativ"), SITE)
    assert (naming.procedure_name, naming.body_region) == ("CT Lumbar Spine", "spine")
    assert not naming.issues


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("CT Chest with contrast", "with"),
        ("CT Chest W/O", "without"),
        ("CT Chest W/WO", "both"),
        ("CT Chest", None),
        ("Thorax nativ", "without"),
    ],
)
def test_contrast(text: str, contrast: str | None) -> None:
    assert name_part(part(study_description=text), SITE).contrast == contrast


def test_the_site_wins(settings: Settings) -> None:
    settings.site_dir.mkdir(parents=True)
    (settings.site_dir / "procedures.toml").write_text(
        '[[procedure]]\nname = "CT Head"\ncodes = ["99RIS:K11"]\ntexts = ["Kopf spezial X"]\n'
        '[[procedure]]\nname = "CT Larynx Study"\nregion = "neck"\ntexts = ["Larynx S"]\n'
    )
    site = read_site(
        settings,
        [
            Decision(
                kind="procedure_mapping",
                subject="CT Chest odd",
                payload={"procedure_name": "CT Chest"},
                author="mp",
            )
        ],
    )
    coded = part(procedure_code=Code("K11", "99RIS", "anything at all"))
    assert name_part(coded, site).procedure_name == "CT Head"
    assert name_part(part(study_description="KOPF SPEZIAL x"), site).confidence == 1.0
    own = name_part(part(study_description="Larynx S"), site)
    assert (own.procedure_name, own.body_region) == ("CT Larynx Study", "neck")
    assert name_part(part(study_description="ct chest odd"), site).procedure_name == "CT Chest"


def test_devices_get_name_site_room_and_zone(settings: Settings) -> None:
    settings.site_dir.mkdir(parents=True)
    (settings.site_dir / "devices.toml").write_text(
        '[[device]]\nserial_number = "4711"\ndisplay_name = "Scanner 3"\nroom = "CT 3"\n'
        'timezone = "Europe/Lisbon"\n[[device]]\nmanufacturer = "siemens"\nsite = "Main"\n'
    )
    site = read_site(settings)
    device = Device(serial_number="4711 ", manufacturer="SIEMENS")
    done = normalise_part(part(device=device, started_at=datetime(2026, 7, 1, 12)), site)
    assert (done.device.display_name, done.device.room, done.device.site) == (
        "Scanner 3",
        "CT 3",
        "Main",
    )
    assert done.tz_source == "device"
    assert done.started_at_utc == datetime(2026, 7, 1, 11, tzinfo=UTC)
    named = Decision(kind="device_name", subject="k", payload={"display_name": "New"}, author="a")
    part_k = part(device=Device(device_key="k", serial_number="4711"))
    assert normalise_part(part_k, read_site(settings, [named])).device.display_name == "New"


@pytest.mark.parametrize(
    ("file", "text", "seen"),
    [
        ("devices.toml", '[[device]]\nserail_number = "1"\n', "serail_number.*did you mean"),
        ("devices.toml", '[[device]]\nroom = "1"\n', "device 1: no field says"),
        ("devices.toml", '[[device]]\nmodel = "m"\ntimezone = "Mars"\n', "Mars"),
        ("procedures.toml", '[[procedure]]\nname = "CT Hed"\n', "CT Head"),
        ("procedures.toml", '[[procedure]]\nname = "X"\nregion = "chets"\n', "chest"),
        ("procedures.toml", '[not_patient]\npatterns = ["("]\n', "does not compile"),
        ("procedures.toml", "= 1", "cannot be read"),
    ],
)
def test_a_wrong_site_file_is_refused(settings: Settings, file: str, text: str, seen: str) -> None:
    settings.site_dir.mkdir(parents=True)
    (settings.site_dir / file).write_text(text)
    with pytest.raises(SettingsError, match=seen) as caught:
        read_site(settings)
    assert str(Path(file).name) in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "identity", "reason"),
    [
        ({"intent": Code("113680", "DCM", "Quality Control Intent")}, None, "intent"),
        ({"study_description": "Daily QA"}, None, "study_description"),
        ({"study_description": "Wasserphantom"}, None, "study_description"),
        ({"protocol_names": ("Topogram", "10.13 RADIOTHERAPY QA")}, None, "protocol"),
        ({"protocol_names": ("QA copy", "Thorax")}, None, None),
        ({"study_description": "CT chest", "protocol_names": ("Test bolus", "Thorax")}, None, None),
        ({}, Identity(part_key="p", patient_name="PHANTOM^CT"), "identity"),
        ({}, Identity(part_key="p", patient_name="Test^Test"), "identity"),
        ({}, Identity(part_key="p", patient_name="Phantomas^Anna"), None),
        ({}, Identity(part_key="p", patient_name="Testa^Maria", patient_id="77"), None),
        ({}, None, None),
    ],
)
def test_not_patients(
    fields: dict[str, object], identity: Identity | None, reason: str | None
) -> None:
    done = normalise_part(part(**fields), SITE, identity)
    assert done.not_patient_reason == reason
    assert done.is_patient is (reason is None)


def test_normalising_twice_changes_nothing() -> None:
    first = normalise_part(
        part(
            event("Brain", HEAD),
            study_description="CT abdomen",
            started_at=datetime(2026, 10, 25, 1, 30),
        ),
        SITE,
        Identity(part_key="p", patient_name="QA^Daily"),
    )
    assert first.is_patient is False
    assert normalise_part(first, SITE) == first


@pytest.mark.parametrize(
    ("local", "utc", "ambiguous"),
    [
        (datetime(2026, 1, 5, 8), datetime(2026, 1, 5, 8), False),
        (datetime(2026, 7, 5, 8), datetime(2026, 7, 5, 7), False),
        (datetime(2026, 10, 25, 0, 59, 59), datetime(2026, 10, 24, 23, 59, 59), False),
        (datetime(2026, 10, 25, 1, 30), datetime(2026, 10, 25, 0, 30), True),
        (datetime(2026, 10, 25, 2), datetime(2026, 10, 25, 2), False),
        (datetime(2026, 3, 29, 1, 30), datetime(2026, 3, 29, 1, 30), False),
    ],
)
def test_local_time_to_utc(local: datetime, utc: datetime, ambiguous: bool) -> None:
    found = to_utc(local, "Europe/London")
    assert found.at == utc.replace(tzinfo=UTC)
    assert found.is_ambiguous is ambiguous
    assert found.source == "site"


def test_a_recorded_offset_wins() -> None:
    local = datetime(2026, 10, 25, 1, 30, tzinfo=timezone(timedelta(hours=-5)))
    found = to_utc(local, "Europe/London", "Europe/Lisbon")
    assert (found.at, found.source) == (datetime(2026, 10, 25, 6, 30, tzinfo=UTC), "object")
    assert to_utc(None, "Europe/London").at is None
    assert zoneinfo.ZoneInfo("Europe/London")
