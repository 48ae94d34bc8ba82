"""A query compiled to ibis on the view `studies`, run, and put into tables.

Nothing of a question reaches SQL as text: slots are closed sets or values that ibis quotes.
Guards: NaN and infinity count as not recorded, unknown groups stay a group, phantoms and
modalities are never pooled, statistics of few exams are hidden, rows are limited.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis

from dose_lib import metrics
from dose_lib.questions.catalogue import (
    LISTED,
    MAIN_MEASURE,
    QUANTITIES,
    RESULT_COLUMNS,
    Quantity,
    clean,
    dimension,
)
from dose_lib.questions.imports import say_imported
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reference_lines import LABELS, LevelExpression, either, level_of_exams
from dose_lib.questions.result import Block, LevelValue, Result
from dose_lib.questions.selection import predicate, select, why_empty
from dose_lib.questions.tables import GRAINS, MAX_VALUES, Limits, Tables, level_facts

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.reference import Level

__all__ = ["Limits", "run"]


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


class _Run(Tables):
    """From the selection to the blocks of an answer: one a quantity that may be pooled."""

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
        if said := say_imported(self.query, sum(f["n_imported"] for f in facts), n_exams):
            self.notes.append(said)
        self._say_pooled(facts)
        self._say_missing(facts)
        blocks = self._blocks(chosen, facts)
        table = _joined(blocks)
        result = Result(
            blocks, table, self.asked, self.notes, self.empty, n_exams, period=self.period
        )
        result.grain, result.is_list = self.grain, self.is_list
        result.n_hidden, result.ms = self.n_hidden, _ms(started)
        return result

    def _facts(self, chosen: Any) -> list[dict[str, Any]]:
        """Exams by modality and procedure, with what of their CTDIvol is known."""
        known = {f"has_{q.name}": q.value(chosen).count() for q in self._candidates()}
        counted = chosen.group_by(
            modality=chosen.modality.cast("string"), procedure=chosen.procedure_name
        ).aggregate(
            n=chosen.count(), n_imported=chosen.count(where=metrics.is_imported(chosen)), **known
        )
        rows: list[dict[str, Any]] = self.fetch(counted).to_pylist()
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
            self.empty = (self._nothing(),)
        return blocks

    def _nothing(self) -> str:
        """Why exams that meet the conditions give no figure."""
        if self.query.exceeds:
            return f"No {LABELS[self.query.exceeds]} that may decide applies to these exams."
        return "The exams state none of the quantities asked for."

    def _quantities(self, counts: dict[str, int]) -> list[tuple[Quantity, str | None]]:
        """Quantities to show, with the modality each is restricted to."""
        if self.query.measure:
            modalities: list[str | None] = [None]
            if len(counts) > 1 and "modality" not in self.query.group_by:
                modalities = [*sorted(counts, key=lambda m: -counts[m])]
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
        rows = self._comparable(self.rows(chosen, quantity, references), references)
        facts = self._overall(rows, references)
        n = int(facts["n_value"] if quantity else facts["n"])
        block = Block(quantity, pd.DataFrame(), n, int(facts["n"]) - n, modality=modality)
        if n == 0:
            return block
        block.overall = {k: facts.get(k) for k in ("median", "p75", "statistic", "n_over")}
        block.levels = self._level_values(facts, references)
        if self.is_list and not self.limits.is_shared:
            block.table = self.list_exams(rows, quantity)
        else:
            block.table = self.table(rows, quantity, references)
        if quantity is not None or len(self.query.group_by) == 2:
            block.fetch = partial(self.values, rows, is_measured=quantity is not None)
            if n > MAX_VALUES:
                self.say(f"the picture shows {MAX_VALUES:,} of the exams, the table all")
        return block

    def _comparable(self, rows: Any, references: dict[str, LevelExpression]) -> Any:
        """Beside a level only exams that it is for: others would move the median, not the level."""
        names = [n for n in references if n != "exceeds"]
        if not names:
            return rows
        has_level = rows[f"{names[0]}_level"].notnull()
        for name in names[1:]:
            has_level = has_level | rows[f"{name}_level"].notnull()
        counts = self.fetch(
            rows.aggregate(n=rows.count(), compared=rows.count(where=has_level))
        ).to_pylist()[0]
        left = counts["n"] - counts["compared"]
        if not counts["compared"]:
            return rows
        if left:
            label = " or ".join(LABELS[n] for n in names)
            self.say(
                f"{left:,} of {counts['n']:,} exams are left out of the comparison: no {label} is "
                f"for their procedure, date, age, size or phantom"
            )
        self.say(
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
                self.say(f"{total - have:,} of {total:,} exams state no {label}")

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
                self.say(f"no {LABELS[reference]} applies to {what} of these exams")
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
                self.say(f"{LABELS[reference]}: {note}")
            if expression is not None:
                found.append(expression)
        return either(found)

    def _counted_quantities(self) -> tuple[Quantity, ...]:
        """For a count of exams over a level: the quantities the level may be for."""
        names = self.query.measure or tuple(
            dict.fromkeys(MAIN_MEASURE[m] for m in self.modalities if m in MAIN_MEASURE)
        )
        return tuple(q for name in names for q in QUANTITIES[name] if q.level)

    def rows(
        self, chosen: Any, quantity: Quantity | None, references: dict[str, LevelExpression]
    ) -> Any:
        """One row an exam with just the columns that are used."""
        columns: dict[str, Any] = {
            RESULT_COLUMNS[d]: dimension(chosen, d) for d in self.query.group_by
        }
        if self.grain:
            columns["bucket"] = chosen.started_at.truncate(GRAINS[self.grain])
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

        met = ibis.literal(True)
        for condition in self.counted:
            met = met & predicate(chosen, condition)
        return met

    def _overall(self, rows: Any, references: dict[str, LevelExpression]) -> dict[str, Any]:
        wanted = {
            "n": rows.count(),
            "n_value": rows["value_"].count(),
            "median": rows["value_"].quantile(0.5),
            "p75": rows["value_"].quantile(0.75),
            "n_over": rows["met_"].cast("int64").sum(),
        }
        if self.query.statistic not in (None, "count"):
            wanted["statistic"] = self.statistic(rows, str(self.query.statistic))
        for name in references:
            wanted |= level_facts(rows, name)
        found: dict[str, Any] = self.fetch(rows.aggregate(**wanted)).to_pylist()[0]
        if self.query.statistic in ("max", "min") and self.limits.is_shared:
            found["statistic"] = None
            self.say("the largest and smallest value are single patients: not in shared output")
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
                self.say(f"no {LABELS[name]} applies to these exams")
                continue
            if value is None:
                self.say(f"{LABELS[name]}: {low:g} to {high:g} apply to these exams, by exam")
            used = tuple(x.in_words() for x in expression.levels)
            small = facts[f"{name}_n"] < self.limits.small_cell_n
            percent = None if small else facts[f"{name}_percent"]
            found.append(LevelValue(name, value, int(facts[f"{name}_n"]), percent, used))
        return tuple(found)


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
