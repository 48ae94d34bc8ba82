"""What comparisons with reference levels say together: a sentence, lines for pictures, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from dose_lib.charts import Kpi, LevelLine, number
from dose_lib.charts.words import exams as exams_in_words
from dose_lib.charts.words import printed_unit
from dose_lib.compare import Comparison, Status, Verdict
from dose_lib.overview.exams import Activity
from dose_lib.overview.period import Period
from dose_lib.reference import Kind, Per, Quantity, Reason
from dose_lib.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd

_LINE_WORDS = {
    Kind.NATIONAL: "National DRL",
    Kind.LOCAL: "Local DRL",
    Kind.EUROPEAN: "European DRL",
    Kind.ACHIEVABLE: "Achievable dose",
}
# From the one to act on first to the one without a verdict.
_ORDER = (
    Status.CONSISTENTLY_EXCEEDS,
    Status.EXCEEDS,
    Status.OPTIMISE,
    Status.WITHIN,
    Status.NO_VERDICT,
)
_ABOVE = _ORDER[:2]
_REASONS = {
    Reason.NO_LEVEL: "there is no such level",
    Reason.NOT_IN_FORCE: "no level was in force",
    Reason.NOT_COMPARABLE: "the level is not for whole exams",
    Reason.AMBIGUOUS: "several levels could be meant",
    Reason.NOT_SIGNED_OFF: "the site has not signed off the level",
    Reason.LEVEL_PHANTOM: "the phantom of the level is not stated",
    Reason.EXAM_PHANTOM: "the phantom of the exams is not stated",
    Reason.PHANTOM_MISMATCH: "exams and level are on different phantoms",
    Reason.MIXED_PHANTOMS: "two phantoms were mixed in the exams",
    Reason.NOMINAL_SIZE: "the level is for one nominal size",
    Reason.SIZE_UNKNOWN: "the weight of patients is not recorded",
    Reason.SIZE_OUTSIDE: "patients are outside the size bands",
    Reason.SIZE_NOT_STANDARD: "patients are not of standard size",
    Reason.AGE_UNKNOWN: "the age of patients is not recorded",
    Reason.NO_QUANTITY: "the exams do not state the quantity",
    Reason.PER_MISMATCH: "the level is per scan, the dose per exam",
    Reason.TOO_FEW: "there are too few patients",
}


class Practice(NamedTuple):
    """One procedure and size band in one room: its gravest verdict over the quantities."""

    procedure_name: str
    band: str
    name: str
    verdict: Verdict


def practices(comparison: Comparison) -> list[Practice]:
    """Each practice with its gravest verdict; the facility's rows are not practices."""
    found: dict[tuple[str, str, str], Verdict] = {}
    for verdict in comparison.verdicts:
        if verdict.unit == "facility":
            continue
        key = (verdict.procedure_name, verdict.band, verdict.name)
        before = found.get(key)
        if before is None or _rank(verdict) < _rank(before):
            found[key] = verdict
    return [Practice(*key, verdict) for key, verdict in found.items()]


def _rank(verdict: Verdict) -> int:
    return _ORDER.index(verdict.status)


def verdict_table(comparison: Comparison, *, max_without: int = 8) -> pd.DataFrame:
    """Verdicts for `charts.verdicts`, without rows from which nothing is learnt.

    Left out are the facility where none of its rooms has a verdict, a quantity without a level
    in a room that is compared by another, and all but the `max_without` largest practices
    without a verdict. A procedure without any level has one row for all its rooms.
    """
    import pandas as pd

    frame = comparison.to_frame()
    if frame.empty:
        return frame
    has_level = frame["procedure_name"].isin(frame.loc[frame["level"].notna(), "procedure_name"])
    rooms = frame[has_level & frame["level"].notna()]
    is_silent = rooms["status"] == Status.NO_VERDICT.value
    rooms = rooms[~(is_silent & (rooms["unit"] == "facility"))]
    practice = rooms["procedure_name"] + "\x1f" + rooms["band"] + "\x1f" + rooms["name"]
    judged = set(practice[rooms["status"] != Status.NO_VERDICT.value])
    sizes = rooms[~practice.isin(judged)].groupby(practice)["n_all"].max().sort_values()
    kept = rooms[practice.isin(judged | set(sizes.index[-max_without:]))]
    without = [_one_row(part) for _, part in frame[~has_level].groupby("procedure_name")]
    return pd.concat([kept, *without], ignore_index=True)


def _one_row(rows: pd.DataFrame) -> pd.DataFrame:
    """A procedure that no level is for: the exams of all its rooms, by its first quantity."""
    first = rows[rows["quantity"] == rows["quantity"].iloc[0]]
    first = first[first["unit"] != "facility"]
    return first.head(1).assign(unit="procedure", name="all rooms", n_all=first["n_all"].sum())


def answer(comparison: Comparison, done: Activity, when: Period, *, levels: str) -> str:
    """The answer to "how do our doses compare" in one sentence; `**` marks what is bold.

    Parameters
    ----------
    comparison
        With one kind of levels.
    done
        What was done in the period.
    when
        The period.
    levels
        Name of the kind of levels in words, such as "national".
    """
    if done.n_exams == 0:
        if done.n_objects == 0:
            return "**The store is empty**: no dose report has arrived yet."
        return f"**There is no exam** in {when}."
    found = practices(comparison)
    judged = [p for p in found if p.verdict.status is not Status.NO_VERDICT]
    if not judged:
        return f"**No verdict yet** against {levels} levels. {_why_none(found)}"
    above = [p for p in judged if p.verdict.status in _ABOVE]
    room = sum(p.verdict.status is Status.OPTIMISE for p in judged)
    total = _practices(len(judged))
    if above:
        named = "; ".join(_named(p) for p in sorted(above, key=_by_ratio)[:3])
        verb = "is" if len(above) == 1 else "are"
        more = f" and {len(above) - 3} more" if len(above) > 3 else ""
        said = f"**{len(above)} of {total}** {verb} above the {levels} level: {named}{more}."
    else:
        said = f"**None of {total}** is above the {levels} level."
    if room:
        said += f" In {room} the achievable dose is not reached."
    return f"{said} {_why_none(found)}".strip()


def _practices(n: int) -> str:
    return f"{n} practice" if n == 1 else f"{n} practices"


def _by_ratio(practice: Practice) -> float:
    return -(practice.verdict.ratio or 0.0)


def _named(practice: Practice) -> str:
    v = practice.verdict
    unit = printed_unit(v.dose_unit)
    level = "" if v.level is None else f", level {v.level.value:g}"
    return f"{v.procedure_name} in {v.name} (median {number(v.figures.median, unit)}{level})"


def _why_none(found: Iterable[Practice]) -> str:
    """How many practices have no verdict, and the commonest reason."""
    silent = [p.verdict for p in found if p.verdict.status is Status.NO_VERDICT]
    if not silent:
        return ""
    reasons = [_REASONS.get(v.reason, v.reason.value) for v in silent if v.reason is not None]
    common = max(sorted(set(reasons)), key=reasons.count, default="")
    verb = "has" if len(silent) == 1 else "have"
    because = f", mostly because {common}" if common else ""
    return f"{_practices(len(silent))} {verb} no verdict{because}."


def level_lines(*comparisons: Comparison, quantity: str = "dlp") -> Mapping[str, list[LevelLine]]:
    """Levels to draw beside adults' exams, by procedure: those the verdicts were given by.

    Parameters
    ----------
    *comparisons
        One for each kind of levels.
    quantity
        `dlp` draws levels per exam, `ctdi_vol` levels per scan.
    """
    lines: dict[str, list[LevelLine]] = {}
    for verdict in (v for c in comparisons for v in c.verdicts):
        level = verdict.level
        if level is None or level.quantity != quantity or level.population != "adult":
            continue
        if level.quantity is Quantity.DLP and level.per is not Per.EXAM:
            continue
        if verdict.status is Status.NO_VERDICT or level.kind not in _LINE_WORDS:
            continue
        line = LevelLine(float(level.value), _LINE_WORDS[level.kind], level.kind.value)
        known = lines.setdefault(verdict.procedure_name, [])
        if line not in known:
            known.append(line)
    return lines


def sources(*comparisons: Comparison) -> str:
    """The sets and editions the verdicts rest on, with the number of rows used of each."""
    used: dict[str, set[str]] = {}
    for verdict in (v for c in comparisons for v in c.verdicts):
        if verdict.level is not None:
            name = f"{verdict.level.set_id} {verdict.level.edition}".strip()
            used.setdefault(name, set()).add(verdict.level.row_id)
    if not used:
        return "No reference level was used."
    sets = "; ".join(f"{name} ({len(rows)} rows)" for name, rows in sorted(used.items()))
    return f"Reference levels: {sets}."


def provenance(done: Activity, when: Period, *comparisons: Comparison) -> list[str]:
    """Where the numbers of a page come from: exams, period, newest object, levels."""
    newest = "nothing received yet"
    if done.last_received_at is not None:
        newest = f"newest object received {done.last_received_at:%Y-%m-%d %H:%M} UTC"
    exams = f"{exams_in_words(done.n_exams)} of {done.n_devices} devices"
    return [
        f"{exams}, {when}; {done.n_objects:,} objects in the ledger, {newest}.",
        sources(*comparisons),
    ]


def key_figures(
    done: Activity, national: Comparison, local: Comparison, findings: pd.DataFrame
) -> list[Kpi]:
    """The figures a head of department looks at first.

    Parameters
    ----------
    done
        What was done.
    national, local
        Comparisons with the two kinds of levels.
    findings
        From `open_findings`.
    """
    above = {kind: _above(c) for kind, c in (("national", national), ("local", local))}
    return [
        Kpi("Exams", done.n_exams, None, f"of {done.n_patients:,} patients"),
        Kpi("Scanners", done.n_devices),
        *(
            Kpi(f"Above the {kind} level", n, None, f"of {_practices(of)} with a verdict")
            for kind, (n, of) in above.items()
        ),
        Kpi("Open findings", len(findings)),
    ]


def _above(comparison: Comparison) -> tuple[int, int]:
    judged = [p for p in practices(comparison) if p.verdict.status is not Status.NO_VERDICT]
    return sum(p.verdict.status in _ABOVE for p in judged), len(judged)


def source_line(when: Period) -> str:
    """What stands under a picture: whose data, of which days."""
    return f"{load_settings().site_name}, {when}"
