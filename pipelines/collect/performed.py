"""What an archive says was done: each study by modality and device, from its series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from dose_lib.errors import PeerError
from pipelines.collect.answer import Complaint, Series, Study
from pipelines.collect.pacs import Archive
from pipelines.collect.retrieve import Source

# Header modalities beside the modality classes their doses may be stored under.
_CLASSES = {
    "CT": ("CT", "CBCT"),
    "XA": ("XA", "RF"),
    "RF": ("RF", "XA"),
    "DX": ("DX",),
    "CR": ("DX",),
    "MG": ("MG",),
    "PT": ("PT",),
    "NM": ("NM",),
    "PX": ("PX", "CBCT", "IO"),
    "IO": ("IO", "PX"),
}
REPORT = "SR"


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """What one device did in one study, as the archive shows it.

    Attributes
    ----------
    study_uid, day, time
        The study.
    modality
        Of the images; None where the archive has only reports of the study.
    station, manufacturer, model
        Of the first series of this modality.
    report_series
        Series of structured reports in the study; None where series could not be asked for.
    """

    study_uid: str
    day: date
    time: str | None = None
    modality: str | None = None
    station: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    report_series: tuple[str, ...] | None = None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Modality classes of the store that this may be; None: any."""
        return None if self.modality is None else _CLASSES.get(self.modality, (self.modality,))


class Held(msgspec.Struct, kw_only=True):
    """What an archive holds of some days, and what was wrong with its answers."""

    performed: list[Performed] = msgspec.field(default_factory=list)
    complaints: list[Complaint] = msgspec.field(default_factory=list)


def ask_performed(
    source: Source,
    archive: Archive,
    days: Sequence[date],
    *,
    turn: Callable[[], bool] = lambda: False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Held:
    """Ask what was done on some days: one query a day, and one a study that irradiates.

    Parameters
    ----------
    source
        The archive.
    archive
        Which modalities count.
    days
        Days of its calendar.
    turn
        Called before each study; True ends the asking, which then counts as incomplete.
    progress
        Called as the work goes on.

    Raises
    ------
    PeerError
        If the days cannot be asked for; a single study that fails is complained about.
    """
    held = Held()
    for day in days:
        answers = source.studies(day)
        held.complaints += answers.complaints
        studies = [s for s in answers.rows if _irradiates(s, archive)]
        for number, study in enumerate(studies):
            if turn():
                asked = f"the rest of {day}"
                held.complaints.append(Complaint(asked=asked, seen="stopped"))
                return held
            held.performed += _of_study(source, archive, study, day, held.complaints)
            progress(f"studies of {day}", number + 1, len(studies))
    return held


def _irradiates(study: Study, archive: Archive) -> bool:
    return not study.modalities or bool(set(study.modalities) & {*archive.modalities, REPORT})


def _of_study(
    source: Source, archive: Archive, study: Study, day: date, complaints: list[Complaint]
) -> list[Performed]:
    series: list[Series] | None = None
    if archive.traits.has_series_level:
        try:
            answers = source.series(study.uid)
            complaints += answers.complaints
            series = answers.rows
        except PeerError as error:
            complaints.append(Complaint(asked=f"series of study {study.uid}", seen=str(error)))
            source.reset()
    if series is None:
        known = [m for m in study.modalities if m in archive.modalities]
        return [Performed(study_uid=study.uid, day=day, time=study.time, modality=m) for m in known]
    return _by_modality(study, series, archive, day)


def _by_modality(
    study: Study, series: Sequence[Series], archive: Archive, day: date
) -> list[Performed]:
    """One a modality that irradiates; a study of reports alone is one of unknown modality."""
    reports = tuple(s.uid for s in series if s.modality == REPORT)
    ordered = sorted(series, key=lambda s: (s.number is None, s.number or 0, s.uid))
    first: dict[str | None, Series] = {}
    for one in ordered:
        if one.modality in archive.modalities:
            first.setdefault(one.modality, one)
    if not first and reports:
        first[None] = next(s for s in ordered if s.modality == REPORT)
    return [
        Performed(
            study_uid=study.uid,
            day=day,
            time=study.time,
            modality=modality,
            station=one.station,
            manufacturer=one.manufacturer,
            model=one.model,
            report_series=reports,
        )
        for modality, one in first.items()
    ]
