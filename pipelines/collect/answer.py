"""What an archive says it holds, read from its answers with the same suspicion for every archive.

An answer is a few attributes by keyword, whether it came as a DICOM data set (C-FIND) or as
JSON (QIDO-RS). What cannot be used, is double, or was not asked for, becomes a complaint
with what was asked and what was seen; nothing is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Generic, TypeVar

import msgspec

Attributes = Mapping[str, Sequence[str]]
"""Keyword -> values as text, of one answer."""

T = TypeVar("T")

_UID = re.compile(r"[0-9.]{1,64}")
_DATE = re.compile(r"\d{8}")


class Window(msgspec.Struct, frozen=True):
    """Part of a day, local time of the archive; `start` and `end` as HHMM, both included."""

    day: date
    start: str = "0000"
    end: str = "2359"

    @property
    def is_whole_day(self) -> bool:
        """True without limits within the day."""
        return (self.start, self.end) == ("0000", "2359")

    def halves(self) -> tuple[Window, Window] | None:
        """Two halves; None for a single minute."""
        first, last = _minutes(self.start), _minutes(self.end)
        if first == last:
            return None
        middle = (first + last) // 2
        return (
            Window(self.day, self.start, _clock(middle)),
            Window(self.day, _clock(middle + 1), self.end),
        )

    def __str__(self) -> str:
        if self.is_whole_day:
            return f"{self.day}"
        return f"{self.day} {self.start[:2]}:{self.start[2:]}-{self.end[:2]}:{self.end[2:]}"


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study as the archive describes it."""

    uid: str
    day: date | None = None
    time: str | None = None
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    n_objects: int | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series as the archive describes it."""

    uid: str
    modality: str | None = None
    number: int | None = None
    description: str | None = None
    n_objects: int | None = None
    station: str | None = None
    manufacturer: str | None = None
    model: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An object as the archive describes it; `title` is its concept, as scheme:value."""

    uid: str
    sop_class: str | None = None
    number: int | None = None
    title: str | None = None
    image_type: tuple[str, ...] = ()


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong in what an archive answered: what was asked, what was seen."""

    asked: str
    seen: str

    def __str__(self) -> str:
        return f"asked for {self.asked}; seen: {self.seen}"


class Answers(msgspec.Struct, Generic[T]):
    """Rows that can be used, and complaints about the rest.

    Attributes
    ----------
    rows
        Usable ones, each UID once.
    complaints
        About the others.
    n_read
        Answers read, usable or not.
    is_cut
        True if the archive said, or it must be suspected, that there are more.
    """

    rows: list[T] = msgspec.field(default_factory=list)
    complaints: list[Complaint] = msgspec.field(default_factory=list)
    n_read: int = 0
    is_cut: bool = False

    def add(self, other: Answers[T]) -> None:
        """Take in the answers of a further query."""
        self.rows += other.rows
        self.complaints += other.complaints
        self.n_read += other.n_read
        self.is_cut = self.is_cut or other.is_cut


def read_studies(answers: Iterable[Attributes | None], asked: str, day: date) -> Answers[Study]:
    """Studies of one day; a study that is answered several times becomes one.

    Parameters
    ----------
    answers
        Attributes of each answer; None for one that could not be decoded.
    asked
        What was asked for, in words.
    day
        The day asked for: studies of another day are complained about and left out.
    """
    rows, bad = _read(answers, _study)
    stray = [s for s in rows if s.day is not None and s.day != day]
    kept = united_studies([s for s in rows if s.day is None or s.day == day])
    found = Answers(rows=kept, n_read=len(rows) + sum(bad.values()))
    found.complaints += _complaints(asked, bad)
    if stray:
        seen = f"{len(stray)} studies of other days, such as {stray[0].day}: the day is ignored"
        found.complaints.append(Complaint(asked=asked, seen=seen))
    return found


def read_series(
    answers: Iterable[Attributes | None], asked: str, study_uid: str
) -> Answers[Series]:
    """Series of one study, each once; see `read_studies`."""
    return _of_one(answers, asked, _series, "StudyInstanceUID", study_uid)


def read_items(answers: Iterable[Attributes | None], asked: str, series_uid: str) -> Answers[Item]:
    """Objects of one series, each once; see `read_studies`."""
    return _of_one(answers, asked, _item, "SeriesInstanceUID", series_uid)


Row = TypeVar("Row", Series, Item)


def _of_one(
    answers: Iterable[Attributes | None],
    asked: str,
    read: Callable[[Attributes], Row | str],
    key: str,
    value: str,
) -> Answers[Row]:
    """Rows of one parent; those that say they are of another are complained about."""
    given = list(answers)
    foreign = [a for a in given if a is not None and _first(a, key) not in (None, value)]
    rows, bad = _read([a for a in given if a is None or a not in foreign], read)
    if foreign:
        bad[f"belongs to another {key}"] = len(foreign)
    found = Answers(rows=list({r.uid: r for r in rows}.values()), n_read=len(given))
    found.complaints += _complaints(asked, bad)
    return found


def _read(
    answers: Iterable[Attributes | None], read: Callable[[Attributes], T | str]
) -> tuple[list[T], dict[str, int]]:
    rows: list[T] = []
    bad: dict[str, int] = {}
    for answer in answers:
        row = "cannot be decoded" if answer is None else read(answer)
        if isinstance(row, str):
            bad[row] = bad.get(row, 0) + 1
        else:
            rows.append(row)
    return rows, bad


def _complaints(asked: str, bad: Mapping[str, int]) -> list[Complaint]:
    return [
        Complaint(asked=asked, seen=f"{n} answers that cannot be used: {why}")
        for why, n in bad.items()
    ]


def united_studies(studies: Sequence[Study]) -> list[Study]:
    """Each study once: some archives answer once a modality (PET-CT comes twice)."""
    found: dict[str, Study] = {}
    for study in studies:
        before = found.get(study.uid)
        if before is None:
            found[study.uid] = study
            continue
        counts = [n for n in (before.n_objects, study.n_objects) if n is not None]
        found[study.uid] = msgspec.structs.replace(
            before,
            modalities=tuple(dict.fromkeys((*before.modalities, *study.modalities))),
            sop_classes=tuple(dict.fromkeys((*before.sop_classes, *study.sop_classes))),
            n_objects=max(counts) if counts else None,
        )
    return list(found.values())


def _study(answer: Attributes) -> Study | str:
    uid = _first(answer, "StudyInstanceUID")
    if (wrong := _wrong_uid(uid, "StudyInstanceUID")) or uid is None:
        return wrong or "no StudyInstanceUID"
    return Study(
        uid=uid,
        day=_day(_first(answer, "StudyDate")),
        time=_first(answer, "StudyTime"),
        modalities=_all(answer, "ModalitiesInStudy"),
        sop_classes=_all(answer, "SOPClassesInStudy"),
        n_objects=_number(_first(answer, "NumberOfStudyRelatedInstances")),
    )


def _series(answer: Attributes) -> Series | str:
    uid = _first(answer, "SeriesInstanceUID")
    if (wrong := _wrong_uid(uid, "SeriesInstanceUID")) or uid is None:
        return wrong or "no SeriesInstanceUID"
    return Series(
        uid=uid,
        modality=_first(answer, "Modality"),
        number=_number(_first(answer, "SeriesNumber")),
        description=_first(answer, "SeriesDescription"),
        n_objects=_number(_first(answer, "NumberOfSeriesRelatedInstances")),
        station=_first(answer, "StationName"),
        manufacturer=_first(answer, "Manufacturer"),
        model=_first(answer, "ManufacturerModelName"),
    )


def _item(answer: Attributes) -> Item | str:
    uid = _first(answer, "SOPInstanceUID")
    if (wrong := _wrong_uid(uid, "SOPInstanceUID")) or uid is None:
        return wrong or "no SOPInstanceUID"
    return Item(
        uid=uid,
        sop_class=_first(answer, "SOPClassUID"),
        number=_number(_first(answer, "InstanceNumber")),
        title=_first(answer, "ConceptNameCodeSequence"),
        image_type=_all(answer, "ImageType"),
    )


def _wrong_uid(uid: str | None, keyword: str) -> str | None:
    if uid is None:
        return f"no {keyword}"
    return None if _UID.fullmatch(uid) else f"{keyword} that is no UID"


def _first(answer: Attributes, keyword: str) -> str | None:
    return next((v for v in answer.get(keyword, ()) if v), None)


def _all(answer: Attributes, keyword: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v for v in answer.get(keyword, ()) if v))


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _day(text: str | None) -> date | None:
    digits = (text or "").replace("-", "").replace(".", "")
    if not _DATE.fullmatch(digits):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[2:])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}{minutes % 60:02d}"
