"""A query compiled to ibis on the view `studies`, run, and put into tables.

Nothing of a question reaches SQL as text: slots are closed sets or values that ibis quotes.
Guards: NaN and infinity count as not recorded, unknown groups stay a group, phantoms and
modalities are never pooled, statistics of few exams are hidden, rows are limited.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis

from dose_lib.questions.catalogue import (
    MAIN_MEASURE,
    QUANTITIES,
    LISTED,
    ORDERED,
    RESULT_COLUMNS,
    Quantity,
    clean,
    dimension,
    order_of,
)
from dose_lib.questions.period import Period
from dose_lib.questions.query import DoseQuery, Filter
from dose_lib.questions.reference_lines import (
    LABELS,
    LevelExpression,
    either,
    level_of_exams,
)
from dose_lib.questions.result import Block, LevelValue, Result
from dose_lib.questions.selection import dose_filters, select, why_empty

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.reference import Level

MAX_ROWS = 5000
LIST_ROWS = 200
MAX_VALUES = 100_000
_PERIODS = ("previous_period", "same_period_last_year")
_QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95}
_GRAIN = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
_DAYS_OF_GRAIN = {"hour": 0, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
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


def run(
    query: DoseQuery,
    con: Any,
    *,
    levels: Sequence[Level] = (),
    limits: Limits | None = None,
    today: date,
) -> Result:
    """Answer a query from a store.

    Parameters
    ----------
    query
        What is asked.
    con
        ibis backend with the view `studies`.
    levels
        Reference levels (`dose_lib.reference.load_levels`).
    limits
        Settings of the site.
    today
        Decides which week or month is not complete.
    """
    return _Run(query, con, levels, limits or Limits(), today).result()


class _Run:
    """One query on its way: the selection, its quantities, and what has been said so far."""

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
        self.period = self._period()
        # For a share, conditions on dose are what is counted, not what is selected.
        counted = dose_filters(query) if query.statistic == "share" and not query.exceeds else ()
        if query.statistic == "share" and not query.exceeds and not counted:
            counted = query.filters
        self.counted: tuple[Filter, ...] = counted
        self.filters = tuple(f for f in query.filters if f not in counted)

    def result(self) -> Result:
        """The answer."""
        started = time.perf_counter()
        chosen = select(self.studies, self.query, self.filters, self.period)
        facts = self._facts(chosen)
        n_exams = sum(f["n"] for f in facts)
        if not n_exams:
            import pandas as pd

            empty = why_empty(self.studies, self.query, self.period)
            none = pd.DataFrame({"n": [0]}) if self.query.statistic == "count" else pd.DataFrame()
            return Result(
                [], none, self.asked, self.notes, empty, ms=_ms(started), period=self.period
            )
        self.modalities = sorted({f["modality"] for f in facts})
        self.procedures = sorted({f["procedure"] for f in facts if f["procedure"]})
        self._say_pooled(facts)
        self._say_missing(facts)
        blocks = self._blocks(chosen, facts)
        table = _joined(blocks)
        result = Result(blocks, table, self.asked, self.notes, (), n_exams, period=self.period)
        result.grain, result.is_list = self.grain, self.is_list
        result.n_hidden, result.ms = self.n_hidden, _ms(started)
        return result

    # --- what is shown ------------------------------------------------------------------------

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
        if q.chart is None and any(c in _PERIODS for c in q.compare_to):
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
        wanted = [c for c in self.query.compare_to if c in _PERIODS]
        if not wanted:
            return None
        if wanted[0] == "previous_period":
            self.notes.append("no period was named: the last 30 days, against the 30 before")
            return Period(kind="rolling", n=30, unit="day").clamped(self.today)
        self.notes.append("no period was named: this year to date, against the same days last year")
        return Period(kind="to_date", unit="year").clamped(self.today)

    def _facts(self, chosen: Any) -> list[dict[str, Any]]:
        """Exams by modality and procedure, with what of their CTDIvol is known."""
        known = {f"has_{q.name}": q.value(chosen).count() for q in self._candidates()}
        counted = chosen.group_by(
            modality=chosen.modality.cast("string"), procedure=chosen.procedure_name
        ).aggregate(n=chosen.count(), **known)
        rows: list[dict[str, Any]] = self._fetch(counted).to_pylist()
        return rows

    def _candidates(self) -> list[Quantity]:
        """Quantities that may have to be shown; only those with data are asked for."""
        if self.query.statistic == "count":
            return []
        names = self.query.measure or tuple(dict.fromkeys(MAIN_MEASURE.values()))
        return [q for name in names for q in self._of(name)]

    def _say_pooled(self, facts: list[dict[str, Any]]) -> None:
        named = {f["procedure"]: 0 for f in facts if f["procedure"]}
        for fact in facts:
            if fact["procedure"]:
                named[fact["procedure"]] += fact["n"]
        pools = self.query.body_region and not self.query.procedure and len(named) > 1
        if pools and "procedure" not in self.query.group_by:
            largest = sorted(named.items(), key=lambda kv: -kv[1])[:4]
            words = ", ".join(f"{name} ({n:,})" for name, n in largest)
            more = f" and {len(named) - 4} more" if len(named) > 4 else ""
            self.notes.append(f"this pools procedures: {words}{more}")

    # --- blocks -------------------------------------------------------------------------------

    def _blocks(self, chosen: Any, facts: list[dict[str, Any]]) -> list[Block]:
        if self.is_list and self.limits.is_shared:
            self.notes.append("single exams are not listed in shared output; shown as figures")
        if self.query.statistic == "count":
            return [self._block(chosen, None, None)]
        counts: dict[str, int] = {}
        for fact in facts:
            counts[fact["modality"]] = counts.get(fact["modality"], 0) + fact["n"]
        blocks = []
        for quantity, modality in self._quantities(counts):
            of = [f for f in facts if modality in (None, f["modality"])]
            if not sum(f[f"has_{quantity.name}"] for f in of):
                continue
            part = chosen.filter(chosen.modality.cast("string") == modality) if modality else chosen
            block = self._block(part, quantity, modality)
            if block.n:
                blocks.append(block)
        if len(blocks) > 1:
            self.notes.append("quantities that cannot be pooled are shown apart")
        if not blocks and self.query.statistic == "share" and not self.query.exceeds:
            return [self._block(chosen, None, None)]
        if not blocks:
            self.notes.append("the exams state none of the quantities asked for")
        return blocks

    def _quantities(self, counts: dict[str, int]) -> list[tuple[Quantity, str | None]]:
        """Quantities to show, with the modality each is restricted to."""
        if self.query.measure:
            modalities: list[str | None] = [None]
            if len(counts) > 1 and "modality" not in self.query.group_by:
                modalities = sorted(counts, key=lambda m: -counts[m])
            return [
                (q, m) for name in self.query.measure for q in self._of(name) for m in modalities
            ]
        if self.query.statistic == "share" and not self.query.exceeds:
            return []
        found: list[tuple[Quantity, str | None]] = []
        for modality in sorted(counts, key=lambda m: -counts[m]):
            measure = MAIN_MEASURE.get(modality)
            if measure is None:
                self.notes.append(f"{modality} has no dose quantity in the question box")
                continue
            only = modality if len(counts) > 1 else None
            found.extend((q, only) for q in self._of(measure))
        return found

    def _of(self, measure: str) -> tuple[Quantity, ...]:
        """Quantities of a measure: by phantom for figures, as stated for a list of exams."""
        is_listed = self.is_list and not self.limits.is_shared and measure in LISTED
        return (LISTED[measure],) if is_listed else QUANTITIES[measure]

    def _block(self, chosen: Any, quantity: Quantity | None, modality: str | None) -> Block:
        import pandas as pd

        references = self._references(chosen, quantity)
        rows = self._comparable(self._rows(chosen, quantity, references), references)
        facts = self._overall(rows, references)
        n = int(facts["n_value"] if quantity else facts["n"])
        block = Block(quantity, pd.DataFrame(), n, int(facts["n"]) - n, modality=modality)
        if n == 0:
            return block
        block.overall = {k: facts.get(k) for k in ("median", "p75", "statistic", "n_over")}
        block.levels = self._level_values(facts, references)
        if self.is_list and not self.limits.is_shared:
            block.table = self._list(rows, quantity)
        else:
            block.table = self._table(rows, quantity, references)
        if quantity is not None or len(self.query.group_by) == 2:
            block.fetch = partial(self._values, rows, is_measured=quantity is not None)
            if n > MAX_VALUES:
                self._say(f"the picture shows {MAX_VALUES:,} of the exams, the table all")
        return block

    def _comparable(self, rows: Any, references: dict[str, LevelExpression]) -> Any:
        """Beside a level only exams that it is for: others would move the median, not the level."""
        names = [n for n in references if n != "exceeds"]
        if not names:
            return rows
        has_level = rows[f"{names[0]}_level"].notnull()
        for name in names[1:]:
            has_level = has_level | rows[f"{name}_level"].notnull()
        counts = self._fetch(
            rows.aggregate(n=rows.count(), compared=rows.count(where=has_level))
        ).to_pylist()[0]
        left = counts["n"] - counts["compared"]
        if not counts["compared"]:
            return rows
        if left:
            label = " or ".join(LABELS[n] for n in names)
            self._say(
                f"{left:,} of {counts['n']:,} exams are left out of the comparison: no {label} is "
                f"for their procedure, date, age, size or phantom"
            )
        self._say(
            "this is no verdict: that takes patients of standard size and at least "
            f"{self.limits.minimum_n} of them"
        )
        return rows.filter(has_level)

    def _say_missing(self, facts: list[dict[str, Any]]) -> None:
        """Exams that state none of the quantities a measure is read from."""
        names = self.query.measure or tuple(
            dict.fromkeys(
                MAIN_MEASURE[f["modality"]] for f in facts if f["modality"] in MAIN_MEASURE
            )
        )
        for name in () if self.query.statistic == "count" else names:
            of = [f for f in facts if self.query.measure or MAIN_MEASURE.get(f["modality"]) == name]
            total = sum(f["n"] for f in of)
            have = sum(f[f"has_{q.name}"] for f in of for q in self._of(name))
            if total > have:
                label = QUANTITIES[name][0].label.split(" (")[0]
                self._say(f"{total - have:,} of {total:,} exams state no {label}")

    def _references(self, chosen: Any, quantity: Quantity | None) -> dict[str, LevelExpression]:
        """Levels beside this quantity, by reference; `exceeds` is that each exam must exceed."""
        wanted: list[tuple[str, str]] = [(c, c) for c in self.query.compare_to if c in LABELS]
        if self.query.exceeds:
            wanted.append(("exceeds", self.query.exceeds))
        quantities = (quantity,) if quantity else self._counted_quantities()
        found: dict[str, LevelExpression] = {}
        for name, reference in wanted:
            expression = self._level(chosen, quantities, reference, only_usable=name == "exceeds")
            if expression is None:
                what = quantity.label if quantity else "these exams"
                self._say(f"no {LABELS[reference]} applies to {what} of these exams")
                continue
            found[name] = expression
        return found

    def _level(
        self, chosen: Any, quantities: Sequence[Quantity], reference: str, *, only_usable: bool
    ) -> LevelExpression | None:
        found = []
        for quantity in quantities:
            expression, notes = level_of_exams(
                chosen,
                quantity,
                reference,
                procedures=self.procedures,
                levels=self.levels,
                country=self.limits.country,
                child_age_y=self.limits.child_age_y,
                period=(self.period.start, self.period.end) if self.period else (None, None),
                only_usable=only_usable,
            )
            for note in notes[:3]:
                self._say(f"{LABELS[reference]}: {note}")
            if expression is not None:
                found.append(expression)
        return either(found)

    def _counted_quantities(self) -> tuple[Quantity, ...]:
        """For a count of exams over a level: the quantities the level may be for."""
        names = self.query.measure or tuple(
            dict.fromkeys(MAIN_MEASURE[m] for m in self.modalities if m in MAIN_MEASURE)
        )
        return tuple(q for name in names for q in QUANTITIES[name] if q.level)

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    # --- columns ------------------------------------------------------------------------------

    def _rows(
        self, chosen: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> Any:
        """One row an exam with just the columns that are used."""
        columns: dict[str, Any] = {
            RESULT_COLUMNS[d]: dimension(chosen, d) for d in self.query.group_by
        }
        if self.grain:
            columns["bucket"] = chosen.started_at.truncate(_GRAIN[self.grain])
        columns["part_key"], columns["started_at"] = chosen.part_key, chosen.started_at
        columns["device_"], columns["procedure_"] = chosen.device, chosen.procedure_name
        columns["value_"] = quantity.value(chosen) if quantity else ibis.null("float64")
        columns["weight_"], columns["age_"] = clean(chosen.weight_kg), clean(chosen.age_y)
        for name, found in references.items():
            columns[f"{name}_level"], columns[f"{name}_value"] = found.level, found.value
        columns["met_"] = self._met(chosen)
        rows = chosen.select(**columns)
        if "exceeds" in references:
            over = rows["exceeds_value"] > rows["exceeds_level"]
            known = rows["exceeds_level"].notnull() & rows["exceeds_value"].notnull()
            if self.query.statistic == "share":
                return rows.filter(known).mutate(met_=over.fill_null(False))
            return rows.filter(over.fill_null(False))
        if self.query.exceeds:
            return rows.filter(ibis.literal(False))
        return rows

    def _met(self, chosen: Any) -> Any:
        from dose_lib.questions.selection import predicate

        met = ibis.literal(True)
        for condition in self.counted:
            met = met & predicate(chosen, condition)
        return met

    def _statistic(self, rows: Any, name: str) -> Any:
        value = rows["value_"]
        if name in _QUANTILES:
            return value.quantile(_QUANTILES[name])
        if name == "share":
            return 100.0 * rows["met_"].cast("float64").mean()
        if name == "std":
            return value.std(how="sample")
        return {"mean": value.mean, "max": value.max, "min": value.min, "sum": value.sum}[name]()

    def _overall(self, rows: Any, references: dict[str, LevelExpression]) -> dict[str, Any]:
        wanted = {
            "n": rows.count(),
            "n_value": rows["value_"].count(),
            "median": rows["value_"].quantile(0.5),
            "p75": rows["value_"].quantile(0.75),
            "n_over": rows["met_"].cast("int64").sum(),
        }
        if self.query.statistic not in (None, "count"):
            wanted["statistic"] = self._statistic(rows, str(self.query.statistic))
        for name in references:
            wanted |= _level_facts(rows, name)
        found: dict[str, Any] = self._fetch(rows.aggregate(**wanted)).to_pylist()[0]
        if self.query.statistic in ("max", "min") and self.limits.is_shared:
            found["statistic"] = None
            self._say("the largest and smallest value are single patients: not in shared output")
        if 0 < found["n_value"] < self.limits.small_cell_n and self.query.statistic != "share":
            found |= dict.fromkeys(("median", "p75", "statistic"))
        return found

    def _level_values(
        self, facts: dict[str, Any], references: dict[str, LevelExpression]
    ) -> tuple[LevelValue, ...]:
        found = []
        for name, expression in references.items():
            if name == "exceeds":
                continue
            low, high = facts[f"{name}_low"], facts[f"{name}_high"]
            value = low if low is not None and low == high else None
            if low is None:
                self._say(f"no {LABELS[name]} applies to these exams")
                continue
            if value is None:
                self._say(f"{LABELS[name]}: {low:g} to {high:g} apply to these exams, by exam")
            used = tuple(x.in_words() for x in expression.levels)
            small = facts[f"{name}_n"] < self.limits.small_cell_n
            percent = None if small else facts[f"{name}_percent"]
            found.append(LevelValue(name, value, int(facts[f"{name}_n"]), percent, used))
        return tuple(found)

    # --- tables -------------------------------------------------------------------------------

    @property
    def _keys(self) -> list[str]:
        keys = [RESULT_COLUMNS[d] for d in self.query.group_by]
        return [*keys, "bucket"] if self.grain else keys

    def _table(
        self, rows: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> pd.DataFrame:
        table = self._aggregated(rows, quantity, references)
        for comparison in self.query.compare_to:
            if comparison in _PERIODS:
                table = self._with_earlier(table, quantity, comparison)
        table = self._hide_small(table, quantity)
        return self._dressed(self._ordered(table, quantity))

    def _names(self, quantity: Quantity | None) -> dict[str, str]:
        """Statistic -> column name in the table."""
        statistic = self.query.statistic
        if statistic == "count":
            return {}
        if statistic == "share":
            return {"share": "share_percent"}
        wanted = [str(statistic)] if statistic else ["median", "p75"]
        suffix = quantity.name if quantity else "exams"
        return {s: f"{s}_{suffix}" for s in wanted}

    def _aggregated(
        self, rows: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> pd.DataFrame:
        wanted: dict[str, Any] = {"n": rows["value_"].count() if quantity else rows.count()}
        if self.query.statistic == "share":
            wanted["n"] = rows.count()
            wanted["n_meeting"] = rows["met_"].cast("int64").sum()
        for statistic, name in self._names(quantity).items():
            wanted[name] = self._statistic(rows, statistic)
        for name in references:
            wanted |= _level_facts(rows, name)
        wanted["weight_"], wanted["age_"] = rows["weight_"].min(), rows["age_"].min()
        keys = self._keys
        grouped = (
            rows.group_by(keys).aggregate(**wanted) if keys else rows.aggregate(by=[], **wanted)
        )
        table = self._fetch(grouped.limit(MAX_ROWS)).to_pandas()
        if len(table) == MAX_ROWS:
            self._say(f"only the first {MAX_ROWS:,} groups are shown")
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
            self._say("an open period cannot be compared with an earlier one")
            return table
        earlier = period.before() if comparison == "previous_period" else period.year_before()
        chosen = select(self.studies, self.query, self.filters, earlier)
        if quantity is not None and len(self.query.modality) != 1 and self.query.measure == ():
            kept = [m for m, measure in MAIN_MEASURE.items() if measure == quantity.measure]
            chosen = chosen.filter(chosen.modality.cast("string").isin(kept))
        rows = self._rows(chosen, quantity, {})
        if self.grain and earlier.start:
            rows = rows.mutate(
                bucket=self._moved(rows, earlier, period).truncate(_GRAIN[self.grain])
            )
        old = self._aggregated(rows, quantity, {})
        figures = [
            "n",
            *(["n_meeting"] if "n_meeting" in old else []),
            *self._names(quantity).values(),
        ]
        prefix = "previous" if comparison == "previous_period" else "last_year"
        old = old[[*self._keys, *figures]]
        self._blank(old, self._names(quantity).values())
        old = old.rename(columns={f: f"{prefix}_{f}" for f in figures})
        if self._keys:
            table = table.merge(old, on=self._keys, how="left")
        else:
            table = pd.concat([table, old], axis=1)
        main = next(iter(self._names(quantity).values()), "n")
        change = 100.0 * (table[main] / table[f"{prefix}_{main}"] - 1.0)
        table[f"change_{prefix}_percent"] = change.where(table[f"{prefix}_{main}"] != 0)
        self._say(f"compared with {earlier.to_text()}")
        return table

    def _moved(self, rows: Any, earlier: Period, period: Period) -> Any:
        """Local time of earlier exams moved onto the present period: week on week, month on month."""
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
            for name in self._names(quantity).values():
                table[name] = None
            return table
        columns = [*self._names(quantity).values()]
        columns += [
            c for c in table.columns if c.startswith("change_") or c.endswith("_drl_percent")
        ]
        columns += [c for c in ("n_meeting", "achievable_dose_percent") if c in table.columns]
        hidden = self._blank(table, columns)
        if hidden:
            self.n_hidden += hidden
            what = f"{quantity.label}: " if quantity else ""
            self._say(
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
        if self.query.order and self._keys:
            main = next(iter(self._names(quantity).values()), "n")
            table = table.sort_values(
                main, ascending=self.query.order == "asc", na_position="last", kind="stable"
            )
        elif self._keys:
            table = table.sort_values(self._sort_keys(table), kind="stable")
        if self.query.limit and self._keys:
            table = table.head(self.query.limit)
        return table.reset_index(drop=True)

    def _sort_keys(self, table: pd.DataFrame) -> list[str]:
        """Bands in their order, not in that of the alphabet."""
        import pandas as pd

        keys = []
        for key in self._keys:
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
                self._say(f"a {self.grain} at the edge of the period is not complete (is_partial)")
        return table

    def _is_partial(self, bucket: Any) -> bool:
        """True for a week or month that the period or today cuts."""
        if self.grain == "hour":
            return False
        start = bucket.date() if isinstance(bucket, datetime) else bucket
        end = start + timedelta(days=_DAYS_OF_GRAIN[str(self.grain)])
        if self.grain in ("month", "quarter", "year"):
            from dose_lib.questions.period import shift

            end = shift(start, 1, self.grain)  # type: ignore[arg-type]
        first = self.period.start if self.period else None
        last = self.period.end if self.period else None
        tomorrow = self.today + timedelta(days=1)
        return bool((first and start < first) or end > tomorrow or (last and end > last))

    def _list(self, rows: Any, quantity: Quantity | None) -> pd.DataFrame:
        """Single exams, largest first where the order was asked for."""
        name = quantity.name if quantity else "value"
        q = self.query
        order = rows["value_"].asc() if q.order == "asc" else rows["value_"].desc()
        known = rows.filter(rows["value_"].notnull()) if quantity else rows
        sort = [order, known["part_key"]] if q.order else [known["started_at"].desc()]
        listed = known.order_by(sort).limit(min(q.limit or LIST_ROWS, MAX_ROWS))
        table = self._fetch(
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
            self._say(f"the newest {LIST_ROWS} exams are listed")
        return table

    def _values(self, rows: Any, *, is_measured: bool = True) -> pd.DataFrame:
        """Value, time and groups of every exam, for a picture of the distribution."""
        wanted = {k: rows[k] for k in self._keys if k != "bucket"}
        kept = rows.filter(rows["value_"].notnull()) if is_measured else rows
        columns = {k: kept[k] for k in wanted}
        frame = self._fetch(
            kept.select(
                started_at=kept.started_at,
                value=kept["value_"],
                weight_kg=kept["weight_"],
                age_y=kept["age_"],
                **columns,
                **self._percents(kept),
            ).limit(MAX_VALUES)
        ).to_pandas()
        return frame

    @staticmethod
    def _percents(rows: Any) -> dict[str, Any]:
        """Dose in percent of the first level of each exam."""
        levels = [c for c in rows.columns if c.endswith("_level") and c != "exceeds_level"]
        if not levels:
            return {}
        level, value = rows[levels[0]], rows[levels[0].replace("_level", "_value")]
        return {"percent": 100.0 * value / level}

    def _fetch(self, expression: Any) -> Any:
        self.asked.append(expression)
        return self.con.to_pyarrow(expression)


def _level_facts(rows: Any, name: str) -> dict[str, Any]:
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


def _joined(blocks: Sequence[Block]) -> pd.DataFrame:
    """One table of all blocks; several quantities stand below each other with their names."""
    import pandas as pd

    if not blocks:
        return pd.DataFrame()
    if len(blocks) == 1:
        return blocks[0].table
    frames = []
    for block in blocks:
        quantity = block.quantity
        names = {}
        if quantity:
            names = {
                c: c.replace(f"_{quantity.name}", "")
                for c in block.table.columns
                if c.endswith(f"_{quantity.name}")
            }
            names |= {quantity.name: "value"}
        frame = block.table.rename(columns=names)
        frame.insert(0, "unit", quantity.unit if quantity else None)
        frame.insert(0, "quantity", quantity.label if quantity else "exams")
        if block.modality:
            frame.insert(0, "modality", block.modality)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _ms(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 1)
