"""Readers and the writer at the same time, and an owner that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from dose_lib.settings import Settings
from dose_lib.store import Store
from dose_lib.store.connect import connect
from tests.store.conftest import ROOT, StartOwner
from tests.store.exams import ct_part, incoming, merge, unchanged

pytestmark = pytest.mark.service

READER = """
import json, sys, time
from pathlib import Path
from dose_lib import connect, load_settings
con = connect(settings=load_settings(Path(sys.argv[1])))
print(json.dumps({"ready": True}), flush=True)
heavy = (
    "SELECT count(*) AS n, median(a.ctdi_vol_mgy * b.ctdi_vol_mgy) AS m FROM events a, events b,"
    " range(20) WHERE a.event_index <= b.event_index"
)
studies = con.table("studies")
events = con.table("events")
n, seen, torn, slowest = 0, 0, 0, 0.0
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    started = time.monotonic()
    count = int(studies.count().execute())
    assert count >= seen, f"{count} after {seen}"
    seen = count
    # A commit is seen whole: each study has as many events as it says.
    together = studies.left_join(events, "part_key").group_by(
        [studies.part_key, studies.n_events]
    ).agg(found=events.event_index.count())
    torn += int(together.filter(together.n_events != together.found).count().execute())
    con.sql(heavy).execute()
    slowest = max(slowest, time.monotonic() - started)
    n += 1
print(json.dumps({"rounds": n, "seen": seen, "torn": torn, "slowest": slowest}), flush=True)
"""


class Reader:
    """A process that reads all the time."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, str(settings.home), str(seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            pytest.fail(self.process.stderr.read())
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.slow
def test_four_readers_never_stop_the_writer(settings: Settings, start_owner: StartOwner) -> None:
    """300 commits while four processes run heavy queries: no error, nothing torn."""
    owner = start_owner("--exams=20")
    owner.said()
    readers = [Reader(settings, 15) for _ in range(4)]
    try:
        for reader in readers:
            assert reader.said()["ready"]
        commits, slowest = 0, 0.0
        while commits < 300 or any(r.process.poll() is None for r in readers):
            said = owner.tell("commit 10")
            commits, slowest = said["done"], max(slowest, said["slowest"])
        results = [reader.said() for reader in readers]
    finally:
        for reader in readers:
            reader.end()
    assert commits >= 300
    assert all(r["rounds"] >= 2 and r["torn"] == 0 for r in results), results
    assert max(r["seen"] for r in results) > 20
    assert connect(settings=settings).table("studies").count().execute() == 20 + commits


@pytest.mark.parametrize("after", [1, 7, 25])
def test_an_owner_killed_between_commits_loses_nothing(
    settings: Settings, start_owner: StartOwner, after: int
) -> None:
    """What it said was committed is there; what it had begun is there whole or not at all."""
    owner = start_owner()
    owner.said()
    assert owner.process.stdin is not None
    owner.process.stdin.write("commit-forever\n")
    owner.process.stdin.flush()
    done = 0
    while done < after:
        done = owner.said()["done"]
    owner.kill()
    assert owner.process.stdout is not None
    for line in owner.process.stdout:
        done = json.loads(line)["done"]
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        (studies,) = store.sql("SELECT count(*) FROM studies")
        assert studies[0] in (done, done + 1)
        for table in ("object", "reading", "provenance"):
            assert store.sql(f"SELECT count(*) FROM {table}") == [studies]
        assert store.sql("SELECT count(*) FROM event") == [(2 * studies[0],)]
        store.commit([incoming(ct_part("after.the.kill"))])


def test_one_process_reads_and_writes_in_threads(settings: Settings) -> None:
    failures: list[Exception] = []
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.serve()
        con = connect(settings=settings)
        is_over = threading.Event()

        def read() -> None:
            try:
                while not is_over.is_set():
                    con.table("studies").count().execute()
                    store.sql("SELECT count(*) FROM events")
            except Exception as error:  # noqa: BLE001 - shown by the thread that waits
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(25):
            store.commit([incoming(ct_part(f"1.{number}"), number=number)])
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_a_commit_is_seen_at_once_by_others(settings: Settings, start_owner: StartOwner) -> None:
    owner = start_owner()
    owner.said()
    con = connect(settings=settings)
    for number in range(1, 6):
        owner.tell("commit")
        assert con.table("studies").count().execute() == number
