"""Quantities with comparisons, each against operation, value in our unit, and field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.questions.quantities import field_of, find_amounts
from dose_lib.questions.text import tokenise

PHRASES: dict[str, tuple[str, Any, str | None]] = {
    "patients over 80 kg": (">", 80, "weight_kg"),
    "under 5 years": ("<", 5, "age_y"),
    "between 60 and 90 kg": ("between", (60, 90), "weight_kg"),
    "longer than 20 minutes": (">", 1200, "fluoro_time_s"),
    "above 1500 mGy.cm": (">", 1500, "dlp"),
    "70-80kg": ("between", (70, 80), "weight_kg"),
    "(BMI above 30)": (">", 30, "bmi"),
    "below 100 kilos": ("<", 100, "weight_kg"),
    "exceeded 5 Gy air kerma": (">", 5000, "air_kerma"),
    "0 to 1 year": ("between", (0, 1), "age_y"),
    "heavier than 180 lbs": (">", 81.646627, "weight_kg"),
    "under-16s": ("<", 16, "age_y"),
    ">75y": (">", 75, "age_y"),
    "BMI 25-30": ("between", (25, 30), "bmi"),
    "Ka,r over 2 Gy": (">", 2000, "air_kerma"),
    "at least 120 kg": (">=", 120, "weight_kg"),
    "≥ 120 kg": (">=", 120, "weight_kg"),
    "DLP > 1,000 mGycm": (">", 1000, "dlp"),
    "over 65s": (">", 65, "age_y"),
    "aged 20 to 40": ("between", (20, 40), "age_y"),
    "longer than half an hour of fluoroscopy": (">", 1800, "fluoro_time_s"),
    "100kg+": (">=", 100, "weight_kg"),
    "above 300 Gy·cm²": (">", 300, "dap"),
    "DAP above 20000 cGycm2": (">", 200, "dap"),
    "DAP above 500 µGy·m²": (">", 5, "dap"),
    "aged 5 or younger": ("<=", 5, "age_y"),
    "5-year-olds": ("=", 5, "age_y"),
    "taller than 1.8 m": (">", 180, "height_cm"),
    "less than 2 mSv": ("<", 2, "effective_dose"),
    "more than 3 Gy": (">", 3000, None),
    "up to 15 kg": ("<=", 15, "weight_kg"),
}


def one(text: str) -> Any:
    (found,) = find_amounts(" ".join(t.text for t in tokenise(text)))
    return found


@pytest.mark.parametrize(("text", "wanted"), PHRASES.items(), ids=str)
def test_phrase(text: str, wanted: tuple[str, Any, str | None]) -> None:
    found = one(text)
    field = field_of(found.kind)
    assert field == wanted[2]
    condition = found.filter_on(field or "air_kerma")
    assert condition.op == wanted[0]
    assert condition.value == pytest.approx(wanted[1])


@pytest.mark.parametrize("text", ["over the DRL", "CT 64", "top 10", "5 exams", "20 minutes"])
def test_no_comparison_is_no_condition(text: str) -> None:
    assert find_amounts(" ".join(t.text for t in tokenise(text))) == []


@given(st.integers(1, 400), st.sampled_from(["kg", "kilos", "kgs", "kilograms"]))
def test_kilograms_are_kilograms(n: int, unit: str) -> None:
    assert one(f"heavier than {n} {unit}").filter_on("weight_kg").value == n


@given(st.floats(0.5, 20), st.sampled_from([("Gy", 1000), ("mGy", 1), ("µGy", 0.001)]))
def test_gray_to_milligray(value: float, unit: tuple[str, float]) -> None:
    text = f"air kerma above {value:.3f} {unit[0]}"
    assert one(text).low == pytest.approx(round(value, 3) * unit[1])
