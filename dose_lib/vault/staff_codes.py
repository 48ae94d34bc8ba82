"""Short stable codes for members of staff, such as `Op 07`, from their keys alone.

A code is allocated once and kept as a decision (`operator_code`), so that it stays the same
through rebuilds and later allocations. Its number comes from the key, not from a name or
from the order of arrival: it tells neither the alphabet nor who is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PREFIX = "Op"
_FULL = 0.7  # share of the numbers in use from which another digit is added


def allocate_codes(
    known: Mapping[str, str],
    staff_keys: Iterable[str],
    *,
    same: Iterable[Iterable[str]] = (),
) -> dict[str, str]:
    """Codes for keys that have none yet.

    Parameters
    ----------
    known
        Codes by key, as decided so far.
    staff_keys
        Keys seen; those with a code are left alone.
    same
        Groups of keys that are one person (`Client.same_staff`): they share a code.

    Returns
    -------
    dict
        The new codes by key; to be kept as decisions.
    """
    codes = dict(known)
    mates = {key: tuple(group) for group in map(tuple, same) for key in group}
    for key in sorted(set(staff_keys) - set(known)):
        shared = next((codes[m] for m in mates.get(key, ()) if m in codes), None)
        codes[key] = shared or _free_code(key, set(codes.values()))
    return {key: code for key, code in codes.items() if key not in known}


def _free_code(key: str, taken: set[str]) -> str:
    digits = 2
    while len(taken) >= _FULL * 10**digits:
        digits += 1
    size = 10**digits
    first = int(key[:12], 16) % size
    numbers = (n % size for n in range(first, first + size))
    return next(c for c in (f"{PREFIX} {n:0{digits}d}" for n in numbers) if c not in taken)
