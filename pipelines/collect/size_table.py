"""Sizes from a table that somebody exported: CSV with a line a measurement."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from dose_lib.derived import is_plausible
from dose_lib.errors import UsageError
from pipelines.collect.body import SizeOf, height_in_cm, local_time, read_number, weight_in_kg

_MOST_BYTES = 500_000_000
_NAMES = {
    "patient_id": ("patient_id", "patientid", "mrn", "id", "pid"),
    "issuer": ("issuer", "issuer_of_patient_id", "assigning_authority"),
    "measured_at": ("measured_at", "measured", "date", "datetime", "time", "timestamp"),
    "weight": ("weight",),
    "weight_unit": ("weight_unit",),
    "height": ("height", "size", "length"),
    "height_unit": ("height_unit", "size_unit"),
}
_UNITS = ("kg", "g", "lb", "lbs", "cm", "m", "mm", "in", "ft")
_TIMES = (
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"),
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d"),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y"),
)


class SizeTable(msgspec.Struct, kw_only=True):
    """What a file says, and the lines that could not be used, without what stands in them."""

    sizes: list[SizeOf] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)
    n_lines: int = 0


def read_size_table(file: Path, zone: str) -> SizeTable:
    """Read a CSV file of sizes; comma, semicolon or tab between its columns.

    Parameters
    ----------
    file
        With a line of names: ``patient_id``, ``measured_at``, and ``weight_kg`` and
        ``height_cm`` (or ``_g``, ``_lb``, ``_m``, ``_in``), or ``weight`` beside ``weight_unit``.
    zone
        Of the site, for times that carry one.

    Raises
    ------
    UsageError
        If the file is no such table; single lines become problems.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{file.name} is too large", expected=f"{_MOST_BYTES} bytes at most")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = file.read_text(encoding="cp1252", errors="replace")
    except OSError as error:
        raise UsageError(f"the file cannot be read ({error.strerror})", where=str(file)) from None
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows = csv.reader(text.splitlines(), delimiter=separator)
    columns = _columns(next(rows, []), file)
    table = SizeTable()
    for number, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        table.n_lines += 1
        cells = {name: row[at].strip() for name, at in columns.items() if at < len(row)}
        found = _size(cells, zone)
        if isinstance(found, SizeOf):
            table.sizes.append(found)
        else:
            table.problems.append(f"line {number}: {found}")
    return table


def _columns(head: list[str], file: Path) -> dict[str, int]:
    """Where each column is; a unit in a column's name stays in its name."""
    places: dict[str, int] = {}
    for at, cell in enumerate(head):
        word = cell.strip().strip('"').lower().replace(" ", "_")
        for name, known in _NAMES.items():
            if word in known or any(word == f"{k}_{u}" for k in known for u in _UNITS):
                suffix = word.rpartition("_")[2]
                places[f"{name}_{suffix}" if _has_unit(name, word) else name] = at
    has_size = any(n.startswith(("weight", "height")) for n in places)
    missing = [n for n in ("patient_id", "measured_at") if n not in places]
    if missing or not has_size:
        raise UsageError(
            f"no column {(missing or ['weight_kg or height_cm'])[0]}",
            expected="patient_id, measured_at, weight_kg, height_cm",
            where=str(file),
        )
    return places


def _has_unit(name: str, word: str) -> bool:
    return name in ("weight", "height") and word.rpartition("_")[2] in _UNITS


def _size(cells: Mapping[str, str], zone: str) -> SizeOf | str:
    if not cells.get("patient_id"):
        return "no patient ID"
    measured = _time(cells.get("measured_at", ""), zone)
    if measured is None:
        return "measured_at is no time"
    try:
        weight, height = _quantity(cells, "weight"), _quantity(cells, "height")
    except ValueError as error:
        return str(error)
    if weight is None and height is None:
        return "neither weight nor height"
    if not is_plausible(weight, height):
        return "no human being has this size"
    return SizeOf(
        patient_id=cells["patient_id"],
        issuer=cells.get("issuer") or None,
        measured_at=measured,
        weight_kg=weight,
        height_cm=height,
    )


def _quantity(cells: Mapping[str, str], name: str) -> float | None:
    convert = weight_in_kg if name == "weight" else height_in_cm
    for column, text in _given(cells, name):
        found = read_number(text)
        if found is None:
            raise ValueError(f"{column} is no number")
        unit = found[1] or cells.get(f"{name}_unit", "") or column.removeprefix(name).strip("_")
        value = convert(found[0], unit)
        if value is None:
            raise ValueError(f"{name}: {'no unit' if not unit else 'unit not known'}")
        return value
    return None


def _given(cells: Mapping[str, str], name: str) -> Iterator[tuple[str, str]]:
    for column, text in cells.items():
        if column.startswith(name) and not column.endswith("_unit") and text:
            yield column, text


def _time(text: str, zone: str) -> datetime | None:
    try:
        return local_time(datetime.fromisoformat(text), zone)
    except ValueError:
        pass
    for form in _TIMES:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
