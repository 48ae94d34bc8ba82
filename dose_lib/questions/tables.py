"""The tables of an answer: aggregated by ibis, compared with earlier, small groups hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis

from dose_lib.questions.catalogue import MAIN_MEASURE, ORDERED, RESULT_COLUMNS, Quantity, order_of
from dose_lib.questions.period import Period, Unit, shift
from dose_lib.questions.query import DoseQuery, Filter
from dose_lib.questions.reference_lines import LevelExpression
from dose_lib.questions.selection import dose_filters, select

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.reference import Level

MAX_ROWS = 5000
LIST_ROWS = 200
MAX_VALUES = 100_000
EARLIER = ("previous_period", "same_period_last_year")
GRAINS = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
_QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95}
_DAYS_OF_GRAIN = {"hour": 0, "day": 1, "week": 7}
_TREND_DAYS = 21  # a period this long is shown week by week where nothing else was asked


@dataclass(frozen=True, slots=True)
class Limits:
    """What the site's settings and the place of the answer ask for."""

    small_cell_n: int = 5
    minimum_n: int = 20
    child_age_y: float = 16.0
    country: str = "GB"
    is_shared: bool = False
    show_operators: str = "code"


class Tables:
    """One query on its way: its period and time step, its tables, what has been said so far."""

    def __init__(
        self,
        query: DoseQuery,
        con: Any,
        levels: Sequence[Level],
        limits: Limits,
        today: date,
    ) -> None:
        self.query, self.con, self.levels = query, con, levels
        self.limits, self.today = limits, today
        self.studies = con.table("studies")
        self.asked: list[Any] = []
        self.notes: list[str] = []
        self.procedures: list[str] = []
        self.modalities: list[str] = []
        self.n_hidden = 0
        self.empty: tuple[str, ...] = ()
        self.period = self._period()
        # For a share, conditions on dose are what is counted, not what is selected.
        counted = dose_filters(query) if query.statistic == "share" and not query.exceeds else ()
        if query.statistic == "share" and not query.exceeds and not counted:
            counted = query.filters
        self.counted: tuple[Filter, ...] = counted
        self.filters = tuple(f for f in query.filters if f not in counted)

    @property
    def is_list(self) -> bool:
        """True if single exams are asked for."""
        q = self.query
        plain = not q.group_by and q.grain is None and q.statistic is None
        return plain and (q.chart == "table" or (q.limit is not None and q.order is not None))

    @property
    def grain(self) -> str | None:
        """Time step of the table: as asked, else by week for a period compared with a level."""
        q = self.query
        if q.grain or q.group_by or self.is_list or q.chart not in (None, "line", "control"):
            return q.grain
        if q.statistic in ("count", "share", "sum") and q.chart is None:
            return None
        if q.chart is None and any(c in EARLIER for c in q.compare_to):
            return None
        period = self.period
        if period is None or period.start is None or period.end is None:
            return "month" if q.chart in ("line", "control") else None
        days = (period.end - period.start).days
        if q.chart is None and days < _TREND_DAYS:
            return None
        return "day" if days < _TREND_DAYS else "week" if days <= 200 else "month"

    def _period(self) -> Period | None:
        if self.query.period is not None:
            return self.query.period.clamped(self.today)
        wanted = [c for c in self.query.compare_to if c in EARLIER]
        if not wanted:
            return None
        if wanted[0] == "previous_period":
            self.notes.append("no period was named: the last 30 days, against the 30 before")
            return Period(kind="rolling", n=30, unit="day").clamped(self.today)
        self.notes.append("no period was named: this year to date, against the same days last year")
        return Period(kind="to_date", unit="year").clamped(self.today)

    def say(self, note: str) -> None:
        """Keep a remark, each once."""
        if note not in self.notes:
            self.notes.append(note)

    def fetch(self, expression: Any) -> Any:
        """The answer of the store to an expression, kept for its SQL."""
        self.asked.append(expression)
        return self.con.to_pyarrow(expression)

    @property
    def keys(self) -> list[str]:
        """Columns the table is grouped by."""
        keys = [RESULT_COLUMNS[d] for d in self.query.group_by]
        return [*keys, "bucket"] if self.grain else keys

    def table(
        self, rows: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> pd.DataFrame:
        """The table of one quantity: figures, earlier period, small groups hidden."""
        table = self._aggregated(rows, quantity, references)
        for comparison in self.query.compare_to:
            if comparison in EARLIER:
                table = self._with_earlier(table, quantity, comparison)
        table = self._hide_small(table, quantity)
        return self._dressed(self._ordered(table, quantity))

    def names(self, quantity: Quantity | None) -> dict[str, str]:
        """Statistic -> column name in the table."""
        statistic = self.query.statistic
        if statistic == "count":
            return {}
        if statistic == "share":
            return {"share": "share_percent"}
        wanted = [str(statistic)] if statistic else ["median", "p75"]
        suffix = quantity.name if quantity else "exams"
        return {s: f"{s}_{suffix}" for s in wanted}

    def statistic(self, rows: Any, name: str) -> Any:
        """A statistic of the values as an ibis expression."""
        value = rows["value_"]
        if name in _QUANTILES:
            return value.quantile(_QUANTILES[name])
        if name == "share":
            return 100.0 * rows["met_"].cast("float64").mean()
        if name == "std":
            return value.std(how="sample")
        return {"mean": value.mean, "max": value.max, "min": value.min, "sum": value.sum}[name]()

    def _aggregated(
        self, rows: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> pd.DataFrame:
        wanted: dict[str, Any] = {"n": rows["value_"].count() if quantity else rows.count()}
        if self.query.statistic == "share":
            wanted["n"] = rows.count()
            wanted["n_meeting"] = rows["met_"].cast("int64").sum()
        for statistic, name in self.names(quantity).items():
            wanted[name] = self.statistic(rows, statistic)
        for name in references:
            wanted |= level_facts(rows, name)
        wanted["weight_"], wanted["age_"] = rows["weight_"].min(), rows["age_"].min()
        keys = self.keys
        grouped = (
            rows.group_by(keys).aggregate(**wanted) if keys else rows.aggregate(by=[], **wanted)
        )
        table = self.fetch(grouped.limit(MAX_ROWS)).to_pandas()
        if len(table) == MAX_ROWS:
            self.say(f"only the first {MAX_ROWS:,} groups are shown")
        for name in references:
            table = _level_columns(table, name, quantity)
        return table

    def _with_earlier(
        self, table: pd.DataFrame, quantity: Quantity | None, comparison: str
    ) -> pd.DataFrame:
        """The same figures for the earlier period beside, and the change in percent."""
        import pandas as pd

        period = self.period
        if period is None or period.start is None or period.end is None:
            self.say("an open period cannot be compared with an earlier one")
            return table
        earlier = period.before() if comparison == "previous_period" else period.year_before()
        chosen = select(self.studies, self.query, self.filters, earlier)
        if quantity is not None and len(self.query.modality) != 1 and self.query.measure == ():
            kept = [m for m, measure in MAIN_MEASURE.items() if measure == quantity.measure]
            chosen = chosen.filter(chosen.modality.cast("string").isin(kept))
        rows = self.rows(chosen, quantity, {})
        if self.grain and earlier.start:
            rows = rows.mutate(
                bucket=self._moved(rows, earlier, period).truncate(GRAINS[self.grain])
            )
        old = self._aggregated(rows, quantity, {})
        figures = [
            "n",
            *(["n_meeting"] if "n_meeting" in old else []),
            *self.names(quantity).values(),
        ]
        prefix = "previous" if comparison == "previous_period" else "last_year"
        old = old[[*self.keys, *figures]]
        self._blank(old, self.names(quantity).values())
        old = old.rename(columns={f: f"{prefix}_{f}" for f in figures})
        if self.keys:
            table = table.merge(old, on=self.keys, how="left")
        else:
            table = pd.concat([table, old], axis=1)
        main = next(iter(self.names(quantity).values()), "n")
        change = 100.0 * (table[main] / table[f"{prefix}_{main}"] - 1.0)
        table[f"change_{prefix}_percent"] = change.where(table[f"{prefix}_{main}"] != 0)
        self.say(f"compared with {earlier.to_text()}")
        return table

    def _moved(self, rows: Any, earlier: Period, period: Period) -> Any:
        """Local time of earlier exams moved onto the present: week on week, month on month."""
        assert earlier.start and period.start  # noqa: S101 - closed periods only
        if self.grain in ("month", "quarter", "year"):
            first, old = period.start, earlier.start
            months = 12 * (first.year - old.year) + first.month - old.month
            return rows["started_at"] + ibis.interval(months=months)
        days = (period.start - earlier.start).days
        if days % 7:
            days = round(days / 7) * 7 if days > 27 else days
        return rows["started_at"] + ibis.interval(days=days)

    def _hide_small(self, table: pd.DataFrame, quantity: Quantity | None) -> pd.DataFrame:
        if quantity is None and not self.limits.is_shared and self.query.statistic != "share":
            return table
        if self.query.statistic in ("max", "min") and self.limits.is_shared:
            for name in self.names(quantity).values():
                table[name] = None
            return table
        columns = [*self.names(quantity).values()]
        columns += [
            c for c in table.columns if c.startswith("change_") or c.endswith("_drl_percent")
        ]
        columns += [c for c in ("n_meeting", "achievable_dose_percent") if c in table.columns]
        hidden = self._blank(table, columns)
        if hidden:
            self.n_hidden += hidden
            what = f"{quantity.label}: " if quantity else ""
            self.say(
                f"{what}{hidden} group{'s' if hidden > 1 else ''} of fewer than "
                f"{self.limits.small_cell_n} exams, figures hidden"
            )
        return table

    def _blank(self, table: pd.DataFrame, columns: Any) -> int:
        small = (table["n"] < self.limits.small_cell_n) & (table["n"] > 0)
        for name in columns:
            table[name] = table[name].astype("float64").mask(small)
        return int(small.sum())

    def _ordered(self, table: pd.DataFrame, quantity: Quantity | None) -> pd.DataFrame:
        if self.query.order and self.keys:
            main = next(iter(self.names(quantity).values()), "n")
            table = table.sort_values(
                main, ascending=self.query.order == "asc", na_position="last", kind="stable"
            )
        elif self.keys:
            table = table.sort_values(self._sort_keys(table), kind="stable")
        if self.query.limit and self.keys:
            table = table.head(self.query.limit)
        return table.reset_index(drop=True)

    def _sort_keys(self, table: pd.DataFrame) -> list[str]:
        """Bands in their order, not in that of the alphabet."""
        import pandas as pd

        keys = []
        for key in self.keys:
            if key in ORDERED:
                table[key] = pd.Categorical(table[key], order_of(key), ordered=True)
            keys.append(key)
        return ["bucket", *(k for k in keys if k != "bucket")] if "bucket" in keys else keys

    def _dressed(self, table: pd.DataFrame) -> pd.DataFrame:
        table = table.drop(columns=[c for c in table.columns if c.endswith("_") or "_low_" in c])
        for band in ORDERED:
            if band in table:
                table[band] = table[band].astype("object")
        if self.grain and "bucket" in table:
            table["is_partial"] = [self._is_partial(b) for b in table["bucket"]]
            table = table.rename(columns={"bucket": self.grain})
            if table["is_partial"].any():
                self.say(f"a {self.grain} at the edge of the period is not complete (is_partial)")
        return table

    def _is_partial(self, bucket: Any) -> bool:
        """True for a week or month that the period or today cuts."""
        if self.grain == "hour":
            return False
        start = bucket.date() if isinstance(bucket, datetime) else bucket
        end = start + timedelta(days=_DAYS_OF_GRAIN.get(str(self.grain), 0))
        if self.grain in ("month", "quarter", "year"):
            unit: Unit = "month" if self.grain == "month" else "quarter"
            end = shift(start, 1, "year" if self.grain == "year" else unit)
        first = self.period.start if self.period else None
        last = self.period.end if self.period else None
        tomorrow = self.today + timedelta(days=1)
        return bool((first and start < first) or end > tomorrow or (last and end > last))

    def list_exams(self, rows: Any, quantity: Quantity | None) -> pd.DataFrame:
        """Single exams, largest first where the order was asked for."""
        name = quantity.name if quantity else "value"
        q = self.query
        order = rows["value_"].asc() if q.order == "asc" else rows["value_"].desc()
        known = rows.filter(rows["value_"].notnull()) if quantity else rows
        sort = [order, known["part_key"]] if q.order else [known["started_at"].desc()]
        listed = known.order_by(sort).limit(min(q.limit or LIST_ROWS, MAX_ROWS))
        table = self.fetch(
            listed.select(
                started_at=listed.started_at,
                device=listed["device_"],
                procedure_name=listed["procedure_"],
                weight_kg=listed["weight_"],
                **{name: listed["value_"]},
                part_key=listed.part_key,
            )
        ).to_pandas()
        if not q.limit and len(table) == LIST_ROWS:
            self.say(f"the newest {LIST_ROWS} exams are listed")
        return table

    def values(self, rows: Any, *, is_measured: bool = True) -> pd.DataFrame:
        """Value, time and groups of every exam, for a picture of the distribution."""
        wanted = {k: rows[k] for k in self.keys if k != "bucket"}
        kept = rows.filter(rows["value_"].notnull()) if is_measured else rows
        columns = {k: kept[k] for k in wanted}
        return self.fetch(
            kept.select(
                started_at=kept.started_at,
                value=kept["value_"],
                weight_kg=kept["weight_"],
                age_y=kept["age_"],
                **columns,
                **self._percents(kept),
            ).limit(MAX_VALUES)
        ).to_pandas()

    @staticmethod
    def _percents(rows: Any) -> dict[str, Any]:
        """Dose in percent of the first level of each exam."""
        levels = [c for c in rows.columns if c.endswith("_level") and c != "exceeds_level"]
        if not levels:
            return {}
        level, value = rows[levels[0]], rows[levels[0].replace("_level", "_value")]
        return {"percent": 100.0 * value / level}

    def rows(
        self, chosen: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> Any:
        """One row an exam with just the columns that are used."""
        raise NotImplementedError


def level_facts(rows: Any, name: str) -> dict[str, Any]:
    """Range and number of the levels of a group, and its median in percent of them."""
    level, value = rows[f"{name}_level"], rows[f"{name}_value"]
    return {
        f"{name}_low": level.min(),
        f"{name}_high": level.max(),
        f"{name}_n": level.count(),
        f"{name}_percent": (100.0 * value / level).quantile(0.5),
    }


def _level_columns(table: pd.DataFrame, name: str, quantity: Quantity | None) -> pd.DataFrame:
    """Level of a group where all its exams have the same, and the median in percent of it."""
    low, high = table.pop(f"{name}_low"), table.pop(f"{name}_high")
    count, percent = table.pop(f"{name}_n"), table.pop(f"{name}_percent")
    if name == "exceeds":
        return table
    unit = quantity.name.split("_", 1)[-1] if quantity else ""
    suffix = next((u for u in ("mgy_cm", "gy_cm2", "mgy", "msv", "s") if unit.endswith(u)), "")
    table[f"{name}_{suffix}".rstrip("_")] = low.where(low == high)
    table[f"{name}_percent"] = percent.where(count > 0)
    return table
