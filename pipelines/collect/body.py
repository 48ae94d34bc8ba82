"""Weight and height as systems outside imaging write them: a number and a unit that is said.

A unit that is missing or unknown gives nothing: 180 may be pounds or centimetres.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from dose_lib.records import MeasuredSize, SizeSource
from dose_lib.records.identity import Hidden
from dose_lib.units import factor, fold_unit

_NUMBER = re.compile(r"[=+]?\s*(\d{1,6}(?:[.,]\d{1,6})?)\s*([^\d\s].*)?")
_POUND, _INCH = 0.45359237, 2.54  # kg, cm; exact by definition


def _folded(units: dict[str, float]) -> dict[str, float]:
    """As `fold_unit` will write what arrives."""
    return {fold_unit(unit): times for unit, times in units.items()}


_MORE_WEIGHTS = _folded(
    {
        **dict.fromkeys(("lb", "lbs", "lb_av", "lb_us", "pound", "pounds"), _POUND),
        **dict.fromkeys(("oz", "oz_av", "ounce", "ounces"), _POUND / 16),
        **dict.fromkeys(("gm", "gms", "gram", "grams", "gr"), 1e-3),
        **dict.fromkeys(("kgs", "kilogram", "kilograms", "kilo"), 1.0),
    }
)
_MORE_HEIGHTS = _folded(
    {
        **dict.fromkeys(("in", "in_i", "in_us", "inch", "inches"), _INCH),
        **dict.fromkeys(("ft", "ft_i", "ft_us", "foot", "feet"), 12 * _INCH),
        **dict.fromkeys(("centimeter", "centimetre", "cms"), 1.0),
        **dict.fromkeys(("meter", "metre", "mtr"), 100.0),
    }
)


class SizeOf(Hidden, frozen=True, kw_only=True):
    """A size with the identity it came with; never logged, never stored."""

    patient_id: str
    issuer: str | None = None
    measured_at: datetime
    weight_kg: float | None = None
    height_cm: float | None = None


def weight_in_kg(value: float, unit: str) -> float | None:
    """A weight in kilograms; None for a unit that is none of weight."""
    return _in(value, factor(unit, "kg") or _MORE_WEIGHTS.get(fold_unit(unit)))


def height_in_cm(value: float, unit: str) -> float | None:
    """A height in centimetres; None for a unit that is none of length."""
    return _in(value, factor(unit, "cm") or _MORE_HEIGHTS.get(fold_unit(unit)))


def _in(value: float, times: float | None) -> float | None:
    return None if times is None else float(f"{value * times:.6g}")


def read_number(text: str) -> tuple[float, str] | None:
    """Number and unit of a text such as ``80.5``, ``80,5 kg`` or ``=80``; None for others.

    Examples
    --------
    >>> read_number("80,5 kg"), read_number("> 80"), read_number("5 ft 11 in")
    ((80.5, 'kg'), None, None)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or re.search(r"\d", (match[2] or "").replace("m2", "")):
        return None
    return float(match[1].replace(",", ".")), (match[2] or "").strip()


def local_time(moment: datetime, zone: str) -> datetime:
    """A time as the site's clock shows it, without a zone, as exams carry theirs."""
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def with_keys(
    given: SizeOf, keys: tuple[str, ...], source: SizeSource, received_at: datetime
) -> list[MeasuredSize]:
    """The measurement under each key its patient may have in exams."""
    return [
        MeasuredSize(
            patient_key=key,
            measured_at=given.measured_at,
            weight_kg=given.weight_kg,
            height_cm=given.height_cm,
            source=source,
            received_at=received_at,
        )
        for key in keys
    ]
