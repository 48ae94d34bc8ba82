"""Units that an export of another dose system knows by another key than DICOM.

An export seldom says more of a unit than its station name; DICOM gives a serial number or a UID. So
one scanner is two units until somebody says otherwise. Where serial number, or station name and
model, agree and belong to one unit on either side, it is said without asking; all else waits for a
person. Both are decisions `device_link`: seen in the timeline, taken back at any time.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from dose_lib import keys
from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Decision
from dose_lib.settings import Settings, load_settings
from dose_lib.store import submit_decision

AUTHOR = "doseloop"
"""Of links that no person made."""

_SHORTEST_SERIAL = 4
_FAMILY = {"XA": "RF", "PT": "NM"}
_FACTS = ("serial_number", "station_name", "manufacturer", "model")


class Match(StrEnum):
    """What two units have in common, the surest first."""

    SERIAL = "serial number"
    STATION_AND_MODEL = "station name and model"
    STATION = "station name"
    MODEL = "maker and model"


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of an export and the unit of DICOM that it may be.

    Attributes
    ----------
    device_key, device, n_exams
        Of the export's unit.
    same_as, same_device
        Of the unit that DICOM knows.
    match, evidence
        What they have in common, and in how many exams of which days.
    is_sure
        True if nothing contradicts, and either side has one such unit alone.
    """

    device_key: str
    device: str
    n_exams: int
    same_as: str
    same_device: str
    match: Match
    evidence: str
    is_sure: bool


class _Unit(msgspec.Struct, kw_only=True):
    key: str
    name: str
    n_imported: int = 0
    n_dicom: int = 0
    first: date | None = None
    last: date | None = None
    families: set[str] = msgspec.field(default_factory=set)
    facts: dict[str, dict[str, str]] = msgspec.field(default_factory=lambda: defaultdict(dict))

    def folded(self, name: str) -> set[str]:
        return set(self.facts[name])

    @property
    def days(self) -> str:
        n = self.n_imported + self.n_dicom
        return f"{n:,} exams of {self.first} to {self.last}"


def find_twins(con: Any) -> tuple[Twin, ...]:
    """Units of exports that may be units of DICOM, and that nobody has decided about.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    """
    units = _read_units(con)
    decided = set(_last_links(con))
    exported = [u for u in units if not u.n_dicom and u.key not in decided]
    known = [u for u in units if u.n_dicom]
    found: list[Twin] = []
    for unit in exported:
        matches = [(m, k) for k in known if (m := _match(unit, k)) is not None]
        best = min((list(Match).index(m) for m, _ in matches), default=None)
        found += [
            _twin(unit, k, m, exported, known) for m, k in matches if list(Match).index(m) == best
        ]
    return tuple(sorted(found, key=lambda t: (-t.n_exams, t.device_key, t.same_as)))


def link_sure_twins(con: Any, *, settings: Settings | None = None) -> tuple[Twin, ...]:
    """Join the units that are the same beyond doubt; returns them."""
    sure = tuple(t for t in find_twins(con) if t.is_sure)
    if sure:
        submit_decision(settings or load_settings(), *(_decision(t, AUTHOR) for t in sure))
    return sure


def decide_twin(
    con: Any,
    device: str,
    *,
    is_same: bool,
    author: str,
    same_as: str | None = None,
    settings: Settings | None = None,
) -> Twin:
    """Accept or refuse a proposal; what was refused is not proposed again.

    Parameters
    ----------
    device, same_as
        Name or key of the export's unit; which of several proposals is meant.
    """
    waiting = find_twins(con)
    found = [
        t
        for t in waiting
        if device in (t.device, t.device_key)
        and same_as in (None, t.same_as, t.same_device)
    ]  # fmt: skip
    if not found:
        names = [t.device for t in waiting]
        raise UsageError(f"nothing is proposed for {device!r}", todo=did_you_mean(device, names))
    if len(found) > 1 and is_same:
        names = [f"{t.same_device} ({t.same_as})" for t in found]
        raise UsageError(f"{device!r} may be several units", expected=" or ".join(names))
    submit_decision(settings or load_settings(), _decision(found[0], author, is_same=is_same))
    return found[0]


def _decision(twin: Twin, author: str, *, is_same: bool = True) -> Decision:
    payload = {
        "same_as": twin.same_as if is_same else None,
        "note": twin.evidence if is_same else f"not {twin.same_device}",
    }
    return Decision(kind="device_link", subject=twin.device_key, payload=payload, author=author)


def _read_units(con: Any) -> list[_Unit]:
    from dose_lib import metrics

    studies = con.table("studies")
    studies = studies.filter(studies.device_key.notnull())
    grouped = studies.group_by("device_key", "device", "modality", *_FACTS).aggregate(
        n=studies.count(),
        imported=studies.count(where=metrics.is_imported(studies)),
        first=studies.started_at.min(),
        last=studies.started_at.max(),
    )
    units: dict[str, _Unit] = {}
    for row in grouped.order_by("device_key", "last").to_pyarrow().to_pylist():
        key = str(row["device_key"])
        unit = units.setdefault(key, _Unit(key=key, name=key[:8]))
        unit.name = row["device"] or unit.name
        unit.n_imported += row["imported"]
        unit.n_dicom += row["n"] - row["imported"]
        unit.families.add(_FAMILY.get(row["modality"], row["modality"]))
        _widen(unit, row)
        for name in _FACTS:
            if folded := _fold(name, row[name]):
                unit.facts[name][folded] = str(row[name]).strip()
    return list(units.values())


def _widen(unit: _Unit, row: Mapping[str, Any]) -> None:
    if row["first"] is not None:
        first, last = row["first"].date(), row["last"].date()
        unit.first = min(unit.first or first, first)
        unit.last = max(unit.last or last, last)


def _fold(name: str, text: str | None) -> str:
    """A word of a unit without case and signs; nothing for what names none."""
    plain = re.sub(r"[^A-Z0-9]", "", keys.normalise_id(text))
    if keys.is_placeholder_id(text):
        return ""
    if name == "serial_number":
        is_one = len(plain) >= _SHORTEST_SERIAL and any(c.isdigit() for c in plain)
        return plain.lstrip("0") if is_one else ""
    # "Siemens Healthineers" and "SIEMENS" are one maker.
    return keys.normalise_id(text).split()[0] if name == "manufacturer" else plain


def _match(unit: _Unit, other: _Unit) -> Match | None:
    """What a unit of an export has in common with one of DICOM."""
    same = {name: bool(unit.folded(name) & other.folded(name)) for name in _FACTS}
    if not unit.families & other.families:
        return None
    if same["serial_number"]:
        return Match.SERIAL
    if unit.folded("serial_number") and other.folded("serial_number"):
        return None  # two serial numbers are two units
    if same["station_name"]:
        return Match.STATION_AND_MODEL if same["model"] else Match.STATION
    has_station = unit.folded("station_name") and other.folded("station_name")
    is_kind = same["manufacturer"] and same["model"]
    return Match.MODEL if is_kind and not has_station else None


def _twin(
    unit: _Unit, other: _Unit, match: Match, exported: Sequence[_Unit], known: Sequence[_Unit]
) -> Twin:
    rivals = [k for k in known if _match(unit, k) is match]
    claims = [u for u in exported if _match(u, other) is match]
    is_sure = match in (Match.SERIAL, Match.STATION_AND_MODEL) and len(rivals) == len(claims) == 1
    common = ", ".join(_common(unit, other))
    alone = "of no other unit" if is_sure else f"{len(rivals)} such in DICOM, {len(claims)} here"
    return Twin(
        device_key=unit.key,
        device=unit.name,
        n_exams=unit.n_imported,
        same_as=other.key,
        same_device=other.name,
        match=match,
        evidence=f"{common} ({alone}); export: {unit.days}, DICOM: {other.days}",
        is_sure=is_sure,
    )


def _common(unit: _Unit, other: _Unit) -> Iterable[str]:
    for name in _FACTS:
        shared = sorted(unit.folded(name) & other.folded(name))
        if shared:
            yield f"{name.replace('_', ' ')} {other.facts[name][shared[0]]}"
        elif unit.folded(name) and other.folded(name):
            yield f"another {name.replace('_', ' ')}"


def _last_links(con: Any) -> dict[str, str | None]:
    """What was said last of each unit: the key it is, or None."""
    rows = con.table("latest_decisions")
    rows = rows.filter(rows.kind == "device_link").select("subject", "payload")
    found = {}
    for row in rows.to_pyarrow().to_pylist():
        payload = row["payload"]
        said = json.loads(payload) if isinstance(payload, str) else dict(payload)
        found[str(row["subject"])] = said.get("same_as")
    return found
