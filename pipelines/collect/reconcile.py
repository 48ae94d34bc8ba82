"""Reconciliation: what an archive says was done beside what is stored, device by device.

A gap is an examination that the archive has and the store has not, or the other way round;
each has its reason: what collecting noted, what the ledger says of the objects, or that the
archive has no dose report. Gaps are named by a pseudonym of their Study UID.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec

from dose_lib import Settings, keys
from dose_lib.errors import PeerError
from dose_lib.store import site_key
from pipelines.collect.answer import Complaint
from pipelines.collect.journal import Entry, Fate, Journal
from pipelines.collect.known_devices import KnownDevices
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.collect.performed import Performed, ask_performed
from pipelines.collect.reconciliation import DeviceDay, Gap, Reconciliation, Why
from pipelines.collect.retrieve import Source
from pipelines.collect.run import Gate, open_source
from pipelines.collect.stored import (
    Received,
    StoredPart,
    StoreView,
    by_study,
)
from pipelines.process import Stop
from pipelines.spool import Spool

_MOST_ASKED = 200  # studies that only we have, looked for in the archive under another day


def reconcile(
    archive: Pacs | WebArchive,
    source: Source,
    settings: Settings,
    days: Sequence[date],
    *,
    with_identity: bool = False,
    turn: Callable[[], bool] = lambda: False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Reconciliation:
    """Compare an archive with the store.

    Parameters
    ----------
    archive
        From `site/pacs.toml`.
    source
        The archive, ready to be asked.
    settings
        Of the installation.
    days
        Days of the archive's calendar.
    with_identity
        Keep Study UIDs in the gaps.
    turn, progress
        See `ask_performed`.

    Raises
    ------
    PeerError
        If the archive cannot be asked.
    """
    held = ask_performed(source, archive, days, turn=turn, progress=progress)
    store = StoreView(settings)
    parts = by_study(store.parts({p.study_uid for p in held.performed}, days))
    matched, missing = _match(held.performed, parts)
    names = KnownDevices(store.devices())
    for performed, part in matched:
        names.learn(performed, part)
    with Journal(settings) as journal:
        known = journal.known(archive.name, [p.study_uid for p in missing])
    reasons = _Reasons(source, store, known, parts, missing)
    key = site_key(settings)
    gaps = [_gap(p, names.of(p), reasons.of(p), key) for p in missing]
    extra, tests = _only_here(source, held.performed, parts, days, held.complaints)
    gaps += [_extra(p, key) for p in extra]
    rows = _rows(matched, gaps)
    if not with_identity:
        gaps = [msgspec.structs.replace(g, study_uid=None) for g in gaps]
    return Reconciliation(
        pacs=archive.name,
        first=min(days),
        last=max(days),
        made_at=datetime.now(UTC),
        rows=rows,
        gaps=gaps,
        n_tests=tests,
        complaints=held.complaints,
    )


def reconcile_days(
    archive: Pacs | WebArchive,
    settings: Settings,
    days: Sequence[date],
    *,
    with_identity: bool = False,
    minds_hours: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Reconciliation:
    """Open an archive and compare it with the store, at the archive's pace; see `reconcile`."""
    spool = Spool(settings.spool_dir)
    gate = Gate(archive, ZoneInfo(settings.timezone), Stop(), minds_hours=minds_hours)
    source = open_source(archive, settings, spool)
    try:
        return reconcile(
            archive,
            source,
            settings,
            days,
            with_identity=with_identity,
            turn=gate.turn,
            progress=progress,
        )
    finally:
        source.close()


def _match(
    performed: Sequence[Performed], parts: Mapping[str, Sequence[StoredPart]]
) -> tuple[list[tuple[Performed, StoredPart]], list[Performed]]:
    matched, missing = [], []
    for one in performed:
        here = [p for p in parts.get(one.study_uid, ()) if _is_of(p, one)]
        if here:
            matched.append((one, here[0]))
        else:
            missing.append(one)
    return matched, missing


def _is_of(part: StoredPart, performed: Performed) -> bool:
    return performed.classes is None or part.modality in performed.classes


class _Reasons:
    """Says of each missing examination why it is missing."""

    def __init__(
        self,
        source: Source,
        store: StoreView,
        known: Mapping[str, Entry],
        parts: Mapping[str, Sequence[StoredPart]],
        missing: Sequence[Performed],
    ) -> None:
        self._source, self._store, self._known, self._parts = source, store, known, parts
        self._received = store.received({p.study_uid for p in missing})

    def of(self, performed: Performed) -> tuple[Why, str | None]:
        """Kind and words."""
        received = self._received.get(performed.study_uid)
        if received is None or received.status == "no_dose":
            # Images without dose say nothing of a report that could not be read.
            received = self._by_objects(performed) or received
        has_no_report = performed.report_series == ()
        if received is not None and received.status == "no_dose" and has_no_report:
            return Why.NO_REPORT, f"and its images: {received.reason}"
        if received is not None:
            return _of_ledger(received)
        if entry := self._known.get(performed.study_uid):
            return _of_journal(entry)
        if has_no_report:
            return Why.NO_REPORT, None
        return Why.NOT_ASKED, "its report is in the archive" if performed.report_series else None

    def _by_objects(self, performed: Performed) -> Received | None:
        """The ledger by objects: what could not be read at all names no study."""
        try:
            uids = [
                item.uid
                for series in performed.report_series or ()
                for item in self._source.items(performed.study_uid, series).rows
            ]
        except PeerError:
            self._source.reset()
            return None
        return next(iter(self._store.received(object_uids=uids).values()), None)


def _of_ledger(received: Received) -> tuple[Why, str | None]:
    kinds = {
        "waiting": Why.WAITING,
        "quarantined": Why.QUARANTINED,
        "no_dose": Why.NO_DOSE,
        "erased": Why.ERASED,
    }
    why = kinds.get(received.status, Why.OTHER_MODALITY)
    return why, received.reason if why is not Why.OTHER_MODALITY else None


def _of_journal(entry: Entry) -> tuple[Why, str | None]:
    kinds = {
        Fate.NOTHING: Why.NOTHING,
        Fate.FAILED: Why.FAILED,
        Fate.GIVEN_UP: Why.FAILED,
    }
    why = kinds.get(entry.outcome, Why.NOT_RECEIVED)
    is_absent = why is Why.NOTHING and (entry.reason or "").startswith("no structured report")
    return (Why.NO_REPORT, entry.reason) if is_absent else (why, entry.reason)


def _only_here(
    source: Source,
    performed: Sequence[Performed],
    parts: Mapping[str, Sequence[StoredPart]],
    days: Sequence[date],
    complaints: list[Complaint],
) -> tuple[list[StoredPart], int]:
    """Parts of these days whose study the archive has under no day, and how many are tests."""
    there = {p.study_uid for p in performed}
    lone = [
        p
        for study, some in parts.items()
        if study not in there
        for p in some
        if p.started_at is not None and p.started_at.date() in days
    ]
    tests = [p for p in lone if p.is_patient is False]
    asked: dict[str, bool] = {}
    for part in lone:
        if part.is_patient is False or part.study_uid in asked or len(asked) >= _MOST_ASKED:
            continue
        try:
            asked[part.study_uid] = bool(source.series(part.study_uid).rows)
        except PeerError as error:
            seen = Complaint(asked=f"series of study {part.study_uid}", seen=str(error))
            complaints.append(seen)
            source.reset()
    extra = [p for p in lone if p.is_patient is not False and not asked.get(p.study_uid)]
    return extra, len(tests)


def _gap(
    performed: Performed, device: tuple[str | None, str], why: tuple[Why, str | None], key: bytes
) -> Gap:
    return Gap(
        study_key=keys.study_key(key, performed.study_uid),
        study_uid=performed.study_uid,
        day=performed.day,
        time=_clock(performed.time),
        modality=performed.modality,
        device_key=device[0],
        device=device[1],
        why=why[0],
        detail=why[1],
    )


def _extra(part: StoredPart, key: bytes) -> Gap:
    at = part.started_at or datetime.min
    return Gap(
        study_key=keys.study_key(key, part.study_uid),
        study_uid=part.study_uid,
        day=at.date(),
        time=f"{at:%H:%M}",
        modality=part.modality,
        device_key=part.device_key,
        device=part.device or part.station or "unknown device",
        why=Why.ONLY_HERE,
    )


def _rows(matched: Sequence[tuple[Performed, StoredPart]], gaps: Sequence[Gap]) -> list[DeviceDay]:
    both: Counter[tuple[date, str, str | None, str]] = Counter()
    for performed, part in matched:
        name = part.device or part.station or "unknown device"
        both[performed.day, name, part.device_key, part.modality] += 1
    known = {(day, name): modality for day, name, _, modality in both}
    lost: dict[tuple[date, str, str | None, str], Counter[Why]] = {}
    for gap in gaps:
        modality = _class_of(gap.modality) or known.get((gap.day, gap.device), "?")
        place = (gap.day, gap.device, gap.device_key, modality)
        lost.setdefault(place, Counter())[gap.why] += 1
    rows = []
    for place in sorted({*both, *lost}, key=lambda p: (p[0], p[1], p[3])):
        why = lost.get(place, Counter())
        n_missing = sum(n for w, n in why.items() if w is not Why.ONLY_HERE)
        rows.append(
            DeviceDay(
                day=place[0],
                device=place[1],
                device_key=place[2],
                modality=place[3],
                n_pacs=both[place] + n_missing,
                n_stored=both[place],
                n_missing=n_missing,
                n_only_here=why[Why.ONLY_HERE],
                why={w.value: n for w, n in sorted(why.items())},
            )
        )
    return rows


def _class_of(modality: str | None) -> str | None:
    return "DX" if modality == "CR" else modality


def _clock(text: str | None) -> str | None:
    digits = (text or "").replace(":", "")[:4]
    return f"{digits[:2]}:{digits[2:]}" if len(digits) == 4 and digits.isdigit() else None
