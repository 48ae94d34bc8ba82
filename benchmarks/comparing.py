"""Comparisons of a review cycle and the queries of dashboards, on ten years of a district hospital.

About 320,000 exams and 1.9 M events, simulated into a store that is served as `dose serve` does,
and asked through `dose_lib.connect()`. To reach (DESIGN §11): 20 and more comparisons of a review
cycle in under 5 s; every query of a dashboard in under 200 ms. Beside the wall clock stands the
processor time, which other work on the machine does not move.

DOSE_BENCH_HOME names a home folder filled before (`dose --home DIR simulate district --store
--repeat 10`); else one is filled here, which takes some minutes.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from dose_lib import compare_practice, connect, load_levels, load_settings, metrics, overview
from dose_lib.compare import local_levels
from dose_lib.lake import export_lake, read_sheet, write_csv, write_xlsx
from dose_lib.reference import apply_sign_offs, sign_off, sign_offs
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital, fill_store, repeat_exams
from dose_lib.store import Store, site_key

ROUNDS = 5
LIMIT_S, CYCLE_S = 0.2, 5.0


@contextmanager
def home() -> Iterator[Settings]:
    """A home folder with ten years of exams."""
    if given := os.environ.get("DOSE_BENCH_HOME"):
        yield load_settings(Path(given))
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(Path(folder) / "home")
        with Store.open(settings) as store:
            fill_store(Hospital.load("district"), store, site_key=site_key(settings))
        repeat_exams(settings, 10)
        yield settings


def measure(name: str, work: Callable[[], Any], limit_s: float = LIMIT_S, n: int = ROUNDS) -> Any:
    """Print the median of some rounds; the first one, which warms caches, is not counted."""
    result = work()
    walls, processor = [], []
    for _ in range(n):
        wall, used = time.perf_counter(), time.process_time()
        result = work()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - used)
    wall, used = statistics.median(walls), statistics.median(processor)
    verdict = "" if wall < limit_s else f"   SLOWER than {1000 * limit_s:.0f} ms"
    print(f"{name:<58} {1000 * wall:8.0f} ms wall {1000 * used:8.0f} ms processor{verdict}")
    return result


def dashboards(con: Any, last: date) -> None:
    """What the pages ask when they are drawn."""
    quarter, year = overview.period(84, last), overview.period(365, last)
    studies, events = con.table("studies"), con.table("events")
    patients = metrics.patients(studies)
    dlp = metrics.MEASURES["dlp"].of(patients)
    median = metrics.STATISTICS["median"]

    def by(*names: str) -> Any:
        groups = {n: metrics.DIMENSIONS[n].of(patients) for n in names}
        return patients.group_by(**groups).agg(n=dlp.count(), median=median.of(dlp)).to_pyarrow()

    def by_protocol() -> Any:
        scans = events.filter(events.record == "ct_event", events.ctdi_vol_mgy.notnull())
        grouped = scans.group_by(scans.acquisition_protocol)
        return grouped.agg(n=scans.count(), median=scans.ctdi_vol_mgy.median()).to_pyarrow()

    def newest() -> Any:
        rows = studies.order_by(studies.started_at.desc()).limit(50)
        return rows.select("part_key", "started_at", "procedure_name", "device").to_pyarrow()

    measure("key figures of a quarter", lambda: overview.activity(con, quarter))
    measure("data quality of a quarter", lambda: overview.data_quality(con, quarter))
    measure("open findings", lambda: overview.open_findings(con))
    measure("CT exams of a quarter, to draw", lambda: overview.read_exams(con, quarter))
    chests = {"procedure_name": "CT Chest"}
    measure("chest CTs of a year, to draw", lambda: overview.read_exams(con, year, **chests))
    measure("newest 50 exams, 10 years", newest)
    measure("median DLP by device and week, 10 years", lambda: by("device", "week"))
    measure("median DLP by procedure, device and year, 10 years",
            lambda: by("procedure", "device", "year"))  # fmt: skip
    measure("median CTDIvol by acquisition protocol, 10 years", by_protocol)


def comparisons(con: Any, settings: Settings, last: date) -> None:
    """A review cycle: every procedure of the hospital, one by one, and all at once."""
    levels = load_levels(settings)
    made = [sign_off(levels, s, author="bench", phantom="32cm") for s in {x.set_id for x in levels}]
    asked: dict[str, Any] = {
        "levels": apply_sign_offs(levels, sign_offs(made)), "settings": settings, "kind": "drl",
    }  # fmt: skip
    names = con.table("studies").procedure_name.value_counts().to_pyarrow().to_pylist()
    ordered = sorted((r for r in names if r["procedure_name"]),
                     key=lambda r: -r["procedure_name_count"])  # fmt: skip
    some = [r["procedure_name"] for r in ordered[:24]]
    start = last - timedelta(days=364)

    def one_by_one() -> int:
        found = [
            compare_practice(con, procedure_name=n, start=start, end=last, **asked) for n in some
        ]
        return sum(len(f.verdicts) for f in found)

    def at_once(**which: Any) -> Any:
        return compare_practice(con, **which, **asked)

    def of_a_page() -> Any:
        quarter = last - timedelta(days=83)
        return at_once(procedure_name="CT Chest", start=quarter, end=last)

    def local() -> Any:
        return local_levels(con, start=start, end=last, settings=settings)

    n = measure(f"review cycle: {len(some)} comparisons of a year", one_by_one, CYCLE_S, 2)
    whole = measure("all procedures of a year", lambda: at_once(start=start, end=last), CYCLE_S, 2)
    everything = measure("all procedures of all ten years", at_once, CYCLE_S, 2)
    measure("verdicts of one procedure, a quarter (a page's)", of_a_page)
    measure("local levels of a year", local, CYCLE_S, 1)
    print(f"verdicts: {n}, {len(whole.verdicts)}, {len(everything.verdicts)}")


def exports(con: Any, last: date) -> None:
    """Sheets of 5,000 exams (to reach: XLSX 3 s, CSV 1 s), and the lake."""
    rows = read_sheet(con, start=last - timedelta(days=84)).slice(0, 5000)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        measure("5,000 exams as CSV", lambda: write_csv(rows, here / "a.csv"), 1.0, 2)
        measure("5,000 exams as XLSX", lambda: write_xlsx(rows, here / "a.xlsx"), 3.0, 2)
        begin = time.perf_counter()
        done = export_lake(con, here / "lake", "district")
        print(f"lake of {done.n_written} months: {time.perf_counter() - begin:.1f} s")
        measure("lake again, nothing changed",
                lambda: export_lake(con, here / "lake", "district"), 10.0, 1)  # fmt: skip


def main() -> None:
    """Fill or find the store, serve it, ask."""
    with home() as settings, Store.open(settings) as store:
        store.serve()
        con = connect(settings=settings)
        studies = con.table("studies")
        n, newest = studies.count().to_pyarrow().as_py(), studies.started_at.max().to_pyarrow()
        print(f"{n:,} exams, {con.table('events').count().to_pyarrow().as_py():,} events")
        last = newest.as_py().date()
        comparisons(con, settings, last)
        dashboards(con, last)
        exports(con, last)


if __name__ == "__main__":
    main()
