"""What a picture draws: exams in, one row a box, bucket, bin or cell out.

Only shaping for the eye: no query, no verdict. A group of fewer exams than the small-cell
limit gives no numbers, since they could be read back to one person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Hashable

GRAINS = {"hour": "h", "day": "D", "week": "W-MON", "month": "MS", "quarter": "QS", "year": "YS"}


class Groups(NamedTuple):
    """Statistics of groups, and how many groups were too small to show."""

    table: pd.DataFrame
    hidden: tuple[str, ...]


def numbers_only(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Rows in which `value` is a finite number."""
    values = pd.to_numeric(table[value], errors="coerce").astype(float)
    return table.assign(**{value: values})[np.isfinite(values)]


def five_numbers(table: pd.DataFrame, value: str, by: str, small_cell_n: int) -> Groups:
    """Quantiles of each group, largest median last.

    Parameters
    ----------
    table
        One row an exam.
    value, by
        Columns: the number and the group.
    small_cell_n
        Groups of fewer exams are left out and named in `hidden`.

    Returns
    -------
    Groups
        Columns `group, n, p5, p25, median, p75, p95`.
    """
    rows, hidden = [], []
    for name, part in numbers_only(table, value).groupby(by, dropna=False, observed=True):
        label = "not recorded" if pd.isna(name) else str(name)
        if len(part) < small_cell_n:
            hidden.append(label)
            continue
        p5, p25, median, p75, p95 = part[value].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
        rows.append((label, len(part), p5, p25, median, p75, p95))
    columns = ["group", "n", "p5", "p25", "median", "p75", "p95"]
    return Groups(
        pd.DataFrame(rows, columns=columns).sort_values("median", ignore_index=True),
        tuple(sorted(hidden)),
    )


def choose_grain(first: pd.Timestamp, last: pd.Timestamp) -> str:
    """Days up to a fortnight, weeks up to two years, then months."""
    days = (last - first).days
    return "day" if days <= 14 else "week" if days <= 730 else "month"


def buckets(
    table: pd.DataFrame, value: str, time: str, grain: str, small_cell_n: int
) -> pd.DataFrame:
    """Statistics of each day, week (from Monday) or month.

    Returns
    -------
    pandas.DataFrame
        Columns `start, n, p25, median, p75, is_partial`; statistics are NaN where the
        bucket holds fewer than `small_cell_n` exams, so that a line shows a gap.
    """
    times = pd.to_datetime(table[time])
    start = times.dt.to_period({"week": "W-SUN"}.get(grain, grain[0].upper())).dt.start_time
    grouped = table.assign(start=start).groupby("start")[value]
    out = grouped.quantile([0.25, 0.5, 0.75]).unstack()
    out.columns = pd.Index(["p25", "median", "p75"])
    out.insert(0, "n", grouped.size())
    step = pd.tseries.frequencies.to_offset(GRAINS[grain])
    every = pd.date_range(out.index.min(), out.index.max(), freq=step, inclusive="both")
    out = out.reindex(out.index.union(every))
    out["n"] = out["n"].fillna(0).astype(int)
    out.loc[out["n"] < max(small_cell_n, 1), ["p25", "median", "p75"]] = np.nan
    ends = out.index + step
    out["is_partial"] = (out.index < times.min().normalize()) | (ends > times.max())
    return out.rename_axis("start").reset_index()


def rolling(
    table: pd.DataFrame, value: str, time: str, window_d: int, small_cell_n: int
) -> pd.DataFrame:
    """Median and 75th percentile of the exams of the last `window_d` days, day by day.

    Returns
    -------
    pandas.DataFrame
        Columns `day, n, median, p75`; NaN where the window holds too few exams.
    """
    series = table.sort_values(time).set_index(pd.DatetimeIndex(table[time].sort_values()))[value]
    window = series.rolling(f"{window_d}D", min_periods=max(small_cell_n, 1))
    daily = pd.DataFrame(
        {"n": window.count(), "median": window.median(), "p75": window.quantile(0.75)}
    )
    daily = daily.groupby(daily.index.normalize()).last()
    return daily.rename_axis("day").reset_index()


def counts(table: pd.DataFrame, value: str, bins: int | None) -> pd.DataFrame:
    """A histogram: columns `left, right, n`, on round edges."""
    values = numbers_only(table, value)[value]
    low, high = float(values.min()), float(values.max())
    wanted = bins or int(np.clip(np.sqrt(len(values)) * 1.5, 8, 40))
    step = _round_step((high - low) / wanted)
    first = np.floor(low / step) * step
    edges = np.arange(first, high + step, step)
    n, edges = np.histogram(values, bins=edges if len(edges) > 1 else [first, first + step])
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "n": n})


def _round_step(step: float) -> float:
    """The nearest 1, 2 or 5 times a power of ten."""
    if step <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(step))
    return float(min((1, 2, 5, 10), key=lambda m: abs(m * power - step)) * power)


def cells(
    table: pd.DataFrame, x: str, y: str, value: str | None, small_cell_n: int
) -> pd.DataFrame:
    """Median of `value` (or number of exams) for each pair: `x, y, n, value`."""
    kept = table if value is None else numbers_only(table, value)
    grouped = kept.groupby([x, y], observed=True)
    out = grouped.size().rename("n").reset_index()
    out["value"] = out["n"].astype(float) if value is None else grouped[value].median().to_numpy()
    if value is not None:
        out.loc[out["n"] < small_cell_n, "value"] = np.nan
    return out.rename(columns={x: "x", y: "y"})


def largest(table: pd.DataFrame, by: str, top: int) -> list[Hashable]:
    """The `top` groups with the most exams, most first."""
    return list(table[by].value_counts().head(top).index)
