"""What an archive can do, found out by asking: for `dose pacs check`. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
from pydicom import Dataset

from dose_lib import Settings
from dose_lib.errors import DoseError, PeerError
from pipelines.collect.answer import Answers, Item, Series, Study, Window
from pipelines.collect.line import FIND, GET, MOVE, VERIFICATION, Line
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.collect.query import query_items, query_series, query_studies
from pipelines.collect.retrieve import Source, called_of
from pipelines.collect.run import open_source
from pipelines.spool import Spool

T = TypeVar("T")

_DAYS_BACK = 30  # days that are looked through for a study to try things on


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried; `counts` is False for what is only good to know."""

    name: str
    is_good: bool
    seen: str
    counts: bool = True


class Check(msgspec.Struct, kw_only=True):
    """All that was tried, and the peculiarities that were found."""

    steps: list[Step] = msgspec.field(default_factory=list)
    like: list[str] = msgspec.field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if all that is needed works."""
        return all(s.is_good for s in self.steps if s.counts)


def check_archive(
    archive: Pacs | WebArchive, settings: Settings, *, today: date | None = None
) -> Check:
    """Try everything a collection needs on the archive's latest studies.

    Parameters
    ----------
    archive
        From `site/pacs.toml`.
    settings
        Of the installation.
    today
        The day to look back from.
    """
    until = today or datetime.now(ZoneInfo(settings.timezone)).date()
    days = [until - timedelta(days=n) for n in range(_DAYS_BACK)]
    check = Check()
    if isinstance(archive, Pacs):
        _check_dicom(check, archive, settings, days)
    else:
        _check_web(check, archive, settings, days)
    return check


def _check_dicom(check: Check, pacs: Pacs, settings: Settings, days: list[date]) -> None:
    called = called_of(pacs, settings)
    service = GET if pacs.retrieve == "c-get" else MOVE
    line: Line | None = _try(
        check, f"association as {called.calling}", lambda: Line(called, (VERIFICATION, FIND))
    )
    if line is None:
        return
    with line:
        _try(check, "C-ECHO", line.echo)
        studies = _latest(check, lambda day: query_studies(line, pacs, Window(day), None), days)
        if studies:
            _check_levels(check, line, pacs, studies)
    # A service that was refused may take the whole association with it: tried apart.
    other: Line | None = _try(check, pacs.retrieve.upper(), lambda: Line(called, (service,)))
    if other is not None:
        other.close()
    if pacs.retrieve == "c-move":
        _check_destination(check, pacs, settings)


def _check_levels(check: Check, line: Line, pacs: Pacs, studies: Answers[Study]) -> None:
    day = studies.rows[0].day
    if any(s.modalities for s in studies.rows):
        seen = "ModalitiesInStudy is returned"
        check.steps.append(Step(name="modalities", is_good=True, seen=seen, counts=False))
        if day is not None and not _matches_modalities(line, pacs, day):
            check.like.append("no-modalities-in-study")
    else:
        seen = "ModalitiesInStudy is not returned: each study is looked into"
        check.steps.append(Step(name="modalities", is_good=False, seen=seen, counts=False))
        check.like.append("no-modalities-in-study")
    series = _series(check, line, pacs, studies)
    if series is None:
        check.like.append("no-series-level")
        return
    study_uid, found = series
    reports = [s for s in found if s.modality == "SR"] or found
    items: Answers[Item] | None = _try(
        check, "objects", lambda: query_items(line, pacs, study_uid, reports[0].uid)
    )
    if items is None or not items.rows:
        check.like.append("no-image-level")
    elif not any(i.sop_class for i in items.rows):
        seen = "SOPClassUID is not returned: reports of small series are taken to be looked at"
        check.steps.append(Step(name="classes", is_good=False, seen=seen, counts=False))


def _matches_modalities(line: Line, pacs: Pacs, day: date) -> bool:
    """True if a modality that no study has brings no study."""
    try:
        return not query_studies(line, pacs, Window(day), "XYZ").rows
    except PeerError:
        return False


def _series(
    check: Check, line: Line, pacs: Pacs, studies: Answers[Study]
) -> tuple[str, list[Series]] | None:
    """Series of a study that has a report, if one of the first studies has."""
    best: tuple[str, list[Series]] | None = None
    for study in sorted(studies.rows, key=lambda s: "SR" not in s.modalities)[:5]:
        found: Answers[Series] | None = _try(
            check if best is None else Check(),
            "series",
            lambda s=study: query_series(line, pacs, s.uid),  # type: ignore[misc]
        )
        if found is None:
            return best
        if found.rows and best is None:
            best = (study.uid, found.rows)
        if any(s.modality == "SR" for s in found.rows):
            return study.uid, found.rows
    return best


def _check_destination(check: Check, pacs: Pacs, settings: Settings) -> None:
    """Ask it to move a study that does not exist: it still says if it knows where to."""
    destination = pacs.move_destination or settings.ae_title
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = "2.25.1"

    def ask() -> str:
        with Line(called_of(pacs, settings), (MOVE,)) as line:
            moved = line.move(query, "a study that does not exist", destination, limit_s=30)
            return f"{destination} is accepted ({moved.words})"

    try:
        step = Step(name="destination", is_good=True, seen=ask())
    except PeerError as error:
        # Many answer "no such study" by a status of their own; only 0xA801 is about us.
        unknown = getattr(error, "status", None) == 0xA801
        step = Step(name="destination", is_good=not unknown, seen=error.seen)
    check.steps.append(step)


def _check_web(check: Check, archive: WebArchive, settings: Settings, days: list[date]) -> None:
    source: Source = open_source(archive, settings, Spool(settings.spool_dir))
    try:
        studies = _latest(check, source.studies, days)
        if not studies:
            return
        study = min(studies.rows, key=lambda s: "SR" not in s.modalities)
        series: Answers[Series] | None = _try(check, "series", lambda: source.series(study.uid))
        if series is not None and series.rows:
            first = min(series.rows, key=lambda s: s.modality != "SR")
            _try(check, "objects", lambda: source.items(study.uid, first.uid))
    finally:
        source.close()


def _latest(
    check: Check, ask: Callable[[date], Answers[Study]], days: list[date]
) -> Answers[Study] | None:
    """Studies of the latest day that has some."""
    try:
        for day in days:
            found = ask(day)
            if found.rows:
                seen = f"{len(found.rows)} on {day}"
                check.steps.append(Step(name="studies", is_good=True, seen=seen))
                return found
    except DoseError as error:
        check.steps.append(Step(name="studies", is_good=False, seen=str(error)))
        return None
    seen = f"none in {len(days)} days: the rest cannot be tried"
    check.steps.append(Step(name="studies", is_good=False, seen=seen))
    return None


def _try(check: Check, name: str, ask: Callable[[], T]) -> T | None:
    try:
        found = ask()
    except DoseError as error:
        check.steps.append(Step(name=name, is_good=False, seen=str(error)))
        return None
    check.steps.append(Step(name=name, is_good=True, seen=_seen(found)))
    return found


def _seen(found: object) -> str:
    if isinstance(found, Answers):
        return "; ".join([f"{len(found.rows)} answers", *map(str, found.complaints)])
    return "works"
