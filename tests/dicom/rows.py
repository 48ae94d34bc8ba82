"""Objects with every row of a reader's table, each with a value of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from dose_lib.dicom.attributes import Attribute
from dose_lib.dicom.fields import Field, Kind, Table
from dose_lib.records import Code
from tests.dicom import build as b

Expected = dict[str, Any]


def layers(table: Table, *, without: Collection[str] = ()) -> Iterator[Table]:
    """The rows of a table; of those for one name only one stands in each layer."""
    left = {key: field for key, field in table.items() if key not in without}
    while left:
        names: set[str] = set()
        layer = {}
        for key, field in list(left.items()):
            if field.name not in names:
                names.add(field.name)
                layer[key] = left.pop(key)
        yield layer


def items_of(layer: Table) -> tuple[list[Dataset], Expected]:
    """A content item for each row, and the value its name must have."""
    made, expected = [], {}
    for number, (key, field) in enumerate(layer.items(), start=1):
        scheme, _, value = key.partition(":")
        item, expected[field.name] = _item((value, scheme, field.name), field, number)
        made.append(item)
    return made, expected


def _item(name: tuple[str, str, str], field: Field, number: int) -> tuple[Dataset, Any]:
    kind = field.kind
    if kind is Kind.NUMBER:
        return b.num(name, f"{number}.5", field.unit), number + 0.5
    if kind is Kind.COUNT:
        return b.num(name, str(number), "1"), number
    if kind in (Kind.CODE, Kind.CODES):
        code = Code(f"C{number}", "99TEST", f"meaning {number}")
        made = b.coded(name, (f"C{number}", "99TEST", f"meaning {number}"))
        return made, code if kind is Kind.CODE else (code,)
    if kind is Kind.CHOICE:
        key, meant = next(iter(field.choices.items()))
        scheme, _, value = key.partition(":")
        return b.coded(name, (value, scheme, "")), meant
    if kind is Kind.TIME:
        return b.datetime(name, f"202401310930{number % 60:02}"), number % 60
    if kind is Kind.UIDS:
        return b.uidref(name, f"1.2.{number}"), (f"1.2.{number}",)
    text = f"1.2.{number}" if field.name.endswith("uid") else f"words {number}"
    return b.text(name, text), (text,) if kind is Kind.TEXTS else text


def same(found: Any, expected: Any) -> bool:
    """True if a record has what was sent; of times the seconds are compared."""
    if hasattr(found, "second"):
        return bool(found.second == expected)
    if isinstance(expected, float):
        return found is not None and abs(found - expected) <= 1e-9 * abs(expected)
    return bool(found == expected)


def attribute_layers(table: tuple[Attribute, ...]) -> Iterator[list[Attribute]]:
    """The attributes of a table, in layers that have each name once."""
    left = list(table)
    while left:
        names: set[str] = set()
        layer = [a for a in left if not (a.name in names or names.add(a.name))]  # type: ignore[func-returns-value]
        left = [a for a in left if a not in layer]
        yield layer


def elements_of(layer: list[Attribute]) -> tuple[dict[str, Any], Expected]:
    """Header elements by keyword, and the value each name must have."""
    made: dict[str, Any] = {}
    expected: Expected = {}
    for number, attribute in enumerate(layer, start=1):
        keyword = keyword_for_tag(attribute.tag)
        vr = dictionary_VR(attribute.tag)
        made[keyword], expected[attribute.name] = _element(attribute, vr, number)
    return made, expected


def _element(attribute: Attribute, vr: str, number: int) -> tuple[Any, Any]:
    kind = attribute.kind
    if kind is Kind.CODE:
        code = Code(f"C{number}", "99TEST", f"meaning {number}")
        return b.sequence(b.code_item((f"C{number}", "99TEST", f"meaning {number}"))), code
    if kind is Kind.TIME:
        return f"202401310930{number % 60:02}", number % 60
    if kind is Kind.COUNT:
        return (number if vr in ("US", "UL") else str(number)), number
    if kind is Kind.NUMBER:
        value = number if vr in ("IS", "US", "SS", "UL") else number + 0.5
        sent = value if vr in ("FD", "FL", "US", "SS", "UL") else str(value)
        return sent, float(f"{value * attribute.factor:.15g}")
    text = f"1.2.{number}" if vr == "UI" else f"WORDS {number}"
    return text, (text,) if kind is Kind.TEXTS else text
