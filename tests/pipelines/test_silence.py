"""The watch over silent devices: one finding a silence, closed when exams arrive again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import typer
from typer.testing import CliRunner

import dose_lib
from dose_lib.records import Part
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Store
from pipelines.commands import silence as commands
from pipelines.silence import look_for_silence
from tests.store.exams import START, ct_part, incoming, merge

DAYS = 42


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """Six weeks of two devices, eight exams a working day each."""
    with Store.open(settings, merge=merge, normalise=_normalise) as opened:
        opened.serve()
        made = [(serial, d, h) for serial in ("A", "B") for d in range(DAYS) for h in range(8)]
        opened.commit([exam(s, d, h) for s, d, h in made if (START.weekday() + d) % 7 < 5])
        yield opened


def _normalise(part: Part) -> Part:
    at = part.started_at
    utc = None if at is None else at.replace(tzinfo=UTC)
    device = msgspec.structs.replace(part.device, display_name=part.device.serial_number)
    return msgspec.structs.replace(part, started_at_utc=utc, device=device)


def exam(serial: str, day: int, hour: int) -> Incoming:
    """At eight and each hour after it; received ten minutes later."""
    at = START + timedelta(days=day, hours=hour)
    part = ct_part(f"1.{ord(serial)}.{day}.{hour}", (1,), serial_number=serial, started_at=at)
    received = (at + timedelta(minutes=10)).replace(tzinfo=UTC)
    return incoming(part, received_at=received)


def later(day: int, hour: float) -> datetime:
    return START + timedelta(days=day, hours=hour)


def test_from_silence_to_finding_to_its_end(store: Store) -> None:
    settings = store.settings
    assert look_for_silence(settings, later(DAYS - 3, 4)).opened == ()
    working = [exam("B", DAYS + d, h) for d in range(2) for h in range(8)]
    store.commit(working)
    found = look_for_silence(settings, later(DAYS + 1, 9))
    (finding,) = found.opened
    assert finding.title.startswith("Nothing has come from A since")
    assert [s.is_alarm for s in found.silences] == [True, False]
    assert look_for_silence(settings, later(DAYS + 1, 10)).opened == ()
    store.commit([exam("A", DAYS + 1, 10)])
    assert look_for_silence(settings, later(DAYS + 1, 11)).closed == (finding.finding_id,)
    rows = dose_lib.connect(settings=settings).table("findings").to_pyarrow().to_pylist()
    assert [(r["state"], r["state_by"]) for r in rows] == [("closed", "dose silence")]


def test_a_silent_site_is_one_finding(store: Store) -> None:
    found = look_for_silence(store.settings, later(DAYS + 3, 9))
    assert [f.device for f in found.opened] == ["all devices"]
    assert look_for_silence(store.settings, later(DAYS + 4, 9)).opened == ()


def test_exams_that_were_brought_in_are_not_watched(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=_normalise) as opened:
        opened.serve()
        some = [exam("A", d, h) for d in range(DAYS) for h in range(8)]
        now = later(DAYS, 0).replace(tzinfo=UTC)
        opened.commit([msgspec.structs.replace(one, received_at=now) for one in some])
        found = look_for_silence(settings, later(DAYS + 5, 9))
        assert (found.silences, found.unwatched) == ((), ("A",))


def test_without_a_store_there_is_nothing_to_watch(settings: Settings) -> None:
    assert look_for_silence(settings).silences == ()


def test_the_command(store: Store) -> None:
    app = typer.Typer()
    commands.add_to(app)
    answer = CliRunner().invoke(app, [])
    assert answer.exit_code == 0
