"""Figures of a practice: median, quartiles and the exact confidence interval of the median."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

CONFIDENCE = 0.95
_EXACT_UP_TO = 1000  # beyond it the binomial sum runs in logarithms


class Summary(NamedTuple):
    """Median and quartiles of a sample; the interval is None below six values.

    Quartiles interpolate linearly (Hyndman-Fan 7, the default of numpy and DuckDB).
    """

    n: int
    median: float | None
    p25: float | None
    p75: float | None
    ci_low: float | None
    ci_high: float | None


NOTHING = Summary(0, None, None, None, None, None)


def summarise(values: Values, *, confidence: float = CONFIDENCE) -> Summary:
    """Figures of a sample; missing values (NaN) are left out.

    Parameters
    ----------
    values
        One number an exam, in any order.
    confidence
        Least coverage of the interval of the median.

    Notes
    -----
    The interval is from order statistics and assumes no distribution: with x(1) to x(n) in
    order, [x(r), x(n + 1 - r)] holds the median with a probability of 1 - 2 P(B < r), B
    binomial with n and 1/2; r is the largest for which that is at least `confidence`
    (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2).
    """
    known = np.sort(values[~np.isnan(values)])
    n = int(known.size)
    if n == 0:
        return NOTHING
    p25, median, p75 = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
    rank = median_rank(n, confidence)
    low, high = (None, None) if rank is None else (float(known[rank - 1]), float(known[n - rank]))
    return Summary(n, median, p25, p75, low, high)


@lru_cache(maxsize=4096)
def median_rank(n: int, confidence: float = CONFIDENCE) -> int | None:
    """Rank r of the lower end of the interval [x(r), x(n + 1 - r)]; None if n is too small.

    Examples
    --------
    >>> median_rank(5), median_rank(6), median_rank(20)
    (None, 1, 6)
    """
    tail = (1 - confidence) / 2
    rank = 0
    if n <= _EXACT_UP_TO:
        below, limit = 0, tail * 2**n
        while rank <= n // 2:
            below += math.comb(n, rank)
            if below > limit:
                break
            rank += 1
        return rank or None
    # P(B <= k) by terms downwards from k, each the one before times k / (n - k + 1).
    rank = int(n / 2 - math.sqrt(n)) - 1
    while _below(n, rank + 1) <= tail:
        rank += 1
    return rank


def _below(n: int, rank: int) -> float:
    """P(B < rank) for B binomial with n and 1/2."""
    k = rank - 1
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
    term = total = math.exp(log)
    while k > 0 and term > total * 1e-17:
        term *= k / (n - k + 1)
        total += term
        k -= 1
    return total
