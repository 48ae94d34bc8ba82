"""A defect that meets every object stops the reading; one that meets some does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines import pool
from pipelines.archive import Quarantine
from pipelines.breaker import Breaker
from pipelines.defects import Failure
from pipelines.ingest import from_both_ends
from pipelines.spool import Spool
from tests.pipelines.objects import dose_report, encode
from tests.pipelines.test_ingest import finish, ingesting, ledger, put
from tests.pipelines.workers import DEFECT, MENDED, serve_and_die, serve_and_fail, serve_nothing

BAD = Failure(seen="failed", defect="worker.py:90 read > ct.py:12 dose > KeyError")
ELSEWHERE = Failure(seen="failed", defect="worker.py:90 read > ct.py:99 dose > KeyError")
UNREADABLE = Failure(seen="cut in the middle")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def names(*numbers: int) -> list[Path]:
    return [Path(f"{n:03d}.dcm") for n in numbers]


def test_the_same_defect_in_a_row_opens_and_one_success_closes() -> None:
    breaker = Breaker("the reader", limit=3)
    assert [breaker.note(BAD) for _ in range(5)] == [False, False, False, True, True]
    assert breaker.is_open
    assert "ct.py:12 dose > KeyError" in (breaker.problem or "")
    assert breaker.note(None) is False
    assert not breaker.is_open and breaker.problem is None


@pytest.mark.parametrize("other", [None, UNREADABLE, ELSEWHERE])
def test_what_is_not_the_same_in_all_does_not_open(other: Failure | None) -> None:
    breaker = Breaker("the reader", limit=3)
    held = [breaker.note(f) for _ in range(4) for f in (BAD, BAD, other)]
    assert held == [False] * 12


def test_while_open_the_newest_is_tried_and_in_longer_steps_the_oldest() -> None:
    clock = Clock()
    breaker = Breaker("the reader", limit=1, clock=clock)
    breaker.note(BAD), breaker.note(BAD)
    assert breaker.choose(names(1, 2)) == []
    clock.now += 3
    assert breaker.choose(names(1, 2)) == names(2), "not tried yet"
    assert breaker.choose(names(1, 2)) == []
    clock.now += 3
    assert breaker.choose(names(1, 2, 3)) == names(3), "came since then"
    clock.now += 14
    assert breaker.choose(names(1, 2, 3)) == []
    clock.now += 1
    assert breaker.choose(names(1, 2, 3)) == names(3, 1)
    clock.now += 16
    assert breaker.choose(names(1, 2, 3)) == [], "waits twice as long now"
    assert breaker.choose([]) == []


def test_what_came_last_is_read_first_and_what_waits_longest_beside_it() -> None:
    assert from_both_ends(names(1, 2, 3), 4) == names(3, 2, 1)
    assert from_both_ends(names(*range(10)), 4) == names(9, 8, 0, 1)
    assert from_both_ends(names(*range(10)), 1) == names(9)
    assert from_both_ends([], 3) == []


@pytest.mark.service
def test_a_broken_reader_does_not_quarantine_a_whole_day(settings: Settings) -> None:
    """Thirty reports and a reader that fails on all; then one it can read."""
    put(settings, *(make_ct_rdsr(seed=n, study_description=DEFECT.decode()) for n in range(30)))
    spool = Spool(settings.spool_dir)
    with ingesting(settings, work=serve_and_fail) as (store, ingest):
        while not ingest.halted:
            ingest.step()
        assert "in a row with one defect" in ingest.halted
        assert len(Quarantine(settings.quarantine_dir).items()) == 10
        assert len(spool.waiting()) == 20
        assert not ingest.is_done
    # The version that mends it reads all, and what is in quarantine when asked to.
    Quarantine(settings.quarantine_dir).release([], settings.spool_dir)
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        assert {status for _, status, _ in ledger(store)} == {"stored"}
        assert ingest.halted is None


@pytest.mark.service
def test_a_workers_defect_that_goes_away_lets_all_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.breaker._FIRST_WAIT_S", 0.1)
    put(settings, *(make_ct_rdsr(seed=n, study_description=DEFECT.decode()) for n in range(14)))
    with ingesting(settings, work=serve_and_fail) as (store, ingest):
        while not ingest.halted:
            ingest.step()
        (settings.home / MENDED).touch()
        finish(ingest)
        assert ingest.halted is None
        statuses = [status for _, status, _ in ledger(store)]
    assert sorted(statuses) == ["quarantined"] * 10 + ["stored"] * 4


@pytest.mark.service
def test_workers_that_cannot_start_blame_no_object(settings: Settings) -> None:
    put(settings, make_ct_rdsr(seed=1))
    with ingesting(settings, work=serve_nothing) as (store, ingest):
        with pytest.raises(pool.WorkersCannotStartError, match="before they have started"):
            finish(ingest)
        assert ledger(store) == []
    settings.site_dir.mkdir(parents=True)
    with ingesting(settings) as (store, ingest):
        (settings.site_dir / "devices.toml").write_text("[[device]]\nnme = 'x'\n")
        ingest._pool._workers[0].process.kill()  # the next one finds a file it cannot use
        with pytest.raises(pool.WorkersCannotStartError, match=r"devices\.toml"):
            finish(ingest)
        (settings.site_dir / "devices.toml").unlink()
        finish(ingest)
        assert [status for _, status, _ in ledger(store)] == ["stored"]


@pytest.mark.service
def test_one_object_that_kills_is_still_set_aside(settings: Settings) -> None:
    put(settings, encode(dose_report(1, text="POISON")), make_ct_rdsr(seed=1))
    with ingesting(settings, work=serve_and_die) as (store, ingest):
        finish(ingest)
        assert sorted(status for _, status, _ in ledger(store)) == ["quarantined", "stored"]
