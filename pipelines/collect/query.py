"""Queries of a DICOM archive: studies of a day, series of a study, objects of a series.

Every query has its limits, and the answers of a long day are checked for being cut: many
archives stop at a number of answers without a word (PS3.4 has no status for it).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue

from dose_lib import codes
from pipelines.collect.answer import (
    Answers,
    Attributes,
    Complaint,
    Item,
    Series,
    Study,
    Window,
    read_items,
    read_series,
    read_studies,
    united_studies,
)
from pipelines.collect.line import Line
from pipelines.collect.pacs import Archive, Pacs
from pipelines.collect.peculiarity import Traits
from pipelines.collect.peer import StatusError

SUSPECT = 100  # so many answers, or a multiple of it, may be a limit nobody told us
_TOO_MANY = (0xA700, 0xA701)

STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "ModalitiesInStudy")
STUDY_MORE = ("SOPClassesInStudy", "NumberOfStudyRelatedInstances")
SERIES = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription")
SERIES_MORE = (
    *("NumberOfSeriesRelatedInstances", "StationName", "Manufacturer"),
    "ManufacturerModelName",
)
ITEM = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ImageType")
TITLE = "ConceptNameCodeSequence"

Ask = Callable[[Window, str | None], Answers[Study]]
"""Asks for studies of a window of time, of one modality or of all."""


def query_studies(line: Line, pacs: Pacs, window: Window, modality: str | None) -> Answers[Study]:
    """Studies of a window of time, as the archive describes them."""
    traits = pacs.traits
    query = _query("STUDY", (*STUDY, *STUDY_MORE), StudyDate=f"{window.day:%Y%m%d}")
    if not window.is_whole_day:
        query.StudyTime = f"{window.start}00-{window.end}59.999"
    if modality is not None:
        query.ModalitiesInStudy = modality
    if traits.wants_empty_modality:
        query.Modality = ""
    asked = f"studies of {window}" + (f" with {modality}" if modality else "")
    found = line.find(query, asked, most=pacs.max_answers, limit_s=pacs.query_limit_s)
    return read_studies((_attributes(a) for a in found), asked, window.day)


def query_series(line: Line, pacs: Pacs, study_uid: str) -> Answers[Series]:
    """Series of a study."""
    query = _query("SERIES", (*SERIES, *SERIES_MORE), StudyInstanceUID=study_uid)
    asked = f"series of study {study_uid}"
    found = line.find(query, asked, most=pacs.max_answers, limit_s=pacs.query_limit_s)
    return read_series((_attributes(a) for a in found), asked, study_uid)


def query_items(line: Line, pacs: Pacs, study_uid: str, series_uid: str) -> Answers[Item]:
    """Objects of a series."""
    query = _query("IMAGE", ITEM, StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
    title = Dataset()
    title.CodeValue = title.CodingSchemeDesignator = title.CodeMeaning = ""
    query.ConceptNameCodeSequence = [title]
    asked = f"objects of series {series_uid}"
    found = line.find(query, asked, most=pacs.max_answers, limit_s=pacs.query_limit_s)
    return read_items((_attributes(a) for a in found), asked, series_uid)


def studies_of_day(ask: Ask, day: date, archive: Archive) -> Answers[Study]:
    """All studies of a day, asked for in parts where the whole is, or may be, cut.

    Parameters
    ----------
    ask
        Asks the archive once.
    day
        The day.
    archive
        Its modalities and peculiarities.

    Returns
    -------
    Answers
        `is_cut` if the archive holds back answers whatever is asked.
    """
    traits = archive.traits
    each = traits.by_modality and traits.matches_modalities
    found: Answers[Study] = Answers()
    for modality in (*archive.modalities, "SR") if each else (None,):
        found.add(_ask(ask, Window(day), modality, archive))
    found.rows = united_studies(found.rows)
    return found


def _ask(ask: Ask, window: Window, modality: str | None, archive: Archive) -> Answers[Study]:
    """Ask once, and in halves, or by modality, where that may bring more."""
    try:
        found = ask(window, modality)
    except StatusError as error:
        if error.status not in _TOO_MANY:
            raise
        found = Answers(is_cut=True)
    traits = archive.traits
    if not found.is_cut and not _may_be_cut(found.n_read, traits):
        return found
    is_certain = found.is_cut or bool(traits.result_limit)
    parts = _in_halves(ask, window, modality, archive, found)
    if parts is None and modality is None and traits.matches_modalities:
        parts = _by_modality(ask, window, archive)
    if parts is None:
        found.is_cut = True
        n = found.n_read
        seen = f"{n} answers and no more" if is_certain else f"exactly {n} answers: a limit?"
        asked = f"studies of {window}" + (f" with {modality}" if modality else "")
        found.complaints.append(Complaint(asked=asked, seen=seen))
        return found
    # Studies without a time are in no half: what the whole gave counts too.
    parts.rows += found.rows
    parts.complaints += found.complaints
    return parts


def _may_be_cut(n: int, traits: Traits) -> bool:
    if traits.result_limit:
        return n >= traits.result_limit
    return n >= SUSPECT and n % SUSPECT == 0


def _in_halves(
    ask: Ask, window: Window, modality: str | None, archive: Archive, whole: Answers[Study]
) -> Answers[Study] | None:
    """Both halves; None if the archive does not cut by time, or cannot be cut further."""
    halves = window.halves() if archive.traits.matches_time else None
    if halves is None:
        return None
    first = _once(ask, halves[0], modality)
    if first is not None and whole.rows and _uids(first) == _uids(whole):
        # All in the morning, or the time of day is ignored: the afternoon tells.
        second = _once(ask, halves[1], modality)
        if second is not None and _uids(second) == _uids(whole):
            return None
    parts = _ask(ask, halves[0], modality, archive)
    parts.add(_ask(ask, halves[1], modality, archive))
    return parts


def _once(ask: Ask, window: Window, modality: str | None) -> Answers[Study] | None:
    with suppress(StatusError):
        return ask(window, modality)
    return None


def _by_modality(ask: Ask, window: Window, archive: Archive) -> Answers[Study]:
    parts: Answers[Study] = Answers()
    for modality in (*archive.modalities, "SR"):
        parts.add(_ask(ask, window, modality, archive))
    return parts


def _uids(found: Answers[Study]) -> set[str]:
    return {s.uid for s in found.rows}


def _query(level: str, keywords: Iterable[str], **keys: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(query, keyword, "" if not keyword.startswith("Number") else None)
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


READ = (*STUDY, *STUDY_MORE, *SERIES, *SERIES_MORE, *ITEM)


def _attributes(answer: Dataset | None) -> Attributes | None:
    """The attributes we know, as texts; None for an answer that could not be decoded."""
    if answer is None:
        return None
    return {keyword: _texts(answer, keyword) for keyword in READ} | {TITLE: _title(answer)}


def _texts(answer: Dataset, keyword: str) -> list[str]:
    """Values as they came: what is no valid value must not stop the answer from being read."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in answer:
        return []
    element: RawDataElement | DataElement | None = answer.get_item(tag)
    if element is None:
        return []
    if isinstance(element, RawDataElement):
        text = (element.value or b"").decode("utf-8", "replace")
        return [part.strip(" \0") for part in text.split("\\")]
    value = element.value
    values = value if isinstance(value, MultiValue | list) else [value]
    return [str(v).strip(" \0") for v in values if v is not None]


def _title(answer: Dataset) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom thinks of a value that we only compare
        try:
            items = answer.get(TITLE) or []
            return [
                codes.fold(str(i.CodeValue), str(i.CodingSchemeDesignator))
                for i in items
                if i.get("CodeValue") and i.get("CodingSchemeDesignator")
            ]
        except (AttributeError, ValueError, TypeError, NotImplementedError):
            return []
