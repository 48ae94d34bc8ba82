"""A reconciliation as one page to hand on: figures, devices, each gap, and what to do about it.

Self-contained like every report: no script, nothing to fetch. Studies are named by pseudonyms
unless the reconciliation was made with identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dose_lib
from dose_lib import Settings, charts
from dose_lib.charts import Html, Kpi
from dose_lib.report.page import Head, made_at, render
from pipelines.collect.reconciliation import Reconciliation, Why

if TYPE_CHECKING:
    import pandas as pd

TODO: Mapping[Why, str] = MappingProxyType(
    {
        Why.NO_REPORT: "Let the device send its dose report, to the archive or to DoseLoop",
        Why.NOT_ASKED: "dose collect --day, or put it on the timetable",
        Why.NOTHING: "See what is there instead: dose pacs studies",
        Why.FAILED: "See what the archive answered: dose pacs studies --failed",
        Why.NOT_RECEIVED: "Look at our listener and the network between: dose status",
        Why.WAITING: "Nothing; it will be read: dose status",
        Why.QUARANTINED: "See why: dose quarantine list",
        Why.NO_DOSE: "The device sends captures, not reports: ask its maker for structured reports",
        Why.OTHER_MODALITY: "A part of the exam sends no report of its own: ask the maker",
        Why.ERASED: "Nothing; it was erased on purpose",
        Why.ONLY_HERE: "Do the images arrive in the archive?",
    }
)
_MOST_GAPS, _MOST_COMPLAINTS = 2000, 50


def page_of(result: Reconciliation, settings: Settings) -> str:
    """The page, as HTML.

    Parameters
    ----------
    result
        What was found.
    settings
        Of the installation: its name and its zone.
    """
    from nbformat import v4

    days = f"{result.first}" if result.first == result.last else f"{result.first} to {result.last}"
    here = result.made_at.astimezone(ZoneInfo(settings.timezone))
    head = Head(
        title="Is every dose report here?",
        site=settings.site_name,
        period=f"{days}, against the archive {result.pacs}",
        made=made_at(here),
        notebook="dose reconcile",
        version=dose_lib.__version__,
        parameters=(),
    )
    cells = [v4.new_markdown_cell(f"# {head.title}")]
    for part in _parts(result):
        if isinstance(part, str):
            cells.append(v4.new_markdown_cell(part))
        else:
            output = v4.new_output("display_data", {"text/html": part._repr_html_()})
            cells.append(v4.new_code_cell("", outputs=[output]))
    return render(v4.new_notebook(cells=cells), head)


def _parts(result: Reconciliation) -> Iterator[str | Html]:
    yield charts.sentence(_answer(result), details=_remarks(result))
    yield charts.kpis(_figures(result))
    yield "## By device"
    yield charts.table(_devices(result), empty="Nothing was done on these days.", max_rows=500)
    yield "## Why, and what to do"
    yield charts.table(_reasons(result), empty="There is no gap.")
    if result.gaps:
        yield "## Each gap"
        yield charts.table(_gaps(result), max_rows=_MOST_GAPS)
    if result.complaints:
        yield "## What was wrong with the archive's answers"
        yield charts.message(
            "Something may have been overlooked.",
            tone="bad",
            details=[str(c) for c in result.complaints[:_MOST_COMPLAINTS]],
        )
    yield (
        "An exam is one modality of one study: a PET-CT counts as two. In the archive = stored +"
        f" missing; only here comes on top. {_naming(result)}"
    )


def _naming(result: Reconciliation) -> str:
    if any(g.study_uid for g in result.gaps):
        return "Gaps are named by Study UID: this page is for those only who may know them."
    return (
        "A gap is named by a pseudonym of its study that is the same in every run; the site finds"
        " the study behind it with `dose reconcile --identity`."
    )


def _answer(result: Reconciliation) -> str:
    n = sum(r.n_pacs for r in result.rows)
    if not n:
        return "The archive knows of no exam that irradiates on these days."
    stored = sum(r.n_stored for r in result.rows)
    share = f"**{stored:,} of {n:,} exams** of the archive are stored ({100 * stored / n:.1f} %)."
    if not result.n_missing:
        return f"{share} Nothing is missing."
    devices = {g.device for g in result.gaps if g.is_missing}
    what = "exam is" if result.n_missing == 1 else "exams are"
    where = f"of {len(devices)} device{'s' if len(devices) > 1 else ''}"
    return f"{share} **{result.n_missing:,} {what} missing**, {where}."


def _remarks(result: Reconciliation) -> list[str]:
    tests = f"{result.n_tests:,} exposures of phantoms are only here; they are no gaps."
    return [tests] if result.n_tests else []


def _figures(result: Reconciliation) -> list[Kpi]:
    total = {n: sum(getattr(r, n) for r in result.rows) for n in _COUNTS}
    devices = {r.device for r in result.rows}
    complete = devices - {g.device for g in result.gaps}
    return [
        Kpi("In the archive", total["n_pacs"], note="exams that irradiate"),
        Kpi("Stored", total["n_stored"], note="with their dose"),
        Kpi("Missing", total["n_missing"], note="in the archive, not stored"),
        Kpi("Only here", total["n_only_here"], note="not in the archive"),
        Kpi("Devices without a gap", len(complete), note=f"of {len(devices)}"),
    ]  # fmt: skip


_COUNTS = ("n_pacs", "n_stored", "n_missing", "n_only_here")


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


def _devices(result: Reconciliation) -> pd.DataFrame:
    """One row a device, modality and day, those with most missing first."""
    is_by_day = result.first != result.last
    rows = sorted(result.rows, key=lambda r: (-r.n_missing, -r.n_only_here, r.device, r.day))
    return _frame(
        [
            {
                **({"Day": f"{r.day}"} if is_by_day else {}),
                "Device": r.device,
                "Modality": r.modality,
                "In archive": r.n_pacs,
                "Stored": r.n_stored,
                "Missing": r.n_missing,
                "Only here": r.n_only_here,
                "Why": "; ".join(f"{n} {why}" for why, n in r.why.items()),
            }
            for r in rows
        ]
    )


def _reasons(result: Reconciliation) -> pd.DataFrame:
    counted = Counter(g.why for g in result.gaps)
    return _frame(
        [{"Why": w.value, "Exams": n, "What to do": TODO[w]} for w, n in counted.most_common()]
    )


def _gaps(result: Reconciliation) -> pd.DataFrame:
    return _frame(
        [
            {
                "Study": g.study_uid or g.study_key,
                "Day": f"{g.day}",
                "Time": g.time or "",
                "Modality": g.modality or "",
                "Device": g.device,
                "Why": g.why.value + (f": {g.detail}" if g.detail else ""),
            }
            for g in result.gaps
        ]
    )
