"""Tables of levels as people write them: read strictly, with file, line, column, value.

The published sources and a site's own files share one template (`docs/reference_levels.md`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from dose_lib.errors import LevelError, did_you_mean
from dose_lib.reference.level import Confidence, Per, PhantomBasis, Quantity
from dose_lib.units import factor

COLUMNS = (
    "drl_set", "country_or_region", "issuing_body", "publication", "year", "modality",
    "procedure", "body_region", "indication", "population", "size_basis", "size_min",
    "size_max", "size_unit", "phantom", "quantity", "statistic", "value", "unit", "per",
    "source_note", "confidence",
)  # fmt: skip
REQUIRED = ("drl_set", "modality", "procedure", "population", "quantity", "value", "unit", "per")
SITE_COLUMNS = (*COLUMNS, "kind", "edition", "contrast", "valid_from", "valid_to")

# As transcribed -> ours, and the unit we keep the quantity in.
QUANTITIES = {
    "CTDIvol": (Quantity.CTDI_VOL, "mGy"),
    "DLP": (Quantity.DLP, "mGy.cm"),
    "DAP(KAP)": (Quantity.KAP, "Gy.cm2"),
    "Ka,r": (Quantity.KA_R, "mGy"),
    "ESD": (Quantity.KA_E, "mGy"),
    "Ka,i": (Quantity.KA_I, "mGy"),
    "AGD/MGD": (Quantity.AGD, "mGy"),
    "PSD": (Quantity.SKIN_DOSE, "mGy"),
    "fluoroscopy_time": (Quantity.FLUORO_TIME, "s"),
    "administered_activity": (Quantity.ACTIVITY, "MBq"),
}
TIMES = "times"
"""Unit of a trigger that is a multiple of the exam's expected dose."""
_ALIASES = {q.value: pair for q, pair in {v[0]: v for v in QUANTITIES.values()}.items()}
_MODALITIES = ("CT", "RF", "XA", "DX", "MG", "NM", "PT", "CBCT", "DENTAL", "PX", "IO")
_STATISTICS = {
    "p75": "p75", "p50/achievable dose": "p50", "p50": "p50", "median": "p50", "p25": "p25",
    "other": "other", "recommended": "recommended", "limit": "limit",
}  # fmt: skip
_BASES = {
    "none": (None, None),
    "": (None, None),
    "age": ("age", "a"),
    "weight": ("weight", "kg"),
    "compressed_breast_thickness": ("compressed_breast_thickness", "mm"),
    "pmma_thickness": ("pmma_thickness", "mm"),
}


class Place(NamedTuple):
    """Where a value stands, for messages."""

    file: Path | str
    line: int

    def refuse(self, column: str, value: str, expected: str, todo: str | None = None) -> LevelError:
        """The error for one value that can't be read."""
        where = f"{self.file}, line {self.line}, column {column}"
        return LevelError(f"{value!r} cannot be read", expected=expected, where=where, todo=todo)


class Row(NamedTuple):
    """One line, checked and in canonical units; texts empty where the column was."""

    place: Place
    texts: Mapping[str, str]
    quantity: Quantity
    value: float
    unit: str
    statistic: str
    per: Per
    population: str
    size_basis: str | None
    size_min: float | None
    size_max: float | None
    size_unit: str | None
    confidence: Confidence

    def text(self, column: str) -> str | None:
        """Text of a column, None if it is empty or missing."""
        return self.texts.get(column) or None


def read_rows(text: str, file: Path | str, *, columns: tuple[str, ...] = COLUMNS) -> Iterator[Row]:
    """Rows of one table.

    Parameters
    ----------
    text
        Content of the file: CSV with a header line.
    file
        Its name, for messages.
    columns
        The columns there may be; `REQUIRED` ones must be there.

    Raises
    ------
    LevelError
        For the first thing that cannot be read, with file, line, column and value.
    """
    for read in lines(text, file, columns=columns):
        if isinstance(read, LevelError):
            raise read
        yield read


def lines(
    text: str, file: Path | str, *, columns: tuple[str, ...] = COLUMNS
) -> Iterator[Row | LevelError]:
    """Each line of a table as a row, or what is wrong with it; parameters as of `read_rows`.

    A spreadsheet of a country that writes decimals with a comma separates cells by semicolons;
    both separators are read, decimals with a comma are not.
    """
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text), delimiter=";" if first.count(";") else ",")
    header = [c.strip() for c in next(reader, [])]
    _check_header(header, file, columns)
    for cells in reader:
        place = Place(file, reader.line_num)
        if not any(c.strip() for c in cells):
            continue
        if len(cells) != len(header):
            yield place.refuse("(all)", f"{len(cells)} cells", f"{len(header)} as in the header")
            continue
        try:
            yield _row(place, dict(zip(header, (c.strip() for c in cells), strict=True)))
        except LevelError as error:
            yield error


def _check_header(header: list[str], file: Path | str, columns: tuple[str, ...]) -> None:
    for name in header:
        if name not in columns:
            raise LevelError(
                f"unknown column {name!r}",
                where=f"{file}, line 1",
                todo=did_you_mean(name, columns),
            )
    if missing := [c for c in REQUIRED if c not in header]:
        raise LevelError(
            f"columns are missing: {', '.join(missing)}",
            expected=", ".join(REQUIRED),
            where=f"{file}, line 1",
        )


def _row(place: Place, texts: dict[str, str]) -> Row:
    for column in REQUIRED:
        if not texts[column]:
            raise place.refuse(column, "", "a value: the column is required")
    _closed(place, texts, "modality", _MODALITIES)
    population = _closed(place, texts, "population", ("adult", "paediatric"))
    statistic = _STATISTICS[_closed(place, texts, "statistic", tuple(_STATISTICS), "p75")]
    _closed(place, texts, "phantom", ("", "16cm", "32cm"), "")
    per = Per(_closed(place, texts, "per", tuple(Per)))
    sure = Confidence.VERIFIED.value
    confidence = Confidence(_closed(place, texts, "confidence", tuple(Confidence), sure))
    quantity, value, unit = _value(place, texts)
    basis, low, high, size_unit = _size(place, texts)
    return Row(
        place, texts, quantity, value, unit, statistic, per, population, basis, low, high,
        size_unit, confidence,
    )  # fmt: skip


def _closed(
    place: Place, texts: dict[str, str], column: str, known: tuple[str, ...], empty: str = ""
) -> str:
    value = texts.get(column, "") or empty
    if value not in known:
        hint = did_you_mean(value, known) if value else None
        raise place.refuse(column, value, "one of " + ", ".join(k for k in known if k), hint)
    return value


def number(place: Place, column: str, text: str) -> float:
    """A number of the table: digits with a decimal point, not negative."""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        todo = "Write decimals with a point" if "," in text else None
        raise place.refuse(column, text, "a number such as 12 or 8.5", todo)
    return float(text)


def day(place: Place, column: str, text: str | None) -> date | None:
    """A date of the table, None if empty."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise place.refuse(column, text, "a date such as 2026-01-31") from None


def _value(place: Place, texts: dict[str, str]) -> tuple[Quantity, float, str]:
    name = texts["quantity"]
    known = QUANTITIES | _ALIASES
    if name not in known:
        raise place.refuse("quantity", name, "one of " + ", ".join(QUANTITIES))
    quantity, unit = known[name]
    recorded = number(place, "value", texts["value"])
    if recorded == 0:
        raise place.refuse("value", texts["value"], "a number above 0")
    if quantity is Quantity.ACTIVITY and texts["unit"] == "MBq/kg":
        return quantity, recorded, "MBq/kg"
    if texts["unit"] == TIMES:
        return quantity, recorded, TIMES
    scale = factor(texts["unit"], unit)
    if scale is None:
        raise place.refuse("unit", texts["unit"], f"a unit of {name} such as {unit}")
    return quantity, _clean(recorded * scale), unit


def _clean(value: float) -> float:
    """A converted value without the noise of binary fractions: 0.30000000000000004 is 0.3."""
    return float(f"{value:.12g}")


def _size(
    place: Place, texts: dict[str, str]
) -> tuple[str | None, float | None, float | None, str | None]:
    basis, unit = _BASES[_closed(place, texts, "size_basis", tuple(_BASES), "none")]
    cells = [texts.get(c, "") for c in ("size_min", "size_max")]
    recorded = texts.get("size_unit", "")
    if basis is None or unit is None:
        for column, cell in zip(("size_min", "size_max"), cells, strict=True):
            if cell:
                raise place.refuse(column, cell, "nothing, as size_basis is none")
        return None, None, None, None
    scale = factor({"month": "mo"}.get(recorded, recorded), unit)
    if scale is None:
        raise place.refuse("size_unit", recorded, f"a unit of {basis} such as {unit}")
    low, high = (
        _clean(number(place, c, cell) * scale) if cell else None
        for c, cell in zip(("size_min", "size_max"), cells, strict=True)
    )
    if low is None and high is None:
        raise place.refuse("size_min", "", "a band: size_min, size_max or both")
    if low is not None and high is not None and low > high:
        raise place.refuse("size_max", cells[1], f"no less than size_min ({cells[0]})")
    return basis, low, high, unit


def slug(text: str) -> str:
    """Words in lower case joined by hyphens, for stable row ids."""
    signs = text.replace("<", " under ").replace(">=", " from ").replace(">", " over ")
    return re.sub(r"[^a-z0-9]+", "-", signs.casefold()).strip("-")


def row_id(row: Row) -> str:
    """Name of a row within all sets: what the row is for, never its value or place."""
    band = ""
    if row.size_basis:
        low = f"{row.size_min or 0:g}"
        high = "" if row.size_max is None else f"{row.size_max:g}"
        band = f"{low}-{high}{row.size_unit}"
    parts = (
        row.texts["drl_set"], slug(row.texts["procedure"]), slug(row.texts.get("indication", "")),
        row.population, band, row.quantity.value, row.statistic, row.per.value,
    )  # fmt: skip
    return "/".join(p for p in parts if p)


def phantom_basis(row: Row, doubts: Mapping[str, PhantomBasis]) -> PhantomBasis | None:
    """How the phantom of a row is known: its note may say that it was not in the source."""
    if not row.text("phantom"):
        return None
    note = row.texts.get("source_note", "")
    found = [basis for words, basis in doubts.items() if words in note]
    return found[0] if found else PhantomBasis.SOURCE
