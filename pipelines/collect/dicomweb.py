"""A web archive as a source: QIDO-RS finds, WADO-RS brings, /metadata where bulk is not needed.

Paging is not taken on trust: an archive may give shorter pages than it was asked for, and
may ignore the offset. A page is followed by the next until one brings nothing new.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from dose_lib import Settings
from dose_lib.dicom.identify import peek
from dose_lib.errors import PeerError, ReadError
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
)
from pipelines.collect.choose import IMAGES, Wanted
from pipelines.collect.dicomjson import attributes_of, object_of, read_list
from pipelines.collect.multipart import BodyPart, boundary_of, read_parts
from pipelines.collect.pacs import WebArchive
from pipelines.collect.peer import StatusError
from pipelines.collect.query import (
    ITEM,
    SERIES,
    SERIES_MORE,
    STUDY,
    STUDY_MORE,
    SUSPECT,
    TITLE,
    studies_of_day,
)
from pipelines.collect.retrieve import Fetched, Source
from pipelines.collect.web import Body, WebLine
from pipelines.envelope import make_receipt, transfer_syntax_of
from pipelines.pixels import Pixels
from pipelines.spool import Spool

log = logging.getLogger(__name__)

_JSON = ("application/dicom+json", "application/json")
_DICOM = "application/dicom"
# This alone: beside a second media type Orthanc 1.10 answers 400.
_AS_OBJECTS = f'multipart/related; type="{_DICOM}"; transfer-syntax=*'
_AS_PLAIN = f'multipart/related; type="{_DICOM}"; transfer-syntax=1.2.840.10008.1.2.1'
_MOST_JSON = 64_000_000  # bytes of one answer in JSON
_NO_CONTENT = 204
_TOO_MUCH = 413
# Statuses that speak of the resource or its form: the same in another form may be there.
_OTHER_FORM = (400, 404, 405, 406, 410, 415, 501)


def open_web(archive: WebArchive, settings: Settings, spool: Spool) -> Source:
    """The archive, ready to be asked."""
    return WebSource(archive, settings, spool)


class _Query(msgspec.Struct, frozen=True):
    """What is asked for: resource, words, attributes, the key of a row, matching keys."""

    path: str
    asked: str
    fields: tuple[str, ...]
    key: str
    matching: dict[str, str] = msgspec.field(default_factory=dict)


class _Pages(msgspec.Struct):
    """The rows of all pages, and whether the archive holds back more."""

    rows: list[Attributes | None] = msgspec.field(default_factory=list)
    is_cut: bool = False


class WebSource:
    """An archive that speaks DICOMweb.

    Parameters
    ----------
    archive
        The archive.
    settings
        Of the installation.
    spool
        Where objects go.
    """

    def __init__(self, archive: WebArchive, settings: Settings, spool: Spool) -> None:
        self._archive, self._spool = archive, spool
        self.every = settings.measure_every_image
        self._pixels = Pixels(self.every)
        self._most_bytes = settings.max_object_mb * 1_000_000
        self._line: WebLine | None = None

    def studies(self, day: date) -> Answers[Study]:
        """Studies of a day, in parts where the answers may be cut."""
        return studies_of_day(self._studies, day, self._archive)

    def series(self, study_uid: str) -> Answers[Series]:
        """Series of a study."""
        asked = f"series of study {study_uid}"
        fields = (*SERIES, *SERIES_MORE)
        found = self._rows(
            _Query(f"studies/{study_uid}/series", asked, fields, "SeriesInstanceUID")
        )
        return _with_cut(read_series(found.rows, asked, study_uid), found, asked)

    def items(self, study_uid: str, series_uid: str) -> Answers[Item]:
        """Objects of a series."""
        asked = f"objects of series {series_uid}"
        path = f"studies/{study_uid}/series/{series_uid}/instances"
        found = self._rows(_Query(path, asked, (*ITEM, TITLE), "SOPInstanceUID"))
        return _with_cut(read_items(found.rows, asked, series_uid), found, asked)

    def fetch(self, study_uid: str, wanted: Sequence[Wanted]) -> Fetched:
        """Bring objects into the spool.

        Raises
        ------
        PeerError
            If the archive fails; what came before is in the spool.
        OutOfRoomError
            If our spool is full.
        """
        fetched = Fetched(arrived=set())
        for one in wanted:
            self._fetch_one(study_uid, one, fetched)
        strange = (fetched.arrived or set()) - {w.object_uid for w in wanted}
        if strange and all(w.object_uid for w in wanted):
            seen = f"{len(strange)} other objects, such as {min(strange)}"
            fetched.complaints.append(Complaint(asked=f"objects of study {study_uid}", seen=seen))
        return fetched

    def reset(self) -> None:
        """Drop all connections."""
        self.close()

    def close(self) -> None:
        """End all connections."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self._pixels.close()

    @property
    def _open(self) -> WebLine:
        if self._line is None:
            self._line = WebLine(self._archive)
        return self._line

    # --- queries ----------------------------------------------------------------------

    def _studies(self, window: Window, modality: str | None) -> Answers[Study]:
        keys = {"StudyDate": f"{window.day:%Y%m%d}"}
        if not window.is_whole_day:
            keys["StudyTime"] = f"{window.start}00-{window.end}59.999"
        if modality is not None:
            keys["ModalitiesInStudy"] = modality
        if self._archive.traits.wants_empty_modality:
            keys["Modality"] = ""
        asked = f"studies of {window}" + (f" with {modality}" if modality else "")
        query = _Query("studies", asked, (*STUDY, *STUDY_MORE), "StudyInstanceUID", keys)
        try:
            pages = self._rows(query, is_last_asked=True)
        except StatusError as error:
            if error.status != _TOO_MUCH:
                raise
            pages = _Pages(is_cut=True)
        found = read_studies(pages.rows, asked, window.day)
        found.is_cut = pages.is_cut
        return found

    def _rows(self, query: _Query, *, is_last_asked: bool = False) -> _Pages:
        """All pages of a query; `is_last_asked`: a short page is not taken for the last one."""
        found = _Pages()
        seen: set[str] = set()
        size = self._archive.page_size
        while True:
            page, is_partial = self._page(query, len(found.rows))
            uids = {u for row in page if row for u in row[query.key]}
            if not page or (uids <= seen and found.rows):
                # The same again: the offset is ignored, and the archive has said all it will.
                found.is_cut = is_partial or len(page) == size
                return found
            seen |= uids
            found.rows += page
            if len(found.rows) > self._archive.max_answers:
                raise PeerError(
                    f"asked for {query.asked}; {len(found.rows)} answers and no end of them",
                    expected=f"at most {self._archive.max_answers} answers",
                    where=self._open.where,
                    todo="The limit is max_answers in site/pacs.toml",
                )
            is_short = len(page) < size and len(page) % SUSPECT != 0
            if is_short and not is_partial and not is_last_asked:
                return found

    def _page(self, query: _Query, offset: int) -> tuple[list[Attributes | None], bool]:
        params: dict[str, object] = dict(query.matching)
        if self._archive.traits.has_includefield:
            params["includefield"] = list(query.fields)
        params["limit"] = str(self._archive.page_size)
        if offset:
            params["offset"] = str(offset)
        accept = ", ".join(_JSON)
        with self._open.get(query.path, query.asked, accept=accept, params=params) as body:
            if body.status == _NO_CONTENT:
                return [], False
            body.expect(*_JSON)
            rows = read_list(body.read(_MOST_JSON), query.asked, self._open.where)
            return [attributes_of(row) for row in rows], body.is_partial

    # --- retrieval --------------------------------------------------------------------

    def _fetch_one(self, study_uid: str, wanted: Wanted, fetched: Fetched) -> None:
        path, asked = f"studies/{study_uid}", f"study {study_uid}"
        if wanted.series_uid:
            path, asked = f"{path}/series/{wanted.series_uid}", f"series {wanted.series_uid}"
        if wanted.object_uid:
            path, asked = f"{path}/instances/{wanted.object_uid}", f"object {wanted.object_uid}"
        # Of an image only the header counts, and a header is what metadata are.
        is_header = wanted.sop_class in IMAGES or self._archive.reports_from == "metadata"
        if is_header and not wanted.is_for_size:
            self._fetch_metadata(path, asked, fetched)
            return
        if wanted.is_for_size and self._is_given_plain(path, asked, fetched):
            return
        try:
            self._fetch_objects(path, asked, fetched)
        except StatusError as error:
            if error.status not in _OTHER_FORM:
                raise
            log.warning(
                "object not given, its metadata are asked for",
                extra={"called": self._archive.name, "status": error.status},
            )
            self._fetch_instead(path, asked, fetched, error)

    def _is_given_plain(self, path: str, asked: str, fetched: Fetched) -> bool:
        """An image in an encoding that needs no decoder; False if the archive has no such form."""
        try:
            self._fetch_objects(path, asked, fetched, _AS_PLAIN)
        except StatusError as error:
            if error.status not in _OTHER_FORM:
                raise
            return False
        return True

    def _fetch_instead(self, path: str, asked: str, fetched: Fetched, refused: StatusError) -> None:
        """The metadata of what is not given as an object; if they fail too, the first reason."""
        try:
            self._fetch_metadata(path, asked, fetched)
        except StatusError:
            raise refused from None

    def _fetch_metadata(self, path: str, asked: str, fetched: Fetched) -> None:
        words = f"metadata of {asked}"
        with self._open.get(f"{path}/metadata", words, accept=", ".join(_JSON)) as body:
            if body.status == _NO_CONTENT:
                return
            body.expect(*_JSON)
            rows = read_list(body.read(_MOST_JSON), words, self._open.where)
            self._note_partial(body, words, fetched)
        for row in rows:
            made = object_of(row, words, self._open.where)
            self._keep(made.data, words, fetched)

    def _fetch_objects(
        self, path: str, asked: str, fetched: Fetched, accept: str = _AS_OBJECTS
    ) -> None:
        with self._open.get(path, asked, accept=accept) as body:
            if body.status == _NO_CONTENT:
                return
            for part in self._parts(body):
                self._take(part, asked, fetched)
            self._note_partial(body, asked, fetched)

    def _parts(self, body: Body) -> Iterator[BodyPart]:
        """Objects of an answer: several in a multipart, or the only one by itself."""
        body.expect("multipart/related", _DICOM)
        if body.kind == _DICOM:
            content = body.read(self._most_bytes)
            yield BodyPart(headers=body.headers, content=content, size=len(content))
            return
        boundary = boundary_of(body.headers["content-type"])
        # A series of reports may hold several; beyond this it is no answer to our question.
        most = 100 * self._most_bytes
        yield from read_parts(body.chunks(most), boundary, most_bytes=self._most_bytes)

    def _take(self, part: BodyPart, asked: str, fetched: Fetched) -> None:
        if part.content is None:
            seen = f"an object of {part.size:,} bytes, larger than max_object_mb"
            fetched.complaints.append(Complaint(asked=asked, seen=seen))
        elif part.kind not in (_DICOM, ""):
            seen = f"a part that is {part.kind}, not {_DICOM}"
            fetched.complaints.append(Complaint(asked=asked, seen=seen))
        else:
            self._keep(part.content, asked, fetched)

    def _keep(self, data: bytes, asked: str, fetched: Fetched) -> None:
        """Into the spool, as soon as it is whole; of an image the header, and the size."""
        try:
            head = peek(data)
        except ReadError as error:
            seen = f"{len(data):,} bytes that cannot be read ({error.seen})"
            fetched.complaints.append(Complaint(asked=asked, seen=seen))
            return
        kept = self._pixels.keep(data)
        receipt = make_receipt(
            kept.data,
            "dicomweb",
            caller=self._archive.name,
            address=self._open.host,
            sop_class=head.sop_class,
            sop_instance_uid=head.sop_instance_uid,
            transfer_syntax=transfer_syntax_of(kept.data) or head.transfer_syntax,
            derived=kept.derived,
        )
        self._spool.put(kept.data, receipt)
        if head.sop_instance_uid and fetched.arrived is not None:
            fetched.arrived.add(head.sop_instance_uid)

    @staticmethod
    def _note_partial(body: Body, asked: str, fetched: Fetched) -> None:
        if body.is_partial:
            seen = f"status {body.status}: only part of it"
            fetched.complaints.append(Complaint(asked=asked, seen=seen))


T = TypeVar("T")


def _with_cut(found: Answers[T], pages: _Pages, asked: str) -> Answers[T]:
    """Answers below the level of studies cannot be asked for in parts: the cut is a complaint."""
    found.is_cut = pages.is_cut
    if pages.is_cut:
        seen = f"{len(pages.rows)} answers, and the rest is held back"
        found.complaints.append(Complaint(asked=asked, seen=seen))
    return found
