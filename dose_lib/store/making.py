"""From what objects said to exam parts: merged, named, computed; nothing is written here.

The pure steps of the stages before the store are applied in their one order: the report-set
rules, the site's names, what we compute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import duckdb
import msgspec

from dose_lib.derived import OtherStudy, fill_size
from dose_lib.records import Part
from dose_lib.store.outside import sizes_of
from dose_lib.store.people import Gone
from dose_lib.store.reading import finite_part, unpack_part
from dose_lib.store.sizes import others_of
from dose_lib.store.standing import Standing, bad_images, standing, with_rejected

Merge = Callable[[Iterable[Part]], tuple[Part, ...]]
Normalise = Callable[[Part], Part]
Derive = Callable[[Part, Sequence[OtherStudy]], Part]


class Reading(msgspec.Struct, frozen=True):
    """One part as one object said it, with the receipt that brought the object."""

    part: Part
    sha256: str
    receipt_id: str
    received_at: datetime


class Rules(msgspec.Struct, frozen=True):
    """What the writer applies: report-set rules, the site's names, what is to be forgotten.

    `derive` computes beside what was recorded; None where a caller brought steps of its own.
    """

    merge: Merge
    normalise: Normalise
    gone: Gone = Gone({}, {})
    derive: Derive | None = None
    adult_age_y: float = 16.0

    @property
    def has_site(self) -> bool:
        """True where the steps are the site's, so that its decisions change them."""
        return self.derive is not None


class Made(NamedTuple):
    """Parts of some studies, and when the first object of each part arrived."""

    by_study: dict[str, tuple[Part, ...]]
    received_at: dict[str, datetime]

    @property
    def parts(self) -> list[Part]:
        """All of them."""
        return [p for parts in self.by_study.values() for p in parts]


def make_parts(
    con: duckdb.DuckDBPyConnection,
    readings: Mapping[str, Sequence[Reading]],
    rules: Rules,
    place: Standing | None = None,
) -> Made:
    """Parts of studies from what was read of them and counts.

    Parameters
    ----------
    con
        The store, with these readings in it: what was rejected, moved or corrected, and sizes
        of the same patients are looked up there.
    readings
        By study, in order of arrival.
    rules
        The steps.
    place
        Which readings count, if that was worked out already.
    """
    out = (place or standing(con, readings)).out
    bad = bad_images(con, readings)
    counting = {
        s: [_with_rejected(r.part, bad.get(s)) for r in some if (s, r.sha256) not in out]
        for s, some in readings.items()
    }
    merged = {
        s: tuple(_with_rejected(p, bad.get(s)) for p in rules.merge(parts))
        for s, parts in counting.items()
    }
    named = {s: tuple(rules.normalise(p) for p in parts) for s, parts in merged.items()}
    derived = _derive(con, named, rules)
    made = {s: tuple(finite_part(p) for p in parts) for s, parts in derived.items()}
    first = {p.part_key: _first(p, readings[s]) for s, parts in made.items() for p in parts}
    return Made(made, first)


def _with_rejected(part: Part, bad: frozenset[str] | None) -> Part:
    return with_rejected(part, bad) if bad else part


def _derive(
    con: duckdb.DuckDBPyConnection, named: Mapping[str, tuple[Part, ...]], rules: Rules
) -> Mapping[str, tuple[Part, ...]]:
    if rules.derive is None:
        return named
    filled = _fill(con, named, rules)
    others = others_of(con, (p for parts in filled.values() for p in parts))
    derive = rules.derive
    return {
        s: tuple(derive(p, others.get(p.part_key, ())) for p in parts)
        for s, parts in filled.items()
    }


def _fill(
    con: duckdb.DuckDBPyConnection, named: Mapping[str, tuple[Part, ...]], rules: Rules
) -> Mapping[str, tuple[Part, ...]]:
    """Parts with sizes from outside where the device recorded none."""
    sizes = sizes_of(con, (p for parts in named.values() for p in parts))
    if not sizes:
        return named
    adult = rules.adult_age_y
    return {
        s: tuple(fill_size(p, sizes.get(p.part_key, ()), adult_age_y=adult) for p in parts)
        for s, parts in named.items()
    }


def _first(part: Part, together: Sequence[Reading]) -> datetime:
    arrived = {r.sha256: r.received_at for r in reversed(together)}
    times = [arrived[s.sha256] for s in part.sources if s.sha256 in arrived]
    return min(times or arrived.values())


def parts_of(
    con: duckdb.DuckDBPyConnection, part_keys: Sequence[str], rules: Rules
) -> tuple[Part, ...]:
    """Parts as they stand, made anew from the readings of their studies."""
    rows = con.execute(
        "SELECT DISTINCT study_uid FROM reading WHERE part_key IN (SELECT unnest(?))",
        [list(part_keys)],
    ).fetchall()
    made = make_parts(con, stored_readings(con, [study for (study,) in rows]), rules)
    wanted = set(part_keys)
    return tuple(p for p in made.parts if p.part_key in wanted)


def stored_readings(
    con: duckdb.DuckDBPyConnection, studies: Sequence[str]
) -> dict[str, list[Reading]]:
    """What was read of studies, by study and in order of arrival."""
    rows = con.execute(
        "SELECT study_uid, sha256, receipt_id, received_at, record FROM reading"
        " WHERE study_uid IN (SELECT unnest(?)) ORDER BY received_at, sha256, part_key",
        [list(studies)],
    ).fetchall()
    found: dict[str, list[Reading]] = defaultdict(list)
    for study, sha256, receipt, received_at, record in rows:
        found[study].append(Reading(unpack_part(record), sha256, receipt, received_at))
    return found
