"""Making derived values: rounded to what arithmetic can mean, or None with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from dose_lib.records import DerivedValue

Input = float | str | None
Inputs = Mapping[str, Input]


def exact(value: float) -> float:
    """A computed value without the noise of binary fractions."""
    return float(f"{value:.12g}")


def known(value: float, formula: str, version: str, **inputs: Input) -> DerivedValue:
    """A value that could be computed."""
    return DerivedValue(value=exact(value), formula=formula, version=version, inputs=inputs)


def not_known(reason: str, formula: str, version: str, **inputs: Input) -> DerivedValue:
    """A value that could not be computed, and why."""
    return DerivedValue(
        value=None, formula=formula, version=version, inputs={"reason": reason, **inputs}
    )
