"""One study of an archive: what it holds for us, what is here, what is fetched."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dose_lib.errors import PeerError
from pipelines.collect.answer import Complaint, Series, Study
from pipelines.collect.choose import (
    Choice,
    Wanted,
    choose_images,
    choose_reports,
    choose_series,
    choose_slices,
    image_series,
    passes,
    size_series,
)
from pipelines.collect.journal import Fate
from pipelines.collect.pacs import Archive
from pipelines.collect.retrieve import Source

_SHOWN = 3


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What came of looking into a study.

    Attributes
    ----------
    fate, reason
        As far as it is known; TAKEN is to be confirmed by what arrives.
    asked
        Objects that were fetched and must be here now.
    n_fetched
        Objects, or series of unknown size, that were asked for.
    complaints
        What was wrong with the answers: something may have been overlooked.
    remarks
        What was wrong with the retrieval: something may not have come.
    is_confirmed
        True if what was asked for is known to be in our spool.
    is_counted
        True if the source itself put objects into our spool: there is nothing to wait for.
    """

    fate: Fate
    reason: str | None = None
    asked: tuple[str, ...] = ()
    n_fetched: int = 0
    complaints: tuple[Complaint, ...] = ()
    remarks: tuple[Complaint, ...] = ()
    is_confirmed: bool = False
    is_counted: bool = False


def look_into(study: Study, archive: Archive, source: Source, here: set[str]) -> Look:
    """Find out what of a study is wanted, and fetch what is not here.

    Parameters
    ----------
    study
        As the archive described it.
    archive
        What is wanted of it.
    source
        Asks and fetches.
    here
        Objects of the study that were received before.

    Raises
    ------
    PeerError
        If the archive does not answer or refuses.
    """
    if reason := passes(study, archive):
        return Look(fate=Fate.NOTHING, reason=reason)
    complaints: list[Complaint] = []
    choice = _choose(study, archive, source, complaints)
    missing = [w for w in choice.wanted if w.object_uid is None or w.object_uid not in here]
    if missing:
        return _fetch(study, missing, source, complaints)
    settled = Fate.HERE if choice.wanted else Fate.NOTHING
    fate = Fate.FAILED if complaints else settled
    return Look(fate=fate, reason=choice.reason, complaints=tuple(complaints))


def _fetch(
    study: Study, missing: Sequence[Wanted], source: Source, complaints: Sequence[Complaint]
) -> Look:
    fetched = source.fetch(study.uid, missing)
    asked = tuple(w.object_uid for w in missing if w.object_uid)
    arrived, remarks = fetched.arrived, list(fetched.complaints)
    if arrived is not None and not remarks:
        seen = "success, and it did not come"
        remarks = [Complaint(asked=f"object {u}", seen=seen) for u in asked if u not in arrived]
        if not asked and not arrived:
            remarks = [Complaint(asked=f"study {study.uid}", seen="success, and nothing came")]
    return Look(
        fate=Fate.FAILED if complaints else Fate.TAKEN,
        asked=asked,
        n_fetched=len(missing) if arrived is None else len(arrived),
        complaints=tuple(complaints),
        remarks=tuple(remarks),
        is_confirmed=arrived is not None and arrived >= set(asked),
        is_counted=arrived is not None,
    )


def _choose(study: Study, archive: Archive, source: Source, complaints: list[Complaint]) -> Choice:
    if not archive.traits.has_series_level:
        return Choice(wanted=(Wanted(),))
    answers = source.series(study.uid)
    complaints += answers.complaints
    if not answers.rows and not answers.complaints:
        raise PeerError(f"asked for series of study {study.uid}; no series, though it is listed")
    if "SR" in study.modalities and not any(s.modality in ("SR", None) for s in answers.rows):
        raise PeerError(f"asked for series of study {study.uid}; no SR, though the study has one")
    choice = _of_dose(study, answers.rows, archive, source, complaints)
    if archive.images != "for-size" or not archive.traits.has_image_level:
        return choice
    slices = _for_size(study, answers.rows, source, complaints)
    known = {w.object_uid for w in slices}
    rest = (w for w in choice.wanted if w.object_uid not in known)
    return Choice(wanted=(*rest, *slices), reason=choice.reason)


def _for_size(
    study: Study, series: Sequence[Series], source: Source, complaints: list[Complaint]
) -> list[Wanted]:
    """Images on which the patient is measured."""
    found: list[Wanted] = []
    for one in size_series(series) if source.every else ():
        answers = source.items(study.uid, one.uid)
        complaints += answers.complaints
        found += choose_slices(one, answers.rows, source.every).wanted
    return found


def _of_dose(
    study: Study,
    series: Sequence[Series],
    archive: Archive,
    source: Source,
    complaints: list[Complaint],
) -> Choice:
    """Dose reports of a study, else images whose headers tell its dose."""
    chosen, reason = choose_series(series, archive)
    if not chosen:
        return Choice(reason=reason)
    choice = _of_series(study, chosen, archive, source, complaints)
    if choice.wanted or archive.images == "never":
        return choice
    images, reason = image_series(series, archive)
    if not images:
        return Choice(reason=_joined((choice.reason, reason)))
    return _of_series(study, images, archive, source, complaints)


def _of_series(
    study: Study,
    series: Sequence[Series],
    archive: Archive,
    source: Source,
    complaints: list[Complaint],
) -> Choice:
    if not archive.traits.has_image_level:
        return Choice(wanted=tuple(Wanted(series_uid=s.uid) for s in series))
    wanted: list[Wanted] = []
    reasons: list[str | None] = []
    for one in series:
        answers = source.items(study.uid, one.uid)
        complaints += answers.complaints
        if not answers.rows and not answers.complaints:
            # Measured: of 10,000 such questions Orthanc under load answered one so, wrongly.
            raise PeerError(f"asked for objects of series {one.uid}; none, though it is listed")
        is_report = one.modality in ("SR", None)
        if is_report:
            choice = choose_reports(one, answers.rows, archive)
        else:
            choice = choose_images(one, answers.rows)
        wanted += choice.wanted
        reasons.append(choice.reason)
    return Choice(wanted=tuple(wanted), reason=None if wanted else _joined(reasons))


def _joined(reasons: Sequence[str | None]) -> str | None:
    distinct = list(dict.fromkeys(r for r in reasons if r))
    return "; ".join(distinct[:_SHOWN]) or None
