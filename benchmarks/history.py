"""History: an export of another dose system taken in, killed in the middle, taken up, and again.

The export is made here: CT exams in OpenREM's layout (57 columns, two events each) of six
scanners over ten years, the same for the same size. What it holds is known, so what is in the
store afterwards is compared row by row and sum by sum. `DOSE_BENCH_ROWS` sets its rows.
"""

from __future__ import annotations

import csv
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import psutil

import dose_lib
from dose_lib import Settings, load_settings
from pipelines.collect.imports import look, open_export
from tests.history import exports

N_ROWS = int(os.environ.get("DOSE_BENCH_ROWS", "4000"))
_ROOT = Path(__file__).parents[1]
_FIRST = datetime(2015, 1, 5, 7)
_SPAN_S = 10 * 365 * 86400
_SCANNERS = 6
_HEAD_DLP = 850.0
_BAD_EVERY = 1000  # one row of so many has a date that cannot be read


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `dose import-history`: how it ended and what it took, all its processes."""

    exit_code: int
    seconds: float
    cpu_s: float
    peak_mb: float
    largest_mb: float
    said: str


def main() -> None:
    """Make an export, import it with a kill -9 in the middle, and compare."""
    with tempfile.TemporaryDirectory(prefix="dose-bench-") as name:
        folder = Path(name)
        settings = load_settings(folder / "home")
        export = folder / "export.csv"
        dlp = _write(export)
        n_good = N_ROWS - _n_bad()
        print(f"{N_ROWS} rows, {export.stat().st_size / 1e6:.0f} MB, {n_good} that can be read")
        _read_alone(export, settings)
        killed = _import(settings, export, kill_at=n_good // 2)
        kept = _stored(settings)
        print(
            f"kill -9 after {killed.seconds:.0f} s: {kept} exams stored, "
            f"{len(list(settings.spool_dir.glob('*.dcm')))} in the spool",
            flush=True,
        )
        rest = _import(settings, export)
        _say("second run", rest, n_good - kept)
        _compare(settings, n_good, dlp)
        again = _import(settings, export)
        _say("third run, nothing to do", again, N_ROWS)
        _compare(settings, n_good, dlp)


def _n_bad() -> int:
    return len(range(_BAD_EVERY // 2, N_ROWS, _BAD_EVERY))


def _rows() -> Iterator[dict[str, str]]:
    """Exams in order of time; every third a head exam, each dose another."""
    step = timedelta(seconds=_SPAN_S // max(N_ROWS, 1))
    for n in range(N_ROWS):
        at, scanner = _FIRST + n * step, n % _SCANNERS + 1
        dose = (_HEAD_DLP if n % 3 == 0 else 400.0) + n * 7 % 10_007 / 50
        given = {
            "Patient ID": f"P{n * 7919 % max(N_ROWS // 3, 1):07}",
            "Accession number": f"ACC{n:08}",
            "Station name": f"CT{scanner}",
            "Display name": f"CT {scanner}",
            "Study date": f"{at:%Y-%m-%d}" if n % _BAD_EVERY != _BAD_EVERY // 2 else "soon",
            "Study time": f"{at:%H:%M:%S}",
            "Study description": "CT Head" if n % 3 == 0 else "CT Chest",
            "DLP total (mGy.cm)": f"{dose:.2f}",
            "E2 DLP": f"{dose - 3.5:.2f}",
            "E2 Phantom": "16 cm" if n % 3 == 0 else "32 cm",
        }
        yield exports.ct_row(n, **given)


def _write(file: Path) -> float:
    """Write the export a row at a time; the sum of what can be read of it."""
    total = 0.0
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        writer: csv.DictWriter[str] | None = None
        for row in _rows():
            if writer is None:
                writer = csv.DictWriter(out, list(row))
                writer.writeheader()
            writer.writerow(row)
            if row["Study date"] != "soon":
                total += float(row["DLP total (mGy.cm)"])
    return total


def _read_alone(export: Path, settings: Settings) -> None:
    """What `--dry-run` does, in this process."""
    began = time.process_time()
    tally = look(open_export(export), settings)
    cpu = time.process_time() - began
    print(f"read: {tally.n_exams} exams, {tally.n_rows / cpu:.0f} rows a processor-second")


def _import(settings: Settings, export: Path, *, kill_at: int | None = None) -> Used:
    """Run the command to its end, or until so many of its exams are in the spool or stored."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home)]
    command += ["import-history", str(export)]
    began = time.monotonic()
    log = export.with_suffix(".log")
    with log.open("w") as out:
        run = psutil.Popen(command, cwd=_ROOT, stdout=out, stderr=out)
        cpu: dict[int, float] = {}
        peak = largest = 0.0
        while run.poll() is None:
            sizes = [_look_at(p, cpu) for p in _tree(run)]
            peak, largest = max(peak, sum(sizes)), max(largest, *sizes, 0.0)
            if kill_at is not None and _put(settings) >= kill_at:
                family = _tree(run)
                os.kill(run.pid, signal.SIGKILL)
                psutil.wait_procs(family, timeout=60)
            time.sleep(0.5)
    return Used(
        exit_code=run.returncode,
        seconds=time.monotonic() - began,
        cpu_s=sum(cpu.values()),
        peak_mb=peak,
        largest_mb=largest,
        said=log.read_text(),
    )


def _tree(run: psutil.Popen) -> list[psutil.Process]:
    try:
        return [psutil.Process(run.pid), *run.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _look_at(process: psutil.Process, cpu: dict[int, float]) -> float:
    """Note the processor time of a process; its memory in MB."""
    try:
        times = process.cpu_times()
        cpu[process.pid] = times.user + times.system
        return float(process.memory_info().rss) / 1e6
    except psutil.Error:  # it has just ended
        return 0.0


def _put(settings: Settings) -> int:
    """Objects that the spool has counted; counting the files themselves would slow the run."""
    logs = (settings.spool_dir.parent / "receipts").glob("*.log")
    return sum(log.read_bytes().count(b"\n") for log in logs)


def _stored(settings: Settings) -> int:
    with dose_lib.store.Store.open(settings) as store:
        return int(store.sql("SELECT count(*) FROM part")[0][0])


def _say(what: str, used: Used, n: int) -> None:
    print(
        f"{what}: exit code {used.exit_code}, {used.seconds:.0f} s, {n / used.seconds:.0f} exams/s;"
        f" processor {1000 * used.cpu_s / max(n, 1):.1f} ms an exam; memory {used.peak_mb:.0f} MB"
        f" in all, {used.largest_mb:.0f} MB the largest process",
        flush=True,
    )


def _compare(settings: Settings, n_good: int, dlp: float) -> None:
    """What the store holds against what the export holds."""
    con = dose_lib.connect(settings=settings)
    studies, objects = con.table("studies"), con.table("objects")
    n, total = studies.count().execute(), studies.dlp_total_mgy_cm.sum().execute()
    waiting = len(list(settings.spool_dir.glob("*.dcm")))
    status = {
        r["status"]: r["n"]
        for r in objects.group_by("status").agg(n=objects.count()).to_pyarrow().to_pylist()
    }
    print(
        f"exams stored {n} of {n_good}, DLP {total:.2f} of {dlp:.2f} mGy.cm, ledger {status},"
        f" {waiting} in the spool",
        flush=True,
    )


if __name__ == "__main__":
    main()
