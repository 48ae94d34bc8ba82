"""Findings of triggers: one an exam and step, in words a person can act on."""

from __future__ import annotations

import msgspec

from dose_lib.compare import triggers_of
from dose_lib.detect import DoseTrigger
from dose_lib.records import DoseCheck, Part, Severity
from dose_lib.reference import published_levels
from tests.compare.test_triggers import ct, fluoroscopy
from tests.store.exams import ct_event, ct_part

DETECTOR = DoseTrigger(triggers_of(published_levels()))


def test_the_gravest_step_is_one_finding() -> None:
    (found,) = DETECTOR.look([fluoroscopy(ka_r_mgy=5600.0, kap_gy_cm2=310.0)])
    assert found.severity is Severity.WARNING
    assert found.title == "Substantial radiation dose level reached: XA"
    assert "5,600 mGy; substantial value 5,000 mGy" in found.summary
    assert "3,000 mGy" not in found.summary, "the graver value of a quantity is enough"
    assert "follow-up of the skin" in found.summary
    assert "transcribed from memory and not signed off here" in found.summary, "of the KAP row"
    steps = [row["step"] for row in found.evidence["reached"]]  # type: ignore[attr-defined]
    assert sorted(steps) == ["notification", "notification", "substantial"]
    msgspec.json.encode(found.evidence)


def test_a_later_report_may_open_the_graver_one() -> None:
    """Cumulative reports of one exam: 3.2 Gy, then the same again, then 5.4 Gy."""
    ids = [DETECTOR.look([fluoroscopy(ka_r_mgy=d)])[0].finding_id for d in (3200.0, 3200.0, 5400.0)]
    assert ids[0] == ids[1] != ids[2]


def test_time_is_told_in_minutes() -> None:
    (found,) = DETECTOR.look([fluoroscopy(fluoro_time_s=1800.0)])
    assert "Fluoroscopy time of the exam: 30 min; notification value 30 min" in found.summary
    assert found.severity is Severity.INFO


def with_check(part: Part, **check: float) -> Part:
    event = ct_event("1.2.3", 1, dose_check=DoseCheck(**check))
    return msgspec.structs.replace(part, events=(event,))


def test_what_the_scanner_asked_is_a_finding() -> None:
    def looked(forecast: float) -> list[str]:
        part = with_check(ct_part(), alert_ctdi_vol_mgy=500.0, alert_ctdi_vol_forward_mgy=forecast)
        return [f.title for f in DETECTOR.look([part])]

    assert not looked(500.0)
    assert looked(500.1) == ["Alert value exceeded: CT Chest"]
    notified = with_check(
        ct_part(), notification_dlp_mgy_cm=800.0, notification_dlp_forward_mgy_cm=801.0
    )
    (found,) = DETECTOR.look([notified])
    assert "asked at its notification value of 800 mGy.cm" in found.summary


def test_an_ordinary_day_opens_nothing() -> None:
    assert not DETECTOR.look([ct(8.0), ct_part(), fluoroscopy(ka_r_mgy=900.0, kap_gy_cm2=60.0)])
    assert not DETECTOR.look([msgspec.structs.replace(ct(900.0), is_patient=False)])
