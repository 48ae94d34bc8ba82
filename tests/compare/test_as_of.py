"""An answer of an earlier day, given again: names, exams and levels as they were then."""

from __future__ import annotations

from datetime import UTC, datetime

from dose_lib.compare import compare_practice
from dose_lib.settings import Settings
from tests.compare.practice import exam, practice
from tests.compare.test_compare import LEVEL

JULY, AUGUST, SEPTEMBER = (datetime(2026, m, 1, tzinfo=UTC) for m in (7, 8, 9))


def test_names_and_arrivals_of_then(settings: Settings) -> None:
    """25 chests, named in August; five more arrived in September.

    | when      | named CT Chest | note                                   |
    |-----------|----------------|----------------------------------------|
    | July      | 10             | 15 had no name yet                     |
    | August    | 25             | a mapping named them                   |
    | now       | 30             | five arrived late                      |
    """
    rows = [exam(f"e{i}", received_at=JULY) for i in range(25)]
    rows += [exam(f"late{i}", received_at=SEPTEMBER) for i in range(5)]
    former = [
        {"part_key": f"e{i}", "procedure_name": None, "body_region": "chest", "until": AUGUST}
        for i in range(15)
    ]
    con = practice(rows, former_names=former)

    def n(as_of: datetime | None) -> int:
        found = compare_practice(
            con, levels=[LEVEL], settings=settings, quantities=["dlp"], as_of=as_of
        )
        return sum(v.n_all for v in found.verdicts)

    assert n(datetime(2026, 7, 15, tzinfo=UTC)) == 10
    assert n(datetime(2026, 8, 15, tzinfo=UTC)) == 25
    assert n(None) == 30


def test_of_several_former_names_the_one_of_the_day_counts(settings: Settings) -> None:
    rows = [exam(f"e{i}", received_at=JULY, procedure_name="CT Head") for i in range(25)]
    former = [
        {"part_key": f"e{i}", "procedure_name": name, "body_region": "chest", "until": until}
        for i in range(25)
        for name, until in (("CTPA", AUGUST), ("CT Chest", SEPTEMBER))
    ]
    con = practice(rows, former_names=former)
    names = [
        {v.procedure_name for v in compare_practice(
            con, levels=[LEVEL], settings=settings, quantities=["dlp"], as_of=as_of
        ).verdicts}
        for as_of in (JULY, datetime(2026, 8, 15, tzinfo=UTC), SEPTEMBER)
    ]  # fmt: skip
    assert names == [{"CTPA"}, {"CT Chest"}, {"CT Head"}]
