"""What a query gives: tables, the values behind them, the SQL that was run, and remarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dose_lib.questions.catalogue import Quantity
from dose_lib.questions.period import Period

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class LevelValue:
    """A reference level beside one quantity; `value` is None where several apply."""

    reference: str
    value: float | None
    n: int
    percent: float | None
    sources: tuple[str, ...] = ()


@dataclass
class Block:
    """One quantity of a result: its table, its overall figures, its values for a picture."""

    quantity: Quantity | None
    table: pd.DataFrame
    n: int
    n_missing: int = 0
    overall: dict[str, float | None] = field(default_factory=dict)
    levels: tuple[LevelValue, ...] = ()
    fetch: Callable[[], pd.DataFrame] | None = None
    modality: str | None = None

    @cached_property
    def values(self) -> pd.DataFrame | None:
        """Value, time and groups of every exam; read from the store when a picture needs them."""
        return self.fetch() if self.fetch is not None else None


@dataclass
class Result:
    """The blocks of an answer with everything that must be said beside them."""

    blocks: list[Block]
    table: pd.DataFrame
    asked: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: tuple[str, ...] = ()
    n_exams: int = 0
    n_hidden: int = 0
    grain: str | None = None
    is_list: bool = False
    ms: float = 0.0
    period: Period | None = None

    @property
    def sql(self) -> list[str]:
        """The SQL of every query that was run."""
        import ibis

        return [str(ibis.to_sql(expression, dialect="duckdb")) for expression in self.asked]

    @property
    def main(self) -> Block | None:
        """The block with the most exams."""
        return max(self.blocks, key=lambda b: b.n, default=None)
