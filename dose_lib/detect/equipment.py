"""A device that was never seen, and software that a device never had: changes worth a look.

Both are told once. Neither is told while a store learns who is there (its first two weeks),
nor of exams that are brought in from years ago.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from dose_lib.detect.arrivals import (
    Past,
    of_devices,
    read_pasts,
    read_span,
    read_station,
)
from dose_lib.detect.detector import History
from dose_lib.records import Finding, Part, Severity, finding_id

_LEAST_EXAMS = 5  # with a known software before another one is news


class NewDevice:
    """A device that sends its first exams to a store that knows the others."""

    name = "new_device"
    version = "1"

    def look(self, parts: Sequence[Part], history: History | None = None) -> Sequence[Finding]:
        """One finding a device, when its first exam arrives."""
        by_device = of_devices(parts)
        if history is None or not by_device:
            return []
        pasts = read_pasts(history, list(by_device))
        fresh = {k: p for k, p in pasts.items() if p.is_short}
        if not fresh:
            return []
        span = read_span(history)
        return [
            self._finding(key, by_device[key][0], past, history)
            for key, past in fresh.items()
            if span.is_taught(past) and span.is_recent(past.first_started_at)
        ]

    def _finding(self, key: str, part: Part, past: Past, history: History) -> Finding:
        device = part.device
        name = _name(part)
        others = read_station(history, device.station_name) - {key}
        told = (
            f"Its station name {device.station_name!r} was that of another unit before: it may"
            " have been replaced, or its identification was changed by a service. "
            if others
            else ""
        )
        return _found(
            self,
            subject=key,
            part=part,
            title=f"A new device sends exams: {name}",
            summary=(
                f"{name} ({_what(part)}) was not known until now. {told}What to do: name it and"
                " its room, check that acceptance tests are done and its clock and dose units are"
                " right, and watch its first exams; if it is a known unit, link the two."
            ),
            evidence={
                "manufacturer": device.manufacturer,
                "model": device.model,
                "station_name": device.station_name,
                "software_versions": list(device.software_versions),
                "modality": part.modality.value,
                "first_exam": past.first_started_at.isoformat(),
                "n_exams": past.n_exams,
                "same_station_as": sorted(others),
            },
        )


class NewSoftware:
    """A device whose software was never seen on it before."""

    name = "new_software"
    version = "1"

    def look(self, parts: Sequence[Part], history: History | None = None) -> Sequence[Finding]:
        """One finding a device and software, with the first exam that has it."""
        by_device = of_devices(p for p in parts if p.device.software_versions)
        if history is None or not by_device:
            return []
        pasts = read_pasts(history, list(by_device))
        changed = [c for k, p in pasts.items() for c in _changes(k, by_device[k], p)]
        if not changed:
            return []
        span = read_span(history)
        return [
            self._finding(c.key, c.part, c.versions, c.before)
            for c in changed
            if span.is_recent(c.began)
        ]

    def _finding(
        self, key: str, part: Part, versions: tuple[str, ...], before: tuple[str, ...]
    ) -> Finding:
        name = _name(part)
        return _found(
            self,
            subject=f"{key}:{'|'.join(versions)}",
            part=part,
            title=f"New software on {name}: {', '.join(versions)}",
            summary=(
                f"{name} reports {', '.join(versions)} instead of {', '.join(before)}. Protocols,"
                " dose modulation and what the reports say may have changed. What to do: compare"
                " protocols with the master, and doses of the weeks before and after; repeat the"
                " constancy tests that an upgrade asks for."
            ),
            evidence={
                "software_versions": list(versions),
                "software_before": list(before),
                "manufacturer": part.device.manufacturer,
                "model": part.device.model,
                "modality": part.modality.value,
            },
        )


class _Change(NamedTuple):
    key: str
    part: Part
    versions: tuple[str, ...]
    before: tuple[str, ...]
    began: datetime


def _changes(key: str, parts: Sequence[Part], past: Past) -> Iterator[_Change]:
    """Software of these exams that is not the device's first."""
    told: set[tuple[str, ...]] = set()
    for part in parts:
        versions = tuple(part.device.software_versions)
        began = past.software.get(versions)
        if versions in told or began is None or past.n_exams < _LEAST_EXAMS:
            continue
        told.add(versions)
        before = {v: at for v, at in past.software.items() if v and at < began}
        if before:
            yield _Change(key, part, versions, max(before, key=lambda v: before[v]), began)


def _found(
    detector: NewDevice | NewSoftware,
    *,
    subject: str,
    part: Part,
    title: str,
    summary: str,
    evidence: dict[str, object],
) -> Finding:
    at = part.started_at
    return Finding(
        finding_id=finding_id(detector.name, subject, detector.version),
        detector=detector.name,
        rule_version=detector.version,
        severity=Severity.INFO,
        subject=subject,
        device_key=part.device.device_key,
        device=_name(part),
        title=title,
        summary=summary,
        evidence=evidence,
        occurred_at=at.replace(tzinfo=None) if at else None,
    )


def _name(part: Part) -> str:
    device = part.device
    return device.display_name or device.station_name or _what(part)


def _what(part: Part) -> str:
    device = part.device
    return " ".join(w for w in (device.manufacturer, device.model) if w) or "unknown model"
