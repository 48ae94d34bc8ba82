"""Units of an export that DICOM knows, too: joined where sure, else proposed, always undoable.

export                  DICOM                            becomes
serial S-47110          serial S47110 of one unit        joined at once
station CT1, model      the same, of one unit            joined at once
station CT1             CT1 of another model, or of two  waits for a person
another serial          same station and model           two units
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import dose_lib
from dose_lib.equipment import (
    Match,
    decide_twin,
    device_timeline,
    find_twins,
    join_devices,
    link_sure_twins,
)
from dose_lib.errors import UsageError
from dose_lib.records import Device
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Store
from pipelines.cli import app
from pipelines.silence import link_or_log
from tests.history.test_store import dicom, history

Fill = Callable[..., Any]
CT1 = {"station_name": "CT1", "manufacturer": "ACME", "model": "Scan 64"}
CT9 = {"station_name": "CT9", "manufacturer": "ACME", "model": "Scan 16"}


def at(given: Incoming, key: str, n: int, **facts: Any) -> Incoming:
    """An exam of its own, on a unit that calls itself so."""
    (part,) = given.parts
    device = Device(device_key=key, **facts)
    start = part.started_at and part.started_at + timedelta(days=40 * n)
    fresh = msgspec.structs.replace(
        part,
        device=device,
        started_at=start,
        part_key=f"{key}-{n}",
        study_uid=f"{part.study_uid}.{n}",
    )
    return msgspec.structs.replace(given, parts=(fresh,))


@pytest.fixture
def fill(settings: Settings) -> Fill:
    """Units of exports, and of DICOM, each with an exam, in a store."""

    def make(old: dict[str, Any], new: dict[str, Any]) -> Any:
        with Store.open(settings) as store:
            store.commit([at(history(n), k, n, **f) for n, (k, f) in enumerate(old.items(), 1)])
            store.commit([at(dicom(n), k, n, **f) for n, (k, f) in enumerate(new.items(), 20)])
        return dose_lib.connect(settings=settings)

    return make


def units(con: Any) -> set[str]:
    return set(con.table("studies").device_key.to_pyarrow().to_pylist())


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (CT1, CT1, Match.STATION_AND_MODEL),
        (CT1 | {"manufacturer": None}, CT1 | {"model": "SCAN-64"}, Match.STATION_AND_MODEL),
        (
            {"serial_number": "S-47110"},
            {"serial_number": "s47110", "station_name": "CTX"},
            Match.SERIAL,
        ),
    ],
)
def test_what_is_one_unit_alone_is_joined_and_says_why(
    fill: Fill, settings: Settings, old: dict[str, Any], new: dict[str, Any], match: Match
) -> None:
    con = fill({"old": old}, {"new": new, "other": {"station_name": "CT2", "model": "Scan 64"}})
    (twin,) = link_sure_twins(con, settings=settings)
    assert (twin.device_key, twin.same_as, twin.match) == ("old", "new", match)
    assert units(con) == {"new", "other"}
    told = device_timeline(con, "new", settings=settings)
    (joined,) = (r for r in told.itertuples() if r.what == "joined")
    assert (joined.author, joined.value) == ("doseloop", "old")
    assert match.value.split()[0] in joined.note
    assert "1 exams of 2019-" in joined.note
    assert link_sure_twins(con, settings=settings) == ()
    # Taken back by a person, it stays so.
    join_devices(con, "old", None, author="mp", settings=settings)
    assert units(con) == {"old", "new", "other"}
    assert find_twins(con) == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"old": CT1}, {"new": CT1 | {"model": "Scan 128"}}, "another model"),
        ({"old": CT1}, {"new": CT1, "new2": CT1}, "2 such in DICOM"),
        ({"old": CT1, "old2": CT1 | {"manufacturer": "Acme Inc"}}, {"new": CT1}, "2 here"),
        ({"old": CT1 | {"station_name": None}}, {"new": CT1}, "manufacturer ACME, model Scan 64"),
    ],
)
def test_what_is_not_sure_waits_for_a_person(
    fill: Fill, settings: Settings, old: dict[str, Any], new: dict[str, Any], why: str
) -> None:
    con = fill(old, new)
    assert link_sure_twins(con, settings=settings) == ()
    waiting = find_twins(con)
    assert len(waiting) == max(len(old), len(new))
    assert all(why in t.evidence for t in waiting)
    assert units(con) == {*old, *new}
    twin = decide_twin(con, "old", same_as="new", is_same=True, author="mp", settings=settings)
    assert twin.evidence == waiting[0].evidence
    assert units(con) == {*old, *new} - {"old"}


def test_two_serial_numbers_are_two_units_and_a_refusal_holds(
    fill: Fill, settings: Settings
) -> None:
    con = fill(
        {"old": CT1 | {"serial_number": "A1001"}, "vague": {"station_name": "CT1", "model": None}},
        {"new": CT1 | {"serial_number": "B2002"}},
    )
    assert [t.device_key for t in find_twins(con)] == ["vague"]
    assert link_or_log(settings) == 0  # what the service does every quarter of an hour
    decide_twin(con, "vague", is_same=False, author="mp", settings=settings)
    assert find_twins(con) == ()
    assert len(units(con)) == 3
    with pytest.raises(UsageError, match="nothing is proposed"):
        decide_twin(con, "vague", is_same=True, author="mp", settings=settings)


def test_the_command_joins_lists_and_takes_back(fill: Fill, settings: Settings) -> None:
    con = fill({"old": CT1, "vague": {"station_name": "CT9"}}, {"new": CT1, "new9": CT9})

    def run(*arguments: str) -> Any:
        command = ["--home", str(settings.home), "device", *arguments]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    listed = run("twins", "--json")
    assert "Joined: " in listed.stderr
    (waiting,) = json.loads(listed.stdout)
    assert (waiting["device_key"], waiting["same_as"], waiting["by"]) == (
        "vague", "new9", "station name"
    )  # fmt: skip
    assert units(con) == {"new", "vague", "new9"}
    assert "is CT9" in run("twins", "vague", "--accept", "--author", "mp").output
    assert units(con) == {"new", "new9"}
    run("join", "vague", "--author", "mp")
    run("join", "old", "--author", "mp")
    assert units(con) == {"old", "new", "vague", "new9"}
    assert json.loads(run("twins", "--json").stdout) == []
