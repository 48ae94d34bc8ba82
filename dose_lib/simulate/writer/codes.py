"""Concepts the templates name (PS3.16 TID 10001 to 10024), for writing.

`concepts.csv` has code, meaning and, for SNOMED CT, the SRT code that devices write for the
same thing, with the meaning they write beside it where it is another. The table is kept apart
from the reader's on purpose: a wrong code in one place would otherwise pass every
write-and-read test. A test holds every row against pydicom's own dictionary.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from dose_lib.records import Code


class Snomed(NamedTuple):
    """A SNOMED CT concept and what older devices write for it."""

    meaning: str
    srt: str | None
    srt_meaning: str | None


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = files("dose_lib.simulate.writer").joinpath("concepts.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def dcm_meanings() -> dict[str, str]:
    """Code value of scheme DCM -> meaning."""
    return {r["code"]: r["meaning"] for r in _rows() if r["scheme"] == "DCM"}


@cache
def snomed_concepts() -> dict[str, Snomed]:
    """SNOMED CT identifier -> meaning and older code."""
    return {
        r["code"]: Snomed(r["meaning"], r["srt"] or None, r["srt_meaning"] or None)
        for r in _rows()
        if r["scheme"] == "SCT"
    }


@cache
def dcm(value: str) -> Code:
    """A concept of PS3.16 annex D by its code value."""
    return Code(value, "DCM", dcm_meanings()[value])


@cache
def sct(value: str) -> Code:
    """A SNOMED CT concept by its identifier."""
    return Code(value, "SCT", snomed_concepts()[value].meaning)


YES, NO = sct("373066001"), sct("373067005")


def yes_no(flag: bool) -> Code:
    """CID 231 Yes or No."""
    return YES if flag else NO
