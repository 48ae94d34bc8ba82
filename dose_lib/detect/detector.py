"""The one interface of all detectors: exams in, findings out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from dose_lib.records import Finding, Part

History: TypeAlias = Any
"""ibis backend with the views `studies` and `events`, such as `dose_lib.connect()` gives."""


class Detector(Protocol):
    """Something that looks at exams and says what a person should look at.

    A detector is a value: it keeps nothing between two looks, so that the same exams, in any
    order and any number of times, give the same findings.
    """

    @property
    def name(self) -> str:
        """Stable name; part of every finding's id."""

    @property
    def version(self) -> str:
        """Version of the rule; a new one may look at an old exam afresh."""

    def look(self, parts: Sequence[Part], history: History | None = None) -> Sequence[Finding]:
        """Findings on exams that have just arrived.

        Parameters
        ----------
        parts
            Normalised parts, whether new or changed.
        history
            The store; None where there is none, and a detector must do without.
        """
