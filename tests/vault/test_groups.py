"""Which keys are one person, and what is forgotten: pure, from decisions alone."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.errors import UsageError
from dose_lib.records import Decision
from dose_lib.vault import decisions
from dose_lib.vault.groups import ERASE, EXPIRE, MERGE, UNMERGE, forgotten, group
from tests.vault.people import START, key

A, B, C, D = (key("patient", n) for n in range(4))


def decide(minute: int, kind: str, subject: str, **payload: object) -> Decision:
    at = START + timedelta(minutes=minute)
    return Decision(kind=kind, subject=subject, payload=payload, author="admin", decided_at=at)


def merge(minute: int, losing: str, surviving: str) -> Decision:
    return decide(minute, MERGE, losing, surviving=surviving)


def test_a_key_alone_is_itself() -> None:
    assert group([]).members(A) == (A,)
    assert group([]).survivor(A) == A


def test_merges_chain() -> None:
    found = group([merge(1, A, B), merge(2, B, C)])
    assert found.survivor(A) == found.survivor(B) == C
    assert found.members(A) == (C, *sorted((A, B)))


def test_a_key_merged_into_a_lost_one_goes_with_it() -> None:
    found = group([merge(1, A, B), merge(2, C, A)])
    assert found.survivor(C) == B
    assert set(found.members(C)) == {A, B, C}


def test_the_later_survivor_stands_for_the_group() -> None:
    found = group([merge(1, A, B), merge(2, B, A)])
    assert found.survivor(B) == found.survivor(A) == A


def test_two_groups_become_one() -> None:
    found = group([merge(1, A, B), merge(2, C, D), merge(3, B, D)])
    assert set(found.members(A)) == {A, B, C, D}
    assert found.survivor(A) == D


def test_an_unmerge_takes_back_what_was_before_it_and_not_what_comes_after() -> None:
    undone = [merge(1, A, B), decide(2, UNMERGE, A, surviving=B)]
    assert group(undone).survivor(A) == A
    assert group([*undone, merge(3, A, B)]).survivor(A) == B
    assert group([merge(1, B, A), decide(2, UNMERGE, A, surviving=B)]).survivor(B) == B


def test_an_erasure_reaches_the_person_as_merged_at_that_moment() -> None:
    gone = forgotten([merge(1, A, B), decide(2, ERASE, A), merge(3, C, B)])
    assert set(gone.patients) == {A, B}


def test_the_latest_expiry_holds() -> None:
    gone = forgotten(
        [
            decide(1, EXPIRE, "identities", before="2026-01-01T00:00:00+00:00"),
            decide(2, EXPIRE, "identities", before="2025-01-01T00:00:00+00:00"),
        ]
    )
    assert gone.has_expired(START.replace(year=2025), None)
    assert not gone.has_expired(START, None)
    assert gone.has_expired(START, START.replace(year=2025))


def test_an_exam_of_before_the_erasure_that_comes_late_is_covered() -> None:
    gone = forgotten([decide(10, ERASE, A)])
    before, after = START, START + timedelta(days=1)
    assert gone.covers(A, before, None)
    assert gone.covers(A, after, before)  # received after, done before
    assert gone.covers(A, before, after)  # a modality whose clock runs ahead
    assert not gone.covers(A, after, after)
    assert not gone.covers(B, before, before)


keys = st.sampled_from([A, B, C, D])
steps = st.lists(
    st.tuples(st.sampled_from([MERGE, UNMERGE, ERASE]), keys, keys).filter(
        lambda s: s[1] != s[2] or s[0] == ERASE
    ),
    max_size=12,
)


@given(steps, st.randoms(use_true_random=False))
def test_decisions_mean_the_same_in_whatever_order_they_are_read(
    drawn: list[tuple[str, str, str]], rng: random.Random
) -> None:
    made = [
        decide(n, kind, one, **({} if kind == ERASE else {"surviving": other}))
        for n, (kind, one, other) in enumerate(drawn)
    ]
    shuffled = rng.sample(made, len(made))
    assert group(shuffled) == group(made)
    assert forgotten(shuffled) == forgotten(made)


@given(steps)
def test_groups_are_a_partition(drawn: list[tuple[str, str, str]]) -> None:
    made = [
        decide(n, kind, one, **({} if kind == ERASE else {"surviving": other}))
        for n, (kind, one, other) in enumerate(drawn)
    ]
    found = group(made)
    for one in (A, B, C, D):
        members = found.members(one)
        assert one in members
        assert members[0] == found.survivor(one)
        assert all(found.members(m) == members for m in members)


def test_a_decision_comes_after_all_others_whatever_the_clock_says() -> None:
    first = decide(60, MERGE, A, surviving=B)
    made = decisions.make(UNMERGE, A, {"surviving": B}, "admin", now=START, after=[first])
    assert made.decided_at is not None
    assert first.decided_at is not None
    assert made.decided_at > first.decided_at
    assert group([first, made]).survivor(A) == A


@pytest.mark.parametrize(
    ("kind", "subject", "payload", "said"),
    [
        ("patient_merg", A, {"surviving": B}, "patient_merge"),
        (MERGE, "PZ-778-341", {"surviving": B}, "no key"),
        (MERGE, A, {"surviving": "PZ-778-341"}, "surviving"),
        (MERGE, A, {"surviving": A}, "itself"),
        (ERASE, A, {"cause": "because of Quillfeather"}, "cause"),
        (ERASE, A, {"note": "x"}, "note"),
        (EXPIRE, "identities", {"before": "2026-01-01T00:00:00"}, "before"),
    ],
)
def test_what_is_no_decision_is_refused_without_repeating_it(
    kind: str, subject: str, payload: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        decisions.check(decide(1, kind, subject, **payload))
    assert "PZ-778" not in str(caught.value)
    assert "Quillfeather" not in str(caught.value)
