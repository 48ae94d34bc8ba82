"""What a decision about a name would do, worked out on the store before anyone takes it.

The exams that bear the name are named anew under the decision, by the same rule that will name
them; then the comparison with reference levels is made twice, once with the names of now, once
with those. Nothing is written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import ibis
import msgspec

from dose_lib.compare import Comparison, Verdict, compare_practice
from dose_lib.mapping.decide import mapping_decision
from dose_lib.mapping.read import read_parts, site_facts
from dose_lib.mapping.texts import Named, parts_named
from dose_lib.normalise import Naming, name_part
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

# Exams renamed in one query, which the owner of the store takes up to a million bytes of; a name
# of more is judged by its latest ones.
_MOST = 8_000
_QUANTITIES = ("dlp", "kap", "ctdi_vol", "ka_r", "agd")  # which comparison a sentence tells


class Move(msgspec.Struct, frozen=True):
    """Exams that would get another name; None is none."""

    before: str | None
    after: str | None
    n_exams: int


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Median over level of one practice, with the names of now and with those after.

    None where there is no value; `status` says whether it is a verdict.
    """

    procedure_name: str
    quantity: str
    band: str
    unit: str
    name: str
    level: str
    before: float | None
    after: float | None
    n_before: int
    n_after: int
    status_before: str | None
    status_after: str | None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of the exams and of the comparisons.

    Attributes
    ----------
    n_concerned, n_moved
        Exams that bear the name, and those of them that would get another procedure.
    moves
        From which procedure to which.
    n_disagree
        Exams that would have no name, because what was irradiated lies elsewhere.
    ratios
        Comparisons that would change, over the last twelve months (of the latest 8,000 exams that
        move).
    """

    subject: str
    modality: str
    procedure_name: str | None
    n_concerned: int
    n_moved: int
    n_disagree: int
    moves: tuple[Move, ...]
    ratios: tuple[Ratio, ...]

    def in_words(self) -> str:
        """One line: how many exams move, and what it does to the ratio to the level."""
        said = [f"moves {self.n_moved:,} of {self.n_concerned:,} exams"]
        if self.n_disagree:
            said.append(f"{self.n_disagree:,} were irradiated elsewhere and get no name")
        if told := self._told():
            said.append(_ratio_in_words(told))
        elif self.n_moved:
            said.append("no comparison with a level changes")
        return "; ".join(said)

    def _told(self) -> Ratio | None:
        """The comparison of most exams, of the quantity looked at first."""
        first = {q: i for i, q in enumerate(_QUANTITIES)}
        shown = [r for r in self.ratios if (r.before, r.after) != (None, None)]
        wanted = [r for r in shown if r.procedure_name == self.procedure_name] or shown
        return min(
            wanted,
            key=lambda r: (
                first.get(r.quantity, 9),
                r.unit != "facility",
                -max(r.n_before, r.n_after),
            ),
            default=None,
        )

    def to_frame(self) -> pd.DataFrame:
        """The comparisons that change, one a row."""
        import pandas as pd

        names = list(Ratio.__struct_fields__)
        return pd.DataFrame([[getattr(r, n) for n in names] for r in self.ratios], columns=names)


def _ratio_in_words(told: Ratio) -> str:
    before, after = (
        f"{value:.2f} (n = {n:,})" if value is not None else "none"
        for value, n in ((told.before, told.n_before), (told.after, told.n_after))
    )
    where = "" if told.unit == "facility" else f" in {told.name}"
    quantity = {"ctdi_vol": "CTDIvol", "ka_r": "Ka,r"}.get(told.quantity, told.quantity.upper())
    return f"ratio to DRL {before} → {after} ({told.procedure_name}, {quantity}{where})"


def effect_of(
    con: Any,
    subject: str,
    procedure_name: str | None,
    *,
    modality: str,
    settings: Settings | None = None,
    kind: str = "drl",
) -> Effect:
    """What mapping a name to a procedure would do.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    subject
        The name as written, its key, or ``SCHEME:code``.
    procedure_name
        One of the catalogue or the site's own; None: exams of this name are to have none.
    modality
        Of the exams.
    settings
        Of the installation; by default this one.
    kind
        Levels to compare with, as in `compare_practice`.

    Raises
    ------
    UsageError
        For a procedure that does not exist or that the modality does not do.
    """
    settings = settings or load_settings()
    decision = mapping_decision(subject, procedure_name, modality=modality, author="nobody")
    keys = parts_named(con, decision.subject, modality)
    parts = {p.part_key: p for p in read_parts(con, list(keys))}
    site = site_facts(con, settings, decision)
    after = {key: name_part(part, site) for key, part in parts.items()}
    moved = {
        key: naming
        for key, naming in after.items()
        if naming.procedure_name != keys[key].procedure_name
    }
    counts = Counter((keys[k].procedure_name, n.procedure_name) for k, n in moved.items())
    return Effect(
        subject=decision.subject,
        modality=modality,
        procedure_name=procedure_name,
        n_concerned=len(keys),
        n_moved=len(moved),
        n_disagree=sum(any(i.code == "procedure_disagrees" for i in n.issues)
                       for n in after.values()),
        moves=tuple(Move(*pair, n) for pair, n in counts.most_common()),
        ratios=_ratios(con, moved, keys, settings, kind),
    )  # fmt: skip


def _ratios(
    con: Any,
    moved: Mapping[str, Naming],
    on: Mapping[str, Named],
    settings: Settings,
    kind: str,
) -> tuple[Ratio, ...]:
    names = sorted(
        {n for k, new in moved.items() for n in (on[k].procedure_name, new.procedure_name) if n}
    )
    days = {key: day for key in moved if (day := on[key].on) is not None}
    if not names or not days:
        return ()
    last = max(days.values())
    start = last - timedelta(days=364)
    latest = sorted((k for k, day in days.items() if day >= start), key=lambda k: (days[k], k))
    scope: dict[str, Any] = {
        "procedure_name": names, "start": start, "end": last, "kind": kind, "settings": settings,
    }  # fmt: skip
    before = compare_practice(con, **scope)
    renamed = Renamed(con, {k: moved[k] for k in latest[-_MOST:]})
    return tuple(_changes(before, compare_practice(renamed, **scope)))


class Renamed:
    """A store whose exams have other names: what `compare_practice` asks is answered with them."""

    def __init__(self, con: Any, names: Mapping[str, Naming]) -> None:
        self._con = con
        self._keys: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
        for key, naming in names.items():
            self._keys[naming.procedure_name, naming.body_region].append(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def table(self, name: str) -> Any:
        """A table of the store, its exams under their other names."""
        rows = self._con.table(name)
        if name != "studies" or not self._keys:
            return rows
        changed = [(rows.part_key.isin(keys), names) for names, keys in self._keys.items()]
        new = {
            column: ibis.cases(
                *((where, ibis.literal(names[i], "string")) for where, names in changed),
                else_=rows[column],
            )
            for i, column in enumerate(("procedure_name", "body_region"))
        }
        return rows.mutate(**new)


_Key = tuple[str, str, str, str, str, str]


def _changes(before: Comparison, after: Comparison) -> Iterable[Ratio]:
    old, new = _by_practice(before), _by_practice(after)
    for key in sorted({*old, *new}):
        was, will = old.get(key), new.get(key)
        known = will or was
        n_before, n_after = (0 if v is None else v.figures.n for v in (was, will))
        if known is None or (_value(was), n_before) == (_value(will), n_after):
            continue
        yield Ratio(
            procedure_name=known.procedure_name,
            quantity=known.quantity.value,
            band=known.band,
            unit=known.unit,
            name=known.name,
            level="" if known.level is None else f"{known.level.set_id} {known.level.edition}",
            before=_value(was),
            after=_value(will),
            n_before=n_before,
            n_after=n_after,
            status_before=None if was is None else was.status.value,
            status_after=None if will is None else will.status.value,
        )


def _by_practice(comparison: Comparison) -> dict[_Key, Verdict]:
    return {
        (v.procedure_name, v.quantity.value, v.band, v.unit, v.name, v.level.row_id): v
        for v in comparison.verdicts
        if v.level is not None
    }


def _value(verdict: Verdict | None) -> float | None:
    """Median over level; also where there are too few patients for a verdict."""
    if verdict is None or verdict.level is None or verdict.figures.median is None:
        return None
    return verdict.figures.median / verdict.level.value
