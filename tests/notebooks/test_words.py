"""Labels, units and digits as a reader sees them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dose_lib.charts.words import exams, number, shorten, word


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1234.56, "mGy·cm", "1,235 mGy·cm"),
        (350.4, None, "350"),
        (12.34, "mGy", "12.3 mGy"),
        (1.234, None, "1.23"),
        (0.1234, None, "0.123"),
        (0, None, "0"),
        (17, None, "17"),
        (12345, None, "12,345"),
        (20.1, "%", "20.1 %"),
        (Decimal("2.5"), None, "2.50"),
        (None, "mGy", "–"),
        (float("nan"), "mGy", "–"),
        (pd.NaT, None, "–"),
        (True, None, "yes"),
        (np.bool_(False), None, "no"),
        (date(2026, 11, 22), None, "2026-11-22"),
        (datetime(2026, 11, 22, 14, 3, 9), None, "2026-11-22 14:03"),
        (["a", "b"], None, "a, b"),
    ],
)
def test_numbers(value: object, unit: str | None, shown: str) -> None:
    assert number(value, unit) == shown


@pytest.mark.parametrize(
    ("column", "axis"),
    [
        ("dlp_total_mgy_cm", "DLP (mGy·cm)"),
        ("median_dlp_total_mgy_cm", "DLP, median (mGy·cm)"),
        ("kap_gy_cm2_p75", "KAP, 75th percentile (Gy·cm²)"),
        ("weight_kg", "Weight (kg)"),
        ("age_y", "Age (years)"),
        ("scanning_length_mm", "Scanning length (mm)"),
        ("tube_current_ma", "Tube current (mA)"),
        ("share_percent", "Share (%)"),
        ("procedure_name", "Procedure"),
        ("something_of_mine", "Something of mine"),
    ],
)
def test_columns_say_label_and_unit(column: str, axis: str) -> None:
    assert word(column).axis == axis


def test_every_quantity_of_the_contract_has_a_printed_unit_and_no_unit_in_its_label() -> None:
    from dose_lib.records import contract

    for row in contract():
        if row.unit and row.type == "float":
            shown = word(row.name)
            assert shown.unit, row.name
            assert not shown.label.lower().endswith((" mgy cm", " mgy", " kg", " mm")), shown


def test_long_labels_keep_both_ends() -> None:
    text = "CT in the new building of the east wing, room 4"
    short = shorten(text)
    assert len(short) <= 30
    assert short.startswith("CT in the new")
    assert short.endswith("room 4")
    assert shorten("Scanner 1") == "Scanner 1"


def test_one_exam_is_singular() -> None:
    assert exams(1) == "1 exam"
    assert exams(1204) == "1,204 exams"
