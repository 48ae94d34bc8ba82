"""Codes of staff: stable, short, from keys alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dose_lib.vault import allocate_codes
from tests.vault.people import key

KEYS = [key("staff", n) for n in range(300)]


def test_a_code_is_short_and_stays() -> None:
    codes = allocate_codes({}, KEYS[:40])
    assert all(len(c) == 5 and c.startswith("Op ") for c in codes.values())
    assert len(set(codes.values())) == 40
    assert allocate_codes(codes, KEYS[:40]) == {}
    later = allocate_codes(codes, KEYS[:45])
    assert set(later) == set(KEYS[40:45])
    assert not set(later.values()) & set(codes.values())


def test_the_number_grows_with_the_department() -> None:
    codes = allocate_codes({}, KEYS)
    assert len(set(codes.values())) == 300
    assert max(len(c) for c in codes.values()) == 6


def test_the_order_of_arrival_is_not_told() -> None:
    codes = {k: next(iter(allocate_codes({}, [k]).values())) for k in KEYS[:20]}
    numbers = [int(c.split()[1]) for c in codes.values()]
    assert numbers != sorted(numbers)


def test_two_keys_of_one_person_share_a_code() -> None:
    codes = allocate_codes({KEYS[0]: "Op 07"}, KEYS[:3], same=[(KEYS[0], KEYS[2])])
    assert codes[KEYS[2]] == "Op 07"
    assert codes[KEYS[1]] != "Op 07"


@given(st.lists(st.sampled_from(KEYS), unique=True), st.lists(st.sampled_from(KEYS), unique=True))
def test_a_code_never_changes_and_never_stands_for_two(first: list[str], then: list[str]) -> None:
    known = allocate_codes({}, first)
    fresh = allocate_codes(known, then)
    assert not set(fresh) & set(known)
    together = {**known, **fresh}
    assert len(set(together.values())) == len(together)
