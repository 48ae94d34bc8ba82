"""Archives that misbehave: each is retried, reported with what was asked and seen, not skipped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom import Dataset

from dose_lib.errors import PeerError
from dose_lib.settings import Settings
from pipelines.collect.journal import Fate
from pipelines.receive import Receiver
from tests.collect.bad_pacs import PENDING, BadPacs, Find, Move
from tests.collect.harness import Outcome, objects, uids
from tests.collect.peers import LOCAL, free_port

pytestmark = pytest.mark.slow

Answers = Iterator[tuple[int, Dataset | None]]


@pytest.fixture
def play(collecting: Settings, request: pytest.FixtureRequest) -> Any:
    """Starts our listener and an archive with habits."""
    stack: list[Any] = []

    def start(
        find: Find | None = None, move: Move | None = None, n: int = 2, listens: bool = True
    ) -> Outcome[BadPacs]:
        bad = BadPacs(objects(n), collecting.dicom_port, find, move)
        for manager in (*([Receiver(collecting)] if listens else []), bad.running()):
            manager.__enter__()
            stack.append(manager)
        return Outcome(collecting, bad)

    yield start
    for manager in reversed(stack):
        manager.__exit__(None, None, None)


def test_a_good_one_first(play: Any) -> None:
    """The archive of these tests is right as long as it has no habit."""
    outcome = play().run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(2)
    assert not outcome.pauses


def test_nobody_listens(collecting: Settings) -> None:
    pacs = BadPacs([], collecting.dicom_port)
    pacs.port = free_port()
    outcome = Outcome(collecting, pacs).run()
    assert "cannot be reached (Connection refused)" in (outcome.summary.problem or "")
    assert len(outcome.pauses) == 1
    assert outcome.summary.incomplete


def test_a_query_that_is_never_answered(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        pacs.over.wait(5)
        yield from ()

    outcome = play(find).run(timeout_s=0.3)
    assert "asked for studies of 2026-11-20; no answer" in (outcome.summary.problem or "")
    assert outcome.peer.n_associations == 2, "tried again on a new association"
    assert not outcome.summary.is_complete


def test_pending_for_ever(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        while not pacs.over.is_set() and not event.is_cancelled:
            yield from pacs.right_find(event, query)

    outcome = play(find).run(max_answers=50)
    problem = outcome.summary.problem or ""
    assert "50 answers and no end of them" in problem
    assert "max_answers" in problem


def test_pending_for_ever_but_slowly(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        while not pacs.over.wait(0.1):
            yield from pacs.right_find(event, query)

    began = time.monotonic()
    outcome = play(find).run(query_limit_s=0.5, attempts=1)
    assert "no end of them" in (outcome.summary.problem or "")
    assert time.monotonic() - began < 60


def test_a_query_that_fails_once_is_asked_again(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if pacs.n_finds == 1:
            yield 0xC001, None
        else:
            yield from pacs.right_find(event, query)

    outcome = play(find).run()
    assert outcome.summary.is_complete
    assert outcome.arrived == uids(2)
    assert len(outcome.pauses) == 1


def test_answers_that_are_double_or_malformed(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        for status, answer in pacs.right_find(event, query):
            yield status, answer
            yield status, answer
        if query.QueryRetrieveLevel == "STUDY":
            nameless, other_day = Dataset(), Dataset()
            nameless.StudyDate = "20261120"
            yield PENDING, nameless
            other_day.StudyInstanceUID, other_day.StudyDate = "1.2.3", "20200101"
            yield PENDING, other_day

    outcome = play(find).run()
    assert outcome.arrived == uids(2)
    assert outcome.summary.outcomes == {"taken": 2}
    assert not outcome.summary.is_complete, "who knows what the bad answers were"
    seen = " | ".join(c.seen for c in outcome.summary.complaints)
    assert "1 answers that cannot be used: no StudyInstanceUID" in seen
    assert "1 studies of other days, such as 2020-01-01" in seen


def test_an_answer_that_cannot_be_decoded(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if query.QueryRetrieveLevel == "STUDY":
            pacs.send_raw_answer(event, b"\x08\x00\x99\x11\xff\xff\xff\xffhello world")
        yield from pacs.right_find(event, query)

    outcome = play(find).run()
    assert outcome.arrived == uids(2)
    assert "1 answers that cannot be used: cannot be decoded" in str(outcome.summary.complaints)


def test_garbage_in_an_identifier_is_no_study(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if query.QueryRetrieveLevel == "STUDY":
            value = b"hello"
            head = (0x0020).to_bytes(2, "little") + (0x000D).to_bytes(2, "little")
            pacs.send_raw_answer(event, head + len(value).to_bytes(4, "little") + value)
        yield from pacs.right_find(event, query)

    outcome = play(find).run()
    assert outcome.arrived == uids(2)
    assert "StudyInstanceUID that is no UID" in str(outcome.summary.complaints)


def test_a_listed_study_without_series_is_not_taken_for_empty(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if query.QueryRetrieveLevel == "STUDY":
            yield from pacs.right_find(event, query)

    outcome = play(find).run()
    assert outcome.summary.outcomes == {"failed": 2}
    assert "no series, though it is listed" in outcome.reasons


def test_a_day_without_studies_is_asked_for_twice(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if pacs.n_finds > 1:
            yield from pacs.right_find(event, query)

    outcome = play(find, n=1).run()
    assert outcome.arrived == uids(1)


def test_a_listed_series_without_objects_is_asked_for_again(play: Any) -> None:
    """Seen with Orthanc under load, once in 10,000 studies: no object, and no error."""

    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        if query.QueryRetrieveLevel == "IMAGE" and pacs.n_finds <= 3:
            return
        yield from pacs.right_find(event, query)

    outcome = play(find, n=1).run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(1)
    assert len(outcome.pauses) == 1


@pytest.mark.parametrize(("level", "says"), [("IMAGE", "none, though it is"), ("SERIES", "no SR")])
def test_what_contradicts_itself_is_not_taken_for_empty(play: Any, level: str, says: str) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        for status, answer in pacs.right_find(event, query):
            if query.QueryRetrieveLevel != level:
                yield status, answer
            elif level == "SERIES" and answer is not None:
                answer.Modality = "CT"
                yield status, answer

    outcome = play(find, n=1).run()
    assert outcome.summary.outcomes == {"failed": 1}
    assert says in outcome.reasons


def test_part_of_a_retrieval_is_refused(play: Any) -> None:
    """One study's object cannot be sent: the others come, this one stays open with its reason."""
    unlucky = objects(3)[1]

    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        if query.SOPInstanceUID != unlucky.sop_instance_uid:
            yield from pacs.right_move(event, query)
            return
        image = deepcopy(next(o for o in pacs.data if pacs.matches(o, query)))
        image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # a class our listener does not take
        yield LOCAL, pacs.listener_port
        yield 1
        yield PENDING, image

    outcome = play(None, move, n=3).run()
    assert outcome.arrived == uids(3) - {unlucky.sop_instance_uid}
    assert outcome.summary.outcomes == {"taken": 2, "failed": 1}
    assert outcome.peer.n_moves == 4, "the refused one was tried twice"
    (failed,) = [e for e in outcome.entries if e.outcome is Fate.FAILED]
    assert f"asked for object {unlucky.sop_instance_uid}" in (failed.reason or "")
    assert "1 failed" in (failed.reason or "")
    assert failed.retry_at is not None


def test_what_failed_is_tried_later_and_given_up_in_the_end(play: Any) -> None:
    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        yield None, None  # destination unknown

    outcome = play(None, move, n=1)
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    outcome.run(clock=now, give_up_after=2)
    assert "0xA801 (it does not know our AE title as a destination)" in outcome.reasons
    outcome.run(clock=now + timedelta(minutes=5), give_up_after=2)
    assert outcome.peer.n_moves == 2, "not before its time"
    outcome.run(clock=now + timedelta(minutes=11), give_up_after=2)
    assert [e.outcome for e in outcome.entries] == [Fate.GIVEN_UP]
    outcome.run(clock=now + timedelta(days=9), give_up_after=2)
    assert outcome.peer.n_moves == 4
    assert not outcome.summary.is_complete, "what was given up is still reported"


def test_something_else_than_asked_is_moved(play: Any) -> None:
    first, second = objects(2)

    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        other = first if query.SOPInstanceUID == second.sop_instance_uid else second
        yield LOCAL, pacs.listener_port
        yield 1
        yield PENDING, next(o for o in pacs.data if o.SOPInstanceUID == other.sop_instance_uid)

    def only_first(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        for status, answer in pacs.right_find(event, query):
            if answer is not None and answer.StudyInstanceUID == first.study_uid:
                yield status, answer

    outcome = play(only_first, move).run()
    assert outcome.arrived == {second.sop_instance_uid}
    assert outcome.summary.outcomes == {"failed": 1}
    assert "success, and it did not come to our listener" in outcome.reasons


def test_success_is_said_and_nothing_comes(play: Any) -> None:
    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        yield LOCAL, pacs.listener_port
        yield 0

    outcome = play(None, move, n=1).run()
    assert outcome.summary.outcomes == {"failed": 1}
    assert "asked for object" in outcome.reasons
    assert "seen: status 0x0000 (success), 0 done" in outcome.reasons


def test_the_connection_is_lost_in_the_middle_of_a_move(play: Any) -> None:
    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        if pacs.n_moves == 1:
            event.assoc.abort()
            return
        yield from pacs.right_move(event, query)

    outcome = play(None, move).run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(2)
    assert len(outcome.pauses) == 1


def test_the_connection_is_lost_every_time(play: Any) -> None:
    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        event.assoc.abort()
        yield from ()

    outcome = play(None, move, n=8).run(attempts=1)
    assert outcome.summary.outcomes == {"failed": 5}, "an outage ends the run"
    assert "5 studies in a row failed" in (outcome.summary.problem or "")
    assert "3 studies are open" in str(outcome.summary.incomplete)


def test_a_move_that_makes_no_progress(play: Any) -> None:
    def move(pacs: BadPacs, event: Any, query: Dataset) -> Iterator[Any]:
        for _ in range(100):
            if pacs.over.wait(0.05) or not event.assoc.is_established:
                break
            pacs.send_raw_progress(event)
        yield LOCAL, pacs.listener_port
        yield 0

    outcome = play(None, move, n=1).run(move_limit_s=0.5, attempts=1)
    assert "no progress" in outcome.reasons
    assert "0 done, 0 failed" in outcome.reasons


def test_we_are_rejected(collecting: Settings) -> None:
    """An archive that does not know us says so, and so do we."""
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    entity = AE("BADPACS")
    entity.add_supported_context(Verification)
    entity.require_calling_aet = ["SOMEBODY"]
    server = entity.start_server((LOCAL, 0), block=False)
    try:
        pacs = BadPacs([], collecting.dicom_port)
        pacs.port = server.socket.getsockname()[1]
        outcome = Outcome(collecting, pacs).run(attempts=1)
        assert "our calling AE title is not known to it" in (outcome.summary.problem or "")
    finally:
        server.shutdown()


def test_the_pause_grows_with_each_failure(play: Any) -> None:
    def find(pacs: BadPacs, event: Any, query: Dataset) -> Answers:
        yield 0xC001, None

    outcome = play(find).run(attempts=5)
    assert len(outcome.pauses) == 4
    assert outcome.pauses == sorted(outcome.pauses)
    assert outcome.pauses[3] > 3 * outcome.pauses[1]


def test_line_needs_the_service(play: Any) -> None:
    from pipelines.collect.line import WORKLIST, Line
    from pipelines.collect.retrieve import called_of

    outcome = play()
    archive = outcome.peer.describe()
    with (
        pytest.raises(PeerError, match=r"does not offer|no association|rejected|ended"),
        Line(called_of(archive, outcome.settings), (WORKLIST,)) as line,
    ):
        line.find(Dataset(), "a worklist", model=WORKLIST)
