"""A checker of dose report templates: relation, value type, unit, presence, number of items.

`templates.csv` holds the rows of PS3.16 TID 10001 to 10024 and of the templates they include,
as the project's reference marks them as read. A dialect may deviate where it declares so, and
nowhere else.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pydicom

from dose_lib.records import Code
from dose_lib.simulate.writer.codes import dcm_meanings
from dose_lib.simulate.writer.dialect import Dialect

# Context groups that stand for the concept of a row: CID 10001 (scope UIDs), 10008 (distances).
GROUPS = {
    "CID10001": ("110180", "121126", "112002", "113769"),
    "CID10008": (
        *(str(n) for n in (113748, 113737, 113750, 113792, 113751, 113752, 113753)),
        *(str(n) for n in (113759, 113760, 113761, *range(128766, 128772))),
    ),
}
_LANGUAGE = "121049"


class Row(NamedTuple):
    """One row of a template: what may stand below which concept."""

    parent: str
    value_type: str
    relation: str
    scheme: str
    code: str
    unit: str
    requirement: str
    maximum: str


@cache
def _table() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    file = Path(__file__).with_name("templates.csv")
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        found.setdefault(row["template"], []).append(row)
    return found


def _rows(
    template: str, parent: str, required: bool, most: str = "1", depth: int = 0
) -> Iterator[Row]:
    """Rows of a template below a concept, included templates in place."""
    if template == "1204":
        yield Row(parent, "CODE", "HAS CONCEPT MOD", "DCM", _LANGUAGE, "", "U", "1")
    for row in _table().get(template, []):
        above = row["parent"] or parent
        if row["value_type"] == "INCL":
            if depth < 6:
                must = required and row["requirement"] == "M"
                yield from _rows(row["code"], above, must, row["maximum"], depth + 1)
            continue
        own = row["requirement"]
        # What is mandatory in an optional template is so only below its own items.
        need = own if required or row["parent"] else own.replace("M", "U")
        for code in GROUPS.get(row["code"], (row["code"],)):
            yield Row(
                above,
                row["value_type"],
                row["relation"],
                row["scheme"],
                code,
                row["unit"],
                "U" if row["code"] in GROUPS else need,
                # An item at the top of a template stands as often as the template is included.
                "n" if most == "n" and not row["parent"] else row["maximum"],
            )


@cache
def rows_below(template: str) -> dict[str, tuple[Row, ...]]:
    """Concept -> rows that may stand below it, in a document of a root template."""
    root = {"10001": "113701", "10011": "113701", "10021": "113500"}[template]
    found: dict[str, list[Row]] = {}
    for row in _rows(template, "", True):
        found.setdefault(row.parent, []).append(row)
    found.setdefault(root, [])
    return {parent: tuple(rows) for parent, rows in found.items()}


def violations(report: pydicom.Dataset, dialect: Dialect, template: str) -> list[str]:
    """What in a report is not as the template says and not declared by the dialect."""
    root = "113500" if template == "10021" else "113701"
    return list(_below(report, root, dialect, rows_below(template), root))


def _below(
    node: pydicom.Dataset, code: str, dialect: Dialect, rows: dict[str, tuple[Row, ...]], path: str
) -> Iterator[str]:
    known = {(_written(r, dialect)): r.code for r in rows.get(code, ())}
    seen: Counter[str] = Counter()
    for child in node.get("ContentSequence", []):
        name = child.ConceptNameCodeSequence[0]
        key = (str(name.CodingSchemeDesignator), str(name.get("CodeValue", "")))
        own = known.get(key)
        if own is None:
            if not (key[0].startswith("99") and dialect.private):
                yield f"{path}: {key} does not belong here"
            continue
        seen[own] += 1
        where = f"{path}/{own}"
        choices = [r for r in rows[code] if r.code == own]
        yield from _item(child, choices, dialect, where)
        yield from _below(child, own, dialect, rows, where)
    yield from _counts(seen, code, dialect, rows, path)


def _written(row: Row, dialect: Dialect) -> tuple[str, str]:
    meaning = dcm_meanings().get(row.code)
    written = dialect.concept(Code(row.code, row.scheme, meaning))
    return written.scheme or "", written.value or ""


def _item(
    child: pydicom.Dataset, choices: list[Row], dialect: Dialect, where: str
) -> Iterator[str]:
    types = {r.value_type for r in choices}
    is_text = child.ValueType == "TEXT" and choices[0].code in dialect.texts
    if child.ValueType not in types and not is_text:
        yield f"{where}: {child.ValueType} instead of {types}"
    relations = {r.relation for r in choices}
    # The page names no relation of items below numbers and codes that is not "contains".
    if child.RelationshipType not in relations and relations != {"CONTAINS"}:
        yield f"{where}: {child.RelationshipType} instead of {relations}"
    if child.ValueType != "NUM" or not child.MeasuredValueSequence:
        if child.ValueType == "NUM" and choices[0].code not in dialect.missing:
            yield f"{where}: no value"
        return
    unit = child.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    units = {str(dialect.unit(r.unit).value) for r in choices if r.unit}
    if units and unit.CodeValue not in units:
        yield f"{where}: {unit.CodeValue} instead of {units}"


def _counts(
    seen: Counter[str], code: str, dialect: Dialect, rows: dict[str, tuple[Row, ...]], path: str
) -> Iterator[str]:
    for row in rows.get(code, ()):
        omitted = row.code in dialect.omit or f"{code}>{row.code}" in dialect.omit
        if row.requirement == "M" and not seen[row.code] and not omitted:
            yield f"{path}: {row.code} is missing"
        total = sum(
            int(r.maximum) if r.maximum.isdigit() else 10**6
            for r in rows[code]
            if r.code == row.code
        )
        if seen[row.code] > total:
            yield f"{path}: {row.code} stands there {seen[row.code]} times"
