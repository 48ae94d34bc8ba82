"""An archive that misbehaves as it is told: a pynetdicom SCP whose habits are functions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_FIND, C_MOVE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.collect.retrieve import DicomSource, Source
from pipelines.spool import Spool
from tests.collect.peers import LOCAL

Find = Callable[["BadPacs", Any, Dataset], Iterator[tuple[int, Dataset | None]]]
Move = Callable[["BadPacs", Any, Dataset], Iterator[Any]]

PENDING, SUCCESS = 0xFF00, 0x0000
_SR = ("1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.22")


class BadPacs:
    """Holds objects, answers rightly, except where a habit says otherwise.

    Parameters
    ----------
    objects
        What it holds.
    listener_port
        Where it sends what is to be moved.
    find, move
        Habits; each may fall back on `right_find` and `right_move`.
    """

    def __init__(
        self,
        objects: list[SimObject],
        listener_port: int,
        find: Find | None = None,
        move: Move | None = None,
    ) -> None:
        self.data = [dcmread(BytesIO(o.data)) for o in objects]
        self.listener_port = listener_port
        self._find_habit, self._move_habit = find or BadPacs.right_find, move or BadPacs.right_move
        self.n_finds = self.n_moves = self.n_associations = 0
        self.over = threading.Event()
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[BadPacs]:
        """Listens until it is left."""
        entity = AE("BADPACS")
        entity.maximum_associations = 100
        entity.supported_contexts = [
            build_context(uid)
            for uid in (
                Verification,
                StudyRootQueryRetrieveInformationModelFind,
                StudyRootQueryRetrieveInformationModelMove,
                StudyRootQueryRetrieveInformationModelGet,
            )
        ]
        # What it sends on moving, beside two kinds that our listener does not take.
        entity.requested_contexts = [
            build_context(uid) for uid in (*_SR, "1.2.840.10008.5.1.4.1.1.2")
        ]
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_ACCEPTED, self._count),
        ]
        server = entity.start_server((LOCAL, 0), block=False, evt_handlers=handlers)
        self.port = server.socket.getsockname()[1]
        try:
            yield self
        finally:
            self.over.set()
            server.shutdown()

    def describe(self, **more: object) -> Pacs:
        """Its description."""
        given: dict[str, object] = {
            "name": "bad",
            "ae_title": "BADPACS",
            "host": LOCAL,
            "port": self.port,
            "studies_per_minute": 0,
            "attempts": 2,
            "timeout_s": 1.0,
        }
        return Pacs.model_validate(given | more)

    def open(self, archive: Pacs | WebArchive, settings: Settings) -> Source:
        """It, ready to be asked."""
        assert isinstance(archive, Pacs)
        return DicomSource(archive, settings, Spool(settings.spool_dir))

    # --- what a good one does ---------------------------------------------------------

    def right_find(self, event: Any, query: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        """Answers that follow the standard."""
        level = query.QueryRetrieveLevel
        keys = {
            "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime"),
            "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber"),
            "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
        }[level]
        seen = set()
        for one in self.data:
            if not self.matches(one, query):
                continue
            answer = Dataset()
            answer.QueryRetrieveLevel = level
            for keyword in keys:
                setattr(answer, keyword, one.get(keyword))
            if level == "STUDY":
                answer.ModalitiesInStudy = ["CT", "SR"]
            if (uid := answer[keys[-1] if level == "IMAGE" else keys[0]].value) in seen:
                continue
            seen.add(uid)
            yield PENDING, answer

    def matches(self, one: Dataset, query: Dataset) -> bool:
        """True if an object fits the keys of a query."""
        keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "StudyDate")
        return all(not query.get(k) or one.get(k) == query.get(k) for k in keys)

    def right_move(self, event: Any, query: Dataset) -> Iterator[Any]:
        """Sends what was asked for."""
        wanted = [o for o in self.data if self.matches(o, query)]
        yield LOCAL, self.listener_port
        yield len(wanted)
        for one in wanted:
            yield PENDING, one

    # --- tools for habits -------------------------------------------------------------

    def send_raw_answer(self, event: Any, identifier: bytes) -> None:
        """A pending answer to a C-FIND with any bytes as its identifier."""
        answer = C_FIND()
        answer.MessageIDBeingRespondedTo = event.request.MessageID
        answer.AffectedSOPClassUID = event.request.AffectedSOPClassUID
        answer.Status = PENDING
        answer.Identifier = BytesIO(identifier)
        event.assoc.dimse.send_msg(answer, event.context.context_id)

    def send_raw_progress(self, event: Any) -> None:
        """A pending answer to a C-MOVE that says that nothing has happened."""
        answer = C_MOVE()
        answer.MessageIDBeingRespondedTo = event.request.MessageID
        answer.AffectedSOPClassUID = event.request.AffectedSOPClassUID
        answer.Status = PENDING
        answer.NumberOfRemainingSuboperations = 1
        answer.NumberOfCompletedSuboperations = 0
        answer.NumberOfFailedSuboperations = 0
        answer.NumberOfWarningSuboperations = 0
        event.assoc.dimse.send_msg(answer, event.context.context_id)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.n_finds += 1
        yield from self._find_habit(self, event, event.identifier)

    def _move(self, event: Any) -> Iterator[Any]:
        self.n_moves += 1
        yield from self._move_habit(self, event, event.identifier)

    def _count(self, event: Any) -> None:
        self.n_associations += 1
