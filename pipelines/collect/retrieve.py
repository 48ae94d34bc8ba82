"""A DICOM archive as a source: queries and retrieval on lines that are opened when needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Protocol

import msgspec
from pydicom import Dataset
from pynetdicom import ALL_TRANSFER_SYNTAXES, DEFAULT_TRANSFER_SYNTAXES

from dose_lib import Settings
from dose_lib.errors import OutOfRoomError, ReceiveError
from pipelines.collect.answer import Answers, Complaint, Item, Series, Study
from pipelines.collect.choose import DOSE_REPORTS, GENERAL_REPORTS, IMAGES, Wanted
from pipelines.collect.line import FIND, GET, MOVE, Line
from pipelines.collect.pacs import Pacs
from pipelines.collect.peer import Called, Moved
from pipelines.collect.query import query_items, query_series, query_studies, studies_of_day
from pipelines.envelope import make_receipt, part10, transfer_syntax_of
from pipelines.pixels import Pixels
from pipelines.spool import Spool

_SUCCESS, _OUT_OF_RESOURCES = 0x0000, 0xA700
_AT_ONCE = 50  # UIDs in the identifier of one retrieval


class Fetched(msgspec.Struct, kw_only=True):
    """What a retrieval brought.

    Attributes
    ----------
    arrived
        Objects in our spool; None where others receive them: spool and ledger tell then.
    complaints
        What went wrong: what was asked, what was seen.
    """

    arrived: set[str] | None = None
    complaints: list[Complaint] = msgspec.field(default_factory=list)


class Source(Protocol):
    """Any archive that can be asked for studies and gives objects.

    Attributes
    ----------
    every
        Every n-th image of a CT series is measured for the patient's size; 0: none.
    """

    every: int

    def studies(self, day: date) -> Answers[Study]:
        """Studies of a day."""

    def series(self, study_uid: str) -> Answers[Series]:
        """Series of a study."""

    def items(self, study_uid: str, series_uid: str) -> Answers[Item]:
        """Objects of a series."""

    def fetch(self, study_uid: str, wanted: Sequence[Wanted]) -> Fetched:
        """Bring objects into the spool."""

    def reset(self) -> None:
        """Drop connections after an error; the next question opens them again."""

    def close(self) -> None:
        """End connections in good order."""


def called_of(pacs: Pacs, settings: Settings) -> Called:
    """Whom to call for an archive."""
    return Called(
        name=pacs.name,
        ae_title=pacs.ae_title,
        host=pacs.host,
        port=pacs.port,
        calling=pacs.calling_ae_title or settings.ae_title,
        tls=pacs.tls,
        timeout_s=pacs.timeout_s,
        idle_limit_s=max(pacs.move_limit_s, pacs.query_limit_s),
    )


class DicomSource:
    """An archive that speaks query and retrieve.

    Parameters
    ----------
    pacs
        The archive.
    settings
        Of the installation.
    spool
        Where C-GET puts objects; C-MOVE goes to our listener, which has the same.
    """

    def __init__(self, pacs: Pacs, settings: Settings, spool: Spool) -> None:
        self._pacs, self._spool = pacs, spool
        self._called = called_of(pacs, settings)
        self._destination = pacs.move_destination or settings.ae_title
        self._most_bytes = settings.max_object_mb * 1_000_000
        self.every = settings.measure_every_image
        self._pixels = Pixels(self.every)
        self._finding: Line | None = None
        self._fetching: Line | None = None
        self._taken = _Taken()

    def studies(self, day: date) -> Answers[Study]:
        """Studies of a day, in parts where the answers may be cut."""
        return studies_of_day(
            lambda window, modality: query_studies(self._find, self._pacs, window, modality),
            day,
            self._pacs,
        )

    def series(self, study_uid: str) -> Answers[Series]:
        """Series of a study."""
        return query_series(self._find, self._pacs, study_uid)

    def items(self, study_uid: str, series_uid: str) -> Answers[Item]:
        """Objects of a series."""
        return query_items(self._find, self._pacs, study_uid, series_uid)

    def fetch(self, study_uid: str, wanted: Sequence[Wanted]) -> Fetched:
        """Have objects sent to us.

        Raises
        ------
        PeerError
            If the archive refuses as a whole or the connection is lost.
        OutOfRoomError
            If our spool is full.
        """
        self._taken = _Taken()
        fetched = Fetched()
        for query, asked, uids in _retrievals(study_uid, wanted):
            moved = self._retrieve(query, asked)
            if self._taken.no_room is not None:
                raise self._taken.no_room
            fetched.complaints += _complaints(moved, asked, len(uids))
        if self._pacs.retrieve == "c-get":
            fetched.arrived = set(self._taken.uids)
            fetched.complaints += self._taken.complaints
            strange = fetched.arrived - {w.object_uid for w in wanted}
            if strange and all(w.object_uid for w in wanted):
                seen = f"{len(strange)} other objects, such as {min(strange)}"
                asked = f"objects of study {study_uid}"
                fetched.complaints.append(Complaint(asked=asked, seen=seen))
        return fetched

    def reset(self) -> None:
        """Cut both lines."""
        for line in (self._finding, self._fetching):
            if line is not None:
                line.cut()
        self._finding = self._fetching = None

    def close(self) -> None:
        """Release both lines."""
        for line in (self._finding, self._fetching):
            if line is not None:
                line.close()
        self._finding = self._fetching = None
        self._pixels.close()

    @property
    def _find(self) -> Line:
        if self._finding is None or not self._finding.is_open:
            self._finding = Line(self._called, (FIND,))
        return self._finding

    @property
    def _fetch(self) -> Line:
        if self._fetching is None or not self._fetching.is_open:
            if self._pacs.retrieve == "c-get":
                stored = tuple(_storage(images=self._pacs.images != "never"))
                self._fetching = Line(self._called, (GET,), stored=stored, on_store=self._take)
            else:
                self._fetching = Line(self._called, (MOVE,))
        return self._fetching

    def _retrieve(self, query: Dataset, asked: str) -> Moved:
        limit = self._pacs.move_limit_s
        if self._pacs.retrieve == "c-get":
            return self._fetch.get(query, asked, limit_s=limit)
        return self._fetch.move(query, asked, self._destination, limit_s=limit)

    def _take(self, event: Any) -> int:
        """Keep one object of a C-GET; in the spool before it is answered."""
        request, context = event.request, event.context
        content = request.DataSet.getvalue()
        uid, sop_class = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
        syntax = str(context.transfer_syntax)
        names = {"sop_class": sop_class, "sop_instance_uid": uid, "transfer_syntax": syntax}
        kept = self._pixels.keep(part10(content, **names))
        names["transfer_syntax"] = transfer_syntax_of(kept.data) or syntax
        if len(kept.data) > self._most_bytes:
            return self._taken.refuse(uid, "larger than max_object_mb", _OUT_OF_RESOURCES)
        receipt = make_receipt(
            kept.data,
            "c-get",
            caller=self._called.ae_title,
            called=self._called.calling,
            address=self._called.host,
            derived=kept.derived,
            **names,
        )
        try:
            self._spool.put(kept.data, receipt)
        except OutOfRoomError as error:
            self._taken.no_room = error
            return self._taken.refuse(uid, "no room in our spool", _OUT_OF_RESOURCES)
        except ReceiveError as error:
            return self._taken.refuse(uid, error.seen, _OUT_OF_RESOURCES)
        self._taken.uids.add(uid)
        return _SUCCESS


class _Taken:
    """What one C-GET brought."""

    def __init__(self) -> None:
        self.uids: set[str] = set()
        self.complaints: list[Complaint] = []
        self.no_room: OutOfRoomError | None = None

    def refuse(self, uid: str, why: str, status: int) -> int:
        self.complaints.append(Complaint(asked=f"object {uid}", seen=why))
        return status


def _storage(*, images: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    for uid in sorted(DOSE_REPORTS | GENERAL_REPORTS):
        yield uid, tuple(map(str, DEFAULT_TRANSFER_SYNTAXES))
    for uid in sorted(IMAGES) if images else ():
        yield uid, tuple(map(str, ALL_TRANSFER_SYNTAXES))


def _retrievals(
    study_uid: str, wanted: Sequence[Wanted]
) -> Iterator[tuple[Dataset, str, list[str]]]:
    """Identifier, words and UIDs of each retrieval: an object at a time, many in lists."""
    for series in dict.fromkeys(w.series_uid for w in wanted):
        uids = [w.object_uid for w in wanted if w.series_uid == series and w.object_uid]
        query = Dataset()
        query.StudyInstanceUID = study_uid
        if series is None:
            query.QueryRetrieveLevel = "STUDY"
            yield query, f"study {study_uid}", []
            continue
        query.SeriesInstanceUID = series
        if not uids:
            query.QueryRetrieveLevel = "SERIES"
            yield query, f"series {series}", []
            continue
        query.QueryRetrieveLevel = "IMAGE"
        size = 1 if len(uids) <= 5 else _AT_ONCE
        for at in range(0, len(uids), size):
            some = uids[at : at + size]
            one = Dataset(query)
            one.SOPInstanceUID = some if len(some) > 1 else some[0]
            words = f"object {some[0]}" if len(some) == 1 else f"{len(some)} objects of {series}"
            yield one, words, some


def _complaints(moved: Moved, asked: str, n: int) -> list[Complaint]:
    """What is wrong with how a retrieval ended, by its own account."""
    if moved.failed or moved.status != _SUCCESS:
        failed = f", failed: {', '.join(moved.failed_uids[:3])}" if moved.failed_uids else ""
        return [Complaint(asked=asked, seen=moved.words + failed)]
    if not n and not moved.completed and not moved.warned:
        return [Complaint(asked=asked, seen="success, and nothing was sent")]
    if n and moved.completed is not None and moved.completed + (moved.warned or 0) < n:
        return [Complaint(asked=asked, seen=f"{moved.words}, of {n}")]
    return []
