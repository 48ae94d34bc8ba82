"""A store of very many exams: memory, time and disk as it grows.

The district hospital (``DOSE_BENCH_DAYS``, default 30) is simulated once and repeated inside the
database up to ``DOSE_BENCH_EXAMS`` (default 100,000). With ``DOSE_BENCH_HOME`` the store stays in
that folder and a further run goes on where it stood, for ``DOSE_BENCH_SECONDS`` at most; it also
stops before less than 10 GB of disk are left. For ten million exams (about 12 GB):

    DOSE_BENCH_HOME=/big DOSE_BENCH_DAYS=364 DOSE_BENCH_EXAMS=10000000 python -m benchmarks scale
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import psutil

from dose_lib import Settings
from dose_lib.simulate import Hospital, fill_store, repeat_exams
from dose_lib.store import Store, site_key
from dose_lib.store.engine import open_file

_END = date(2026, 11, 20)
_ROOM_GB = 10.0
_QUERIES = {
    "median DLP by device": (
        "SELECT device, median(dlp_total_mgy_cm), count(*) FROM studies GROUP BY 1"
    ),
    "exams by month": "SELECT date_trunc('month', started_at), count(*) FROM studies GROUP BY 1",
    "median CTDIvol by protocol": (
        "SELECT acquisition_protocol, median(ctdi_vol_mgy) FROM events"
        " WHERE is_patient IS DISTINCT FROM FALSE GROUP BY 1"
    ),
}


class _EnoughError(Exception):
    """Time or disk is used up; what is there stays."""


def main() -> None:
    """Fill, repeat and query; a line for each step."""
    kept = os.environ.get("DOSE_BENCH_HOME")
    with tempfile.TemporaryDirectory(prefix="doseloop-scale-") as folder:
        settings = Settings(home=Path(kept or folder))
        settings.store_file.parent.mkdir(parents=True, exist_ok=True)
        _grow(settings, int(os.environ.get("DOSE_BENCH_EXAMS", "100000")))
        _query(settings)


def _grow(settings: Settings, wanted: int) -> None:
    if not settings.store_file.exists():
        days = int(os.environ.get("DOSE_BENCH_DAYS", "30"))
        hospital = Hospital.load("district", seed=1, end=_END, days=days)
        with Store.open(settings) as store:
            result = fill_store(hospital, store, site_key=site_key(settings))
        print(f"{result.n_exams:,} exams simulated and stored in {result.seconds:.0f} s")
    n_parts, n_objects, n_all = _counts(settings)
    one = round(n_parts * n_objects / n_all)
    until = time.monotonic() + float(os.environ.get("DOSE_BENCH_SECONDS", "inf"))
    began, before = time.monotonic(), n_parts

    def report(times: int) -> None:
        now, peak = _memory_mb()
        rate = (times * one - before) / (time.monotonic() - began)
        print(
            f"{times * one:>12,} exams {settings.store_file.stat().st_size / 1e9:7.2f} GB"
            f" {rate:8.0f} exams/s  memory {now:5.0f} MB, at most {peak:5.0f} MB",
            flush=True,
        )
        if time.monotonic() > until or shutil.disk_usage(settings.home).free < _ROOM_GB * 1e9:
            raise _EnoughError

    try:
        repeat_exams(settings, -(-wanted // one), on_done=report)
    except _EnoughError:
        print("stopped: time or disk is used up")


def _counts(settings: Settings) -> tuple[int, int, int]:
    """Exam parts, objects as simulated, all objects."""
    with closing(open_file(settings.store_file, read_only=True)) as con:
        found = con.execute(
            "SELECT (SELECT count(*) FROM part),"
            " count(*) FILTER (NOT contains(receipt_id, '.')), count(*) FROM object"
        ).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def _memory_mb() -> tuple[float, float]:
    now = psutil.Process().memory_info().rss / 1e6
    return now, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _query(settings: Settings) -> None:
    with closing(open_file(settings.store_file, read_only=True)) as con:
        con.execute("SET memory_limit = '2GB'")
        for name, sql in _QUERIES.items():
            began = time.monotonic()
            rows = con.execute(sql).fetchall()
            print(f"{name:30} {time.monotonic() - began:7.2f} s, {len(rows)} rows")
    print(f"memory at most {_memory_mb()[1]:.0f} MB")


if __name__ == "__main__":
    main()
