"""Imported history in a question: "without imported history", "only imported exams".

Exams known from exports of other dose systems alone count like any other unless a question says
otherwise; how many of them stand behind an answer is said with it.
"""

from __future__ import annotations

import re

from dose_lib.questions.query import DoseQuery, Filter
from dose_lib.questions.reading import Reading

_WHAT = (
    r"(?:the )?(?:(?:imported|historical) (?:history|exams?|examinations?|studies|records?|data"
    r"|ones)|(?:history |historical )?imports?(?: of history)?|imported|import history)"
)
_ALONE = rf"(?:{_WHAT}|history)"
_ONLY = re.compile(rf"\b(?:(?:only|just) {_WHAT}|{_WHAT} (?:only|alone)|from {_WHAT})(?!\w)")
_WITHOUT = re.compile(
    r"\b(?:without|excluding|exclude|except|leaving out|leave out|ignoring|ignore|not counting"
    rf"|no|minus|drop|remove|but not) {_ALONE}(?!\w)"
)
_WITH = re.compile(rf"\b(?:including|include|with|plus|counting|count|add|also) {_ALONE}(?!\w)")
FIELD = "origin"


def read_origin(reading: Reading) -> None:
    """Find what a question says of imported history, and take its words out of the look-up."""
    for pattern, value in ((_ONLY, "imported"), (_WITHOUT, "DICOM"), (_WITH, None)):
        found = pattern.search(reading.normal)
        if found is None:
            continue
        start, end = reading.token_range(*found.span())
        if reading.masked & set(range(start, end)):
            continue
        reading.take(start, end)
        if value is None:
            reading.cleared.add(FIELD)
            reading.notes.append("imported history counts, as it does unless left out")
        else:
            condition = Filter.model_validate({"field": FIELD, "op": "=", "value": value})
            reading.extend("filters", (condition,), start, end)
        return


def say_imported(query: DoseQuery, n_imported: int, n: int) -> str | None:
    """How many of the exams of an answer are known from exports alone, where any are."""
    if not n_imported or any(f.field == FIELD for f in query.filters):
        return None
    return (
        f"{n_imported:,} of the {n:,} exams are imported history (known from another dose system"
        " alone); “without imported history” leaves them out"
    )
