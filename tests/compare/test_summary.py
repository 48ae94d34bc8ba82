"""The median's interval is exact: checked against the binomial itself and by simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.compare import median_rank, summarise


def coverage(n: int, rank: int) -> Fraction:
    """Exact coverage of [x(rank), x(n + 1 - rank)]: 1 - 2 P(B < rank)."""
    return 1 - 2 * Fraction(sum(math.comb(n, k) for k in range(rank)), 2**n)


@pytest.mark.parametrize("n", [*range(1, 61), 100, 199, 500, 999, 1000, 1001, 1500, 3000])
def test_the_interval_is_the_shortest_that_covers(n: int) -> None:
    rank = median_rank(n)
    if rank is None:
        assert coverage(n, 1) < Fraction(95, 100)
        assert n <= 5
        return
    assert coverage(n, rank) >= Fraction(95, 100)
    assert coverage(n, rank + 1) < Fraction(95, 100)


# Conover, Practical Nonparametric Statistics, table A3 rows for p = 0.5 (95 %).
@pytest.mark.parametrize(("n", "rank"), [(6, 1), (9, 2), (15, 4), (20, 6), (25, 8), (30, 10)])
def test_published_ranks(n: int, rank: int) -> None:
    assert median_rank(n) == rank


def test_it_covers_skewed_doses_as_promised() -> None:
    """Lognormal doses, n = 20: at least 95 % of intervals hold the true median."""
    rng = np.random.default_rng(20260101)
    true = math.exp(5.5)
    hits = 0
    for sample in rng.lognormal(5.5, 0.5, (4000, 20)):
        s = summarise(sample)
        assert s.ci_low is not None
        assert s.ci_high is not None
        hits += s.ci_low <= true <= s.ci_high
    assert hits / 4000 == pytest.approx(float(coverage(20, 6)), abs=0.01)


def test_large_samples_are_fast_and_near_the_normal_approximation() -> None:
    n = 200_000
    rank = median_rank(n)
    assert rank == pytest.approx(n / 2 - 1.959964 * math.sqrt(n) / 2, abs=2)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200), st.randoms())
def test_order_changes_nothing(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert summarise(np.array(values)) == summarise(np.array(shuffled))


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200))
def test_the_figures_are_those_of_numpy(values: list[float]) -> None:
    s = summarise(np.array([*values, math.nan]))
    assert s.n == len(values)
    for figure, share in ((s.p25, 0.25), (s.median, 0.5), (s.p75, 0.75)):
        assert figure == pytest.approx(np.quantile(values, share), rel=1e-12)
    if s.ci_low is not None and s.ci_high is not None and s.median is not None:
        assert s.ci_low <= s.median <= s.ci_high


@given(st.lists(st.floats(0.01, 1e4), min_size=6, max_size=60), st.floats(0.001, 1000))
def test_another_unit_scales_every_figure(values: list[float], factor: float) -> None:
    one, other = summarise(np.array(values)), summarise(np.array(values) * factor)
    for a, b in zip(one[1:], other[1:], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert b == pytest.approx(a * factor, rel=1e-12)


def test_nothing_gives_nothing() -> None:
    assert summarise(np.array([math.nan])).n == 0
    assert summarise(np.array([5.0])).ci_low is None
