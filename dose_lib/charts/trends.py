"""A number over time: buckets, rolling median, reference levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dose_lib.charts import draw
from dose_lib.charts.captions import (
    caption_of,
    limit_of_site,
    nothing,
    overlay,
    titled,
    upper,
    values,
)
from dose_lib.charts.fragments import Html
from dose_lib.charts.levels import (
    LevelLine,
    band_sample,
    gutter_for_words,
    legend,
    level_words,
    line_sample,
    mark_sample,
    spread,
)
from dose_lib.charts.picture import Chart
from dose_lib.charts.statistics import buckets, choose_grain, largest, numbers_only, rolling
from dose_lib.charts.style import BLUE, GROUP_COLOURS, GROUP_GLYPHS, GROUP_MARKS, INK, SKY
from dose_lib.charts.words import exams, number, shorten, word


def trend(
    table: pd.DataFrame,
    *,
    value: str,
    time: str = "started_at",
    by: str | None = None,
    grain: str | None = None,
    window_d: int = 28,
    levels: Sequence[LevelLine] = (),
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
    is_wide: bool = True,
) -> Chart | Html:
    """A number over time: bucket medians with the rolling median and 75th percentile.

    Parameters
    ----------
    table
        One row an exam.
    value, time
        Columns: the number and its local time.
    by
        Column of groups; then one line of rolling medians a group, the eight largest.
    grain
        `hour`, `day`, `week` (from Monday), `month`, `quarter` or `year`; default by the period.
    window_d
        Days of the rolling window.
    levels, title, source, small_cell_n
        As in `box`.
    is_wide
        False where it will stand beside another picture.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    words = word(value)
    heading = titled(title, words, "over time")
    kept = numbers_only(table, value).dropna(subset=[time]) if len(table) else table
    if len(kept) < max(limit, 1):
        return nothing(heading, (f"{exams(len(kept))} in all",) if len(kept) else (), limit)
    names = {value: "value", time: "time"} | ({by: "group"} if by else {})
    kept = kept[list(names)].rename(columns=names)
    kept["time"] = pd.to_datetime(kept["time"]).dt.tz_localize(None)
    grain = grain or choose_grain(kept["time"].min(), kept["time"].max())
    if by is None:
        data, strokes, entries, hidden = _one_trend(kept, grain, window_d, limit)
    else:
        data, strokes, entries, hidden = _group_trends(kept, window_d, limit)
    if not strokes:
        return nothing(heading, hidden or (f"each {grain}",), limit)
    top = upper([*data[[c for c in ("p75", "median") if c in data]].max(), *values(levels)])
    first = min(data.iloc[:, 0].min(), kept["time"].min()).floor("D")
    last = max(data.iloc[:, 0].max(), kept["time"].max()).ceil("D")
    gutter = (last - first) * gutter_for_words(levels, is_wide=is_wide)
    strokes += _level_rows(levels, (first, last), top)
    picture = draw.frame(
        overlay(strokes),
        xlabel="",
        ylabel=words.axis,
        height=340,
        xlim=(first - (last - first) * 0.02, last + gutter),
        ylim=(0, top),
        is_time=True,
    )
    return Chart(
        picture=picture,
        data=data,
        title=heading,
        legend=legend(entries),
        caption=caption_of(len(kept), hidden, limit, source),
        shape=(
            "trend",
            tuple(words for _, words in entries),
            by,
            grain,
            len(levels),
            first,
            last,
            top,
        ),
        height=340,
        is_wide=is_wide,
        words=_last_words(data, words.unit),
    )


def _last_words(data: pd.DataFrame, unit: str | None) -> str:
    last = data.dropna(subset=["median"]).tail(1)
    return f"Latest median: {number(float(last['median'].iloc[0]), unit)}." if len(last) else ""


_Strokes = tuple[pd.DataFrame, list[Any], list[tuple[str, str]], tuple[str, ...]]


def _one_trend(table: pd.DataFrame, grain: str, window_d: int, limit: int) -> _Strokes:
    data = buckets(table, "value", "time", grain, limit)
    if data["median"].notna().sum() == 0:
        return data, [], [], ()
    rolled = rolling(table, "value", "time", window_d, limit)
    hover = [(grain, "@start{%F}"), ("exams", "@n{0,0}"), ("median", "@median{0,0.[0]}")]
    hover += [("25 %", "@p25{0,0.[0]}"), ("75 %", "@p75{0,0.[0]}")]
    whole, part = data[~data["is_partial"]], data[data["is_partial"]]
    strokes = [draw.band(data, "start", "p25", "p75", colour=SKY)]
    strokes.append(draw.line(rolled, "day", "p75", colour=BLUE, width=1.6, dash="dashed"))
    strokes.append(draw.line(rolled, "day", "median", colour=BLUE, width=3))
    strokes.append(draw.dots(whole, "start", "median", colour=INK, size=7, hover=hover))
    strokes.append(draw.dots(part, "start", "median", colour=INK, is_hollow=True, hover=hover))
    entries = [
        (mark_sample(INK, "●"), f"median of a {grain} (○ not complete)"),
        (band_sample(SKY), f"middle half of a {grain}"),
        (line_sample(BLUE), f"median, last {window_d} days"),
        (line_sample(BLUE, "dashed"), f"75th percentile, last {window_d} days"),
    ]
    return data, strokes, entries, ()


def _group_trends(table: pd.DataFrame, window_d: int, limit: int) -> _Strokes:
    names = largest(table, "group", len(GROUP_COLOURS))
    frames, strokes, entries, hidden = [], [], [], []
    for name, colour, mark, glyph in zip(
        names, GROUP_COLOURS, GROUP_MARKS, GROUP_GLYPHS, strict=False
    ):
        rolled = rolling(table[table["group"] == name], "value", "time", window_d, limit)
        if rolled["median"].notna().sum() == 0:
            hidden.append(str(name))
            continue
        rolled = rolled.assign(group=str(name))
        frames.append(rolled)
        strokes.append(draw.line(rolled, "day", "median", colour=colour, width=2.2))
        hover = [("", "@group"), ("day", "@day{%F}"), ("exams", "@n{0,0}")]
        hover.append((f"median, {window_d} days", "@median{0,0.[0]}"))
        every = rolled.dropna(subset=["median"]).iloc[:: max(1, len(rolled) // 10)]
        strokes.append(draw.dots(every, "day", "median", colour=colour, mark=mark, hover=hover))
        last = int(table["group"].eq(name).sum())
        entries.append((mark_sample(colour, glyph), f"{shorten(str(name))} (n = {last:,})"))
    data = pd.concat(frames) if frames else pd.DataFrame({"day": [], "median": []})
    if entries:
        entries.append(("", f"median of the last {window_d} days"))
    return data, strokes, entries, tuple(hidden)


def _level_rows(
    levels: Sequence[LevelLine],
    ends: tuple[pd.Timestamp, pd.Timestamp],
    top: float,
) -> list[Any]:
    """Lying level lines, labelled in the gutter right of the data, labels kept apart."""
    parts: list[Any] = []
    first, last = ends
    places = spread([lv.value + top * 0.035 for lv in levels], top * 0.075)
    for level, place, text in zip(levels, places, level_words(levels, None), strict=True):
        line = level.line
        ends_of_line = pd.DataFrame({"time": [first, last], "level": [float(level.value)] * 2})
        parts.append(
            draw.line(ends_of_line, "time", "level", colour=line.colour, width=2, dash=line.dash)
        )
        beside = (last + (last - first) * 0.012, place - top * 0.035, text)
        parts.append(draw.texts([beside], colour=line.colour, is_bold=True))
    return parts
