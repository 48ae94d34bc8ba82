"""Run one notebook into a report: checked parameters, its own kernel, whole files or none."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dose_lib.charts.words import is_missing
from dose_lib.errors import DoseError, ReportError
from dose_lib.report import page
from dose_lib.report.files import find_notebook, write_whole
from dose_lib.report.parameters import (
    TAG,
    Parameter,
    check_parameters,
    read_notebook,
    read_parameters,
)
from dose_lib.report.pdf import NO_BROWSER, find_browser, print_pdf
from dose_lib.report.record import RunRecord, sha256_of, versions

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from dose_lib.settings import Settings

_log = logging.getLogger(__name__)
_VIEWS = ("studies", "events", "objects", "findings")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run_notebook(
    notebook: str | Path,
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    out_dir: Path | None = None,
    with_pdf: bool = False,
    now: datetime | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> RunRecord:
    """Run a notebook into a self-contained HTML report with its run record.

    Parameters
    ----------
    notebook
        File, or name of a notebook of the site or of DoseLoop.
    parameters
        Values by name; texts are converted to the kind the notebook declares.
    settings
        Of the installation; default: those of this process.
    out_dir
        Folder of the outputs; default `settings.reports_dir`.
    with_pdf
        Also print a PDF if a Chromium is on this machine.
    now
        Start of the run, for tests; default the clock.
    on_cell
        Called with (number of the cell, cells) before each cell.

    Returns
    -------
    RunRecord
        Names of the files written: `html`, `ipynb` (executed), `json` (this record), `pdf`.

    Raises
    ------
    UsageError
        Before the run, for an unknown notebook or parameter or a value that does not fit.
    ReportError
        If a cell fails; it names the cell and the error, and the partial notebook is kept.
    """
    from dose_lib.settings import load_settings

    settings = settings or load_settings()
    path = find_notebook(notebook, settings)
    known = read_parameters(path)
    given = check_parameters(known, parameters or {}, where=path.name)
    started_at = (now or datetime.now(ZoneInfo(settings.timezone))).astimezone(
        ZoneInfo(settings.timezone)
    )
    base = _free_name(out_dir or settings.reports_dir, path.stem, started_at)
    clock = time.monotonic()
    inputs = count_inputs(settings)
    executed = _execute(path, given, settings, base, on_cell)
    used = {p.name: given.get(p.name, p.default) for p in known}
    record = RunRecord(
        notebook=path.name,
        notebook_sha256=sha256_of(path.read_bytes()),
        title=page.title_of(executed, path.stem),
        site=settings.site_name,
        period=page.period_of(executed),
        parameters=used,
        started_at=started_at,
        duration_s=0.0,
        versions=versions(),
        inputs=inputs,
        html=base.with_suffix(".html"),
        ipynb=base.with_suffix(".ipynb"),
        json=base.with_suffix(".json"),
    )
    return _write(record, executed, known, clock, with_pdf)


def _free_name(folder: Path, stem: str, started_at: datetime) -> Path:
    """Path without suffix that no file has: notebook, date and time, a number if need be."""
    name = f"{stem}.{started_at:%Y-%m-%d_%H%M%S}"
    number = 1
    while any(folder.glob(f"{name}{f'-{number}' if number > 1 else ''}.*")):
        number += 1
    # A suffix is put behind the last dot, so the name gets one of its own to lose.
    return folder / f"{name}{f'-{number}' if number > 1 else ''}._"


def count_inputs(settings: Settings) -> dict[str, int | str | None]:
    """Rows of each view of the store, and the time of the newest object; empty without a store."""
    import dose_lib

    try:
        con = dose_lib.connect(settings=settings)
        counts: dict[str, int | str | None] = {
            name: int(con.table(name).count().execute()) for name in _VIEWS
        }
        newest = con.table("objects").received_at.max().execute()
    except DoseError as error:
        _log.info("inputs were not counted: %s", error)
        return {}
    counts["newest_object_at"] = None if is_missing(newest) else str(newest)
    return counts


def _execute(
    path: Path,
    given: Mapping[str, Any],
    settings: Settings,
    base: Path,
    on_cell: Callable[[int, int], None] | None,
) -> NotebookNode:
    """The executed notebook; a failure keeps what was reached."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from dose_lib.report.engine import register

    environment = {"DOSE_RENDER": "report", "DOSE_HOME": str(settings.home), "MPLBACKEND": "agg"}
    with tempfile.TemporaryDirectory(prefix="dose-report-") as folder:
        out = Path(folder) / path.name
        try:
            return papermill.execute_notebook(
                str(path),
                str(out),
                parameters=dict(given),
                engine_name=register(),
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                cwd=str(path.parent),
                execution_timeout=settings.report_cell_timeout_s,
                kernel_env=environment,
                on_cell=on_cell,
            )
        except PapermillExecutionError as error:
            kept = base.with_suffix(".failed.ipynb")
            write_whole(kept, out.read_bytes())
            raise _failure(path, error, kept, has_given=bool(given)) from None
        except TimeoutError:
            raise ReportError(
                f"a cell took longer than {settings.report_cell_timeout_s:g} s",
                where=path.name,
                todo="Narrow the period, or raise report_cell_timeout_s",
            ) from None
        except RuntimeError as error:
            raise ReportError(f"the kernel ended ({error})", where=path.name) from None


def _failure(path: Path, error: Any, kept: Path, *, has_given: bool) -> ReportError:
    """The error of a cell, by the number the cell has in the notebook itself."""
    number = int(error.cell_index) + 1
    cells = read_notebook(path).cells
    tagged = [i for i, cell in enumerate(cells) if TAG in cell.metadata.get("tags", ())]
    if has_given and number > (tagged[0] + 1 if tagged else 0):
        number -= 1  # papermill put the given parameters into a cell of their own
    first = next((s for s in error.source.splitlines() if s.strip()), "")
    return ReportError(
        f"{error.ename}: {_ANSI.sub('', str(error.evalue))}",
        where=f"{path.name}, cell {number} ({first.strip()[:60]!r})",
        todo=f"What was reached is kept in {kept}",
    )


def _write(
    record: RunRecord,
    executed: NotebookNode,
    known: tuple[Parameter, ...],
    clock: float,
    with_pdf: bool,
) -> RunRecord:
    """Write page, notebook, PDF and, last, the record that names them."""
    import msgspec
    import nbformat

    head = page.Head(
        title=record.title,
        site=record.site,
        period=record.period,
        made=page.made_at(record.started_at),
        notebook=record.notebook,
        version=record.versions["doseloop"],
        parameters=page.parameter_rows(known, record.parameters),
    )
    html = page.render(executed, head).encode()
    write_whole(record.html, html)
    ipynb = nbformat.writes(executed).encode()
    write_whole(record.ipynb, ipynb)
    outputs = {record.html.name: sha256_of(html), record.ipynb.name: sha256_of(ipynb)}
    pdf, note = _print(record.html, outputs) if with_pdf else (None, None)
    record = msgspec.structs.replace(
        record,
        outputs=outputs,
        pdf=pdf,
        pdf_note=note,
        duration_s=round(time.monotonic() - clock, 3),
    )
    write_whole(record.json, record.to_json())
    _log.info("report written: %s in %.1f s", record.html.name, record.duration_s)
    return record


def _print(html: Path, outputs: dict[str, str]) -> tuple[Path | None, str | None]:
    """The PDF, or why there is none: the report itself is whole without it."""
    browser = find_browser()
    if browser is None:
        return None, NO_BROWSER
    try:
        data = print_pdf(html, browser)
    except ReportError as error:
        return None, str(error)
    pdf = html.with_suffix(".pdf")
    write_whole(pdf, data)
    outputs[pdf.name] = sha256_of(data)
    return pdf, None
