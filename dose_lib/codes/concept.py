"""A coded concept: value, scheme, meaning."""

from __future__ import annotations

from typing import NamedTuple


class Concept(NamedTuple):
    """A concept of the standard, in the scheme that the current standard uses.

    Matched by `key`, never by `meaning`; see `dose_lib.codes.folding`.
    """

    value: str
    scheme: str
    meaning: str

    @property
    def key(self) -> str:
        """Scheme and value in one word, as `fold` returns it for any alias."""
        return f"{self.scheme.upper()}:{self.value}"


def dcm(value: str, meaning: str) -> Concept:
    """A concept of DICOM's own scheme (PS3.16 annex D)."""
    return Concept(value, "DCM", meaning)
