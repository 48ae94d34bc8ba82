"""What standing beside the event saves: one query over events, with and without the join.

Fills a store with simulated exams and repeats them inside the database (``DOSE_BENCH_EVENTS``,
default 300,000; DESIGN §11 asks for 3,000,000). Both forms run in one process on one file, in
turn. Processor time is given beside the clock: it does not depend on what else runs.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from dose_lib import Settings, read_bytes
from dose_lib.simulate import repeat_exams
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Incoming, Store
from dose_lib.store.engine import open_file

_STUDIES = 400
_EVENTS = 10
_TIMES = 7
# The view as it was before: every query over events joins them to their exams by a text key.
_JOINED = """
    CREATE OR REPLACE TEMP VIEW events_joined AS
    SELECT s.device, s.is_patient, e.acquisition_protocol, e.ctdi_vol_mgy
    FROM event AS e JOIN studies AS s USING (part_key)
"""
_QUERIES = {
    "median CTDIvol by protocol, patients": (
        "SELECT acquisition_protocol, median(ctdi_vol_mgy), count(*) FROM {view}"
        " WHERE is_patient IS DISTINCT FROM FALSE GROUP BY 1"
    ),
    "median CTDIvol by device": (
        "SELECT device, median(ctdi_vol_mgy), count(*) FROM {view} GROUP BY 1"
    ),
}


def _fill(settings: Settings) -> None:
    with Store.open(settings) as store:
        for start in range(0, _STUDIES, 100):
            store.commit([_received(n) for n in range(start, start + 100)])


def _received(number: int) -> Incoming:
    data = make_ct_rdsr(_EVENTS, seed=number)
    parts, _ = read_bytes(data, site_key=b"benchmark")
    return Incoming(
        sha256=f"{number:064x}",
        size_bytes=len(data),
        received_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        route="folder",
        parts=parts,
    )


def _measure(con: duckdb.DuckDBPyConnection, query: str) -> tuple[float, float]:
    """Median milliseconds by the clock, and of a processor."""
    clock, used = [], []
    for _ in range(_TIMES):
        started, busy = time.perf_counter(), time.process_time()
        con.execute(query).fetchall()
        clock.append(1000 * (time.perf_counter() - started))
        used.append(1000 * (time.process_time() - busy))
    return statistics.median(clock), statistics.median(used)


def main(say: Callable[[str], None] = print) -> None:
    """Fill, measure, print the ratios."""
    events = int(os.environ.get("DOSE_BENCH_EVENTS", "300000"))
    with tempfile.TemporaryDirectory(prefix="dose-bench-") as folder:
        settings = Settings(home=Path(folder))
        _fill(settings)
        repeat_exams(settings, max(1, events // (_STUDIES * _EVENTS)))
        con = open_file(settings.store_file)
        con.execute(_JOINED)
        count = con.execute("SELECT count(*) FROM event").fetchone()
        say(
            f"{(count or (0,))[0]:,} events, file {settings.store_file.stat().st_size / 1e6:.0f} MB"
        )
        for name, query in _QUERIES.items():
            joined = _measure(con, query.format(view="events_joined"))
            alone = _measure(con, query.format(view="events"))
            say(
                f"{name}: {alone[0]:.0f} ms (processor {alone[1]:.0f}), with a join"
                f" {joined[0]:.0f} ms ({joined[1]:.0f}): {joined[1] / alone[1]:.1f} times less"
            )
        con.close()


if __name__ == "__main__":
    main()
