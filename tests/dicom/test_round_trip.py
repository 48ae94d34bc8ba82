"""Write, then read: the same records, in every maker's dialect.

The simulator writes records as devices do; what it cannot say in a dialect is missing
afterwards, but nothing may come back as another value.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dose_lib import read_bytes
from dose_lib.codes import fold
from dose_lib.records import Code, CtEvent, Part, XRayEvent
from dose_lib.simulate.writer import dialect_names, make_ct_part, make_part, make_rdsr, write_rdsr
from dose_lib.simulate.writer.samples import KINDS

# Made by the reader or by later stages, or what the writer takes from elsewhere.
NOT_WRITTEN = {
    *("part_key", "device_key", "provenance", "field_sources", "issues", "sources", "derived"),
    *("extras", "is_patient", "body_region", "procedure_name", "patient_key", "is_linked"),
}
# Where a dialect rewrites what was to be written: the value is that device's, not ours.
REWRITTEN = {
    *("source_of_dose", "planes", "protocol_names", "modality", "tube_current_ma"),
    *("acquisition_device_type", "grid"),
}


def differences(written: Any, read: Any, path: str = "") -> list[str]:
    """Where a value came back as another one; a missing one is no difference."""
    if written is None or read is None or written == () or read == ():
        return []
    if isinstance(written, Code):
        same = fold(written.value, written.scheme) == fold(read.value, read.scheme)
        return [] if same or written.value is None else [f"{path}: {written} → {read}"]
    if isinstance(written, msgspec.Struct):
        names = [n for n in written.__struct_fields__ if n not in NOT_WRITTEN | REWRITTEN]
        found = [differences(getattr(written, n), getattr(read, n), f"{path}.{n}") for n in names]
        return [d for one in found for d in one]
    if isinstance(written, tuple):
        if len(written) != len(read):
            return [f"{path}: {len(written)} → {len(read)} entries"]
        pairs = zip(written, read, strict=True)
        return [d for n, (w, r) in enumerate(pairs) for d in differences(w, r, f"{path}[{n}]")]
    if isinstance(written, float):
        same = math.isclose(written, read, rel_tol=1e-6, abs_tol=1e-9)
        return [] if same or is_rounded(written, read) else [f"{path}: {written} → {read}"]
    return [] if written == read else [f"{path}: {written} → {read}"]


def is_rounded(written: float, read: float) -> bool:
    """True if a device shows fewer digits than it has."""
    digits = len(repr(read).partition(".")[2])
    return digits < 4 and abs(written - read) <= 0.5001 * 10**-digits


def filled(record: Any) -> int:
    if isinstance(record, msgspec.Struct) and not isinstance(record, Code):
        names = [n for n in record.__struct_fields__ if n not in NOT_WRITTEN]
        return sum(filled(getattr(record, n)) for n in names)
    if isinstance(record, tuple):
        return sum(map(filled, record))
    return int(record is not None)


def read_one(data: bytes) -> Part:
    (part,), _ = read_bytes(data)
    return part


def written_and_read(kind: str, vendor: str, n: int = 3, **values: Any) -> tuple[Part, Part]:
    make = make_ct_part if kind == "ct" else (lambda n, v, **o: make_part(kind, n, v, **o))
    part, identity = make(n, vendor, **values)
    return part, read_one(write_rdsr(part, identity, vendor))


@pytest.mark.parametrize("kind", ["ct", *KINDS])
def test_clean_reports_come_back_whole(kind: str) -> None:
    written, read = written_and_read(kind, "clean")
    assert differences(written, read) == []
    assert written.modality == read.modality
    # Not in any template: image intensifier size, end of a projection exam, observer of an RRDSR.
    assert filled(read) >= filled(written) - 8
    assert read.extras == ()


@pytest.mark.parametrize("vendor", dialect_names())
@pytest.mark.parametrize("kind", ["ct", "fluoroscopy", "mammography", "radiopharmaceutical"])
def test_no_dialect_changes_a_value(kind: str, vendor: str) -> None:
    if kind == "ct" and vendor == "canon":
        pytest.skip("writes no localisers, so that its events are others")
    written, read = written_and_read(kind, vendor)
    assert differences(written, read) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ctdi=st.floats(0.01, 250).map(lambda v: float(f"{v:.6g}")),
    dlp=st.floats(0.1, 9000).map(lambda v: float(f"{v:.6g}")),
    vendor=st.sampled_from(["clean", "ge", "siemens", "philips", "canon"]),
    age=st.integers(1, 119),
    weight=st.floats(0.5, 299).map(lambda v: float(f"{v:.4g}")),
)
def test_ct_numbers_come_back(
    ctdi: float, dlp: float, vendor: str, age: int, weight: float
) -> None:
    values = {"ctdi_vol_mgy": ctdi, "dlp_mgy_cm": dlp, "age_y": float(age), "weight_kg": weight}
    _, read = written_and_read("ct", vendor, 2, **values)
    spiral = read.events[-1]
    assert isinstance(spiral, CtEvent)
    for written, seen in ((ctdi, spiral.ctdi_vol_mgy), (dlp, spiral.dlp_mgy_cm)):
        assert seen is not None
        assert math.isclose(seen, written, rel_tol=1e-6) or is_rounded(written, seen)
    assert read.patient.age_y == pytest.approx(age, abs=0.02)
    assert read.patient.weight_kg == pytest.approx(weight, rel=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kap=st.floats(1e-4, 400).map(lambda v: float(f"{v:.6g}")),
    kerma=st.floats(1e-3, 9000).map(lambda v: float(f"{v:.6g}")),
    vendor=st.sampled_from(
        ["clean", "siemens-artis", "philips-azurion", "canon-ultimax", "ge-oec"]
    ),
)
def test_fluoroscopy_doses_come_back_in_any_unit(kap: float, kerma: float, vendor: str) -> None:
    doses = {"event0_kap_gy_cm2": kap, "event0_ka_r_mgy": kerma}
    event = read_one(make_rdsr("fluoroscopy", 1, vendor, **doses)).events[0]
    assert isinstance(event, XRayEvent)
    # ge-oec writes eight decimals of Gy.m2 and of Gy; the others write all they have.
    steps = (1e-4, 1e-5) if vendor == "ge-oec" else (0.0, 0.0)
    for written, read, step in zip(
        (kap, kerma), (event.kap_gy_cm2, event.ka_r_mgy), steps, strict=True
    ):
        assert read is not None
        assert math.isclose(read, written, rel_tol=1e-5, abs_tol=0.5001 * step)


def test_what_real_files_lack() -> None:
    """Biplane, SSDE, zones, German words, week-old patients, missing Study UID."""
    _, biplane = written_and_read("biplane", "clean", 2)
    assert [getattr(e, "plane", None) for e in biplane.events] == ["a", "b", "a", "b"]
    planes = biplane.totals.planes
    assert biplane.totals.ka_r_mgy == pytest.approx(sum(p.ka_r_mgy or 0 for p in planes))
    assert biplane.totals.ka_r_max_plane_mgy == max(p.ka_r_mgy or 0 for p in planes)
    assert "ka_r_mgy" in biplane.totals.derived
    _, german = written_and_read("ct", "clean-de")
    assert german.events[-1].ctdi_vol_mgy is not None  # matched by code, not by words
    _, infant = written_and_read("ct", "clean", 2, age_y=3 * 7 / 365.25)
    assert infant.patient.age_y == pytest.approx(3 * 7 / 365.25, abs=1e-6)
