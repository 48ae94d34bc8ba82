"""The same picture for each of several groups, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from dose_lib.charts.levels import LevelLine
from dose_lib.charts.picture import Chart, Side, show
from dose_lib.charts.statistics import largest

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.charts.fragments import Html


def panels(
    draw: Callable[..., Chart | Html],
    table: pd.DataFrame,
    *,
    panel: str,
    levels: Mapping[str, Sequence[LevelLine]] | None = None,
    top: int = 4,
    **words: Any,
) -> Chart | Html | Side:
    """One picture for each of the groups with the most exams.

    Parameters
    ----------
    draw
        A kind of picture, such as `charts.box`.
    table
        One row an exam.
    panel
        Column whose groups get a picture each.
    levels
        Reference levels of each group.
    top
        Pictures drawn at most.
    **words
        What `draw` takes besides; the title is the group's name.

    Returns
    -------
    Chart, Side or Html
        A message where the table is empty.
    """
    given = levels or {}
    names = largest(table, panel, top) if len(table) else []
    if "is_wide" in signature(draw).parameters:
        words = {"is_wide": len(names) < 2, **words}
    return show(
        *(
            draw(
                table[table[panel] == name],
                title=str(name),
                **({"levels": given.get(str(name), ())} if levels is not None else {}),
                **words,
            )
            for name in names
        )
    )
