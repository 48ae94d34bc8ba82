"""Build `drl/tables/` from `drl/sources/`: `python drl/build.py [--check]`.

Each folder of `sources/` holds one publication as it was transcribed and `origin.toml`
with edition, dates and doubts. This script reads every line strictly, brings units, size
bands and procedure names into ours, and writes the tables that the library loads. It is
the only writer of `tables/`; a test compares every line. `--check` writes nothing and fails
if a table would change.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from dose_lib.errors import LevelError, did_you_mean
from dose_lib.normalise import body_regions, catalogue, projections
from dose_lib.reference.level import Kind, PhantomBasis
from dose_lib.reference.template import Row, phantom_basis, read_rows, row_id

HERE = Path(__file__).parent
SET_COLUMNS = (
    "set_id", "year", "edition", "kind", "country", "issuing_body", "publication", "status",
    "valid_from", "valid_to", "dates_known_to", "superseded_by", "weight_min_kg",
    "weight_max_kg", "transcribed", "note", "source",
)  # fmt: skip
LEVEL_COLUMNS = (
    "row_id", "set_id", "year", "kind", "modality", "source_procedure", "procedure_name",
    "body_region", "indication", "contrast", "detail", "population", "size_basis", "size_min",
    "size_max", "size_unit", "phantom", "phantom_basis", "quantity", "statistic", "value",
    "unit", "per", "is_comparable", "confidence", "source_value", "source_unit", "source_note",
    "source", "source_line",
)  # fmt: skip
LABEL_COLUMNS = (
    "modality", "source_procedure", "procedure_name", "body_region", "contrast", "detail",
    "is_comparable",
)  # fmt: skip
# Modality class of a level whose source groups them otherwise.
_MODALITY = {"Panoramic Radiograph": "PX", "Intra-oral Radiograph": "IO"}

Cells = dict[str, str]
Labels = dict[tuple[str, str], Cells]


class Source(NamedTuple):
    """One folder of `sources/`."""

    name: str
    file: Path
    origin: Mapping[str, Any]

    def set_of(self, row: Row) -> Mapping[str, Any]:
        """The entry of `origin.toml` for the set and year of a row."""
        key = (row.texts["drl_set"], row.texts["year"])
        for entry in self.origin["set"]:
            if (entry["id"], str(entry["year"])) == key:
                return dict(entry)
        raise row.place.refuse("drl_set", " ".join(key), f"a set of {self.name}/origin.toml")


def sources(root: Path) -> list[Source]:
    """Folders of `sources/` in order of name."""
    found = []
    for folder in sorted((root / "sources").iterdir()):
        origin = tomllib.loads((folder / "origin.toml").read_text(encoding="utf-8"))
        found.append(Source(folder.name, folder / "as_transcribed.csv", origin))
    return found


def read_labels(file: Path) -> Labels:
    """What each procedure label of the sources means in our words."""
    found: Labels = {}
    reader = csv.DictReader(StringIO(file.read_text(encoding="utf-8")))
    if tuple(reader.fieldnames or ()) != LABEL_COLUMNS:
        raise LevelError("wrong columns", expected=", ".join(LABEL_COLUMNS), where=str(file))
    for line, cells in enumerate(reader, start=2):
        where = f"{file}, line {line}"
        _check_word(cells["procedure_name"], {*catalogue(), *projections()}, where)
        _check_word(cells["body_region"], body_regions(), where)
        key = (cells["modality"], cells["source_procedure"])
        if key in found:
            raise LevelError(f"{key} stands twice", where=where)
        found[key] = cells
    return found


def _check_word(word: str, known: Iterable[str], where: str) -> None:
    if word and word not in known:
        raise LevelError(f"{word!r} is not known", where=where, todo=did_you_mean(word, known))


def build(root: Path = HERE) -> dict[str, str]:
    """Content of every table by file name.

    Raises
    ------
    LevelError
        For the first line that cannot be read, with file, line, column and value; for a
        label without meaning, a set without origin, a meaning no line uses.
    """
    labels = read_labels(root / "labels.csv")
    used: set[tuple[str, str]] = set()
    sets: dict[tuple[str, str], Cells] = {}
    levels: list[Cells] = []
    tables: dict[str, str] = {}
    for source in sources(root):
        text = source.file.read_text(encoding="utf-8")
        if "set" not in source.origin:
            tables[f"{source.name.removeprefix('aux_')}.csv"] = _auxiliary(text, source)
            continue
        for row in read_rows(text, f"{source.name}/{source.file.name}"):
            label = labels.get(key := (row.texts["modality"], row.texts["procedure"]))
            if label is None:
                raise row.place.refuse("procedure", key[1], "a label of drl/labels.csv")
            used.add(key)
            entry = source.set_of(row)
            sets.setdefault((entry["id"], str(entry["year"])), _set_cells(row, entry, source))
            levels.append(_level_cells(row, entry, label, source))
    if unused := set(labels) - used:
        raise LevelError(f"labels no source uses: {sorted(unused)}", where="drl/labels.csv")
    tables["sets.csv"] = _write(SET_COLUMNS, sets.values())
    tables["levels.csv"] = _write(LEVEL_COLUMNS, _distinguish(levels))
    return tables


def _set_cells(row: Row, entry: Mapping[str, Any], source: Source) -> Cells:
    Kind(entry["kind"])
    cells = {c: "" if entry.get(c) is None else str(entry[c]) for c in SET_COLUMNS}
    return cells | {
        "set_id": entry["id"],
        "issuing_body": row.texts["issuing_body"],
        "publication": row.texts["publication"],
        "transcribed": source.origin["transcribed"],
        "note": source.origin.get("note", ""),
        "source": source.name,
    }


def _statistic(row: Row, entry: Mapping[str, Any]) -> str:
    if row.statistic != "other":
        return row.statistic
    default = "limit" if entry["kind"] in (Kind.TRIGGER, Kind.QUALITY_CONTROL) else None
    named = entry.get("other_statistic", default)
    if named is None:
        raise row.place.refuse("statistic", "other", "other_statistic in origin.toml")
    return str(named)


def _level_cells(row: Row, entry: Mapping[str, Any], label: Cells, source: Source) -> Cells:
    doubts = {
        d["note_contains"]: PhantomBasis(d["basis"]) for d in source.origin.get("phantom_doubt", ())
    }
    statistic = _statistic(row, entry)
    kind = Kind.ACHIEVABLE if statistic == "p50" else Kind(entry["kind"])
    name = label["procedure_name"]
    ends = row.size_min, _open_end(row, entry)
    size_min, size_max = ("" if v is None else f"{v:.12g}" for v in ends)
    return {
        "row_id": row_id(row._replace(statistic=statistic)),
        "set_id": entry["id"],
        "year": str(entry["year"]),
        "kind": kind.value,
        "modality": _MODALITY.get(name, row.texts["modality"]),
        "source_procedure": row.texts["procedure"],
        "procedure_name": name,
        "body_region": label["body_region"],
        "indication": row.texts["indication"],
        "contrast": label["contrast"],
        "detail": label["detail"],
        "population": row.population,
        "size_basis": row.size_basis or "",
        "size_min": size_min,
        "size_max": size_max,
        "size_unit": row.size_unit or "",
        "phantom": row.texts["phantom"],
        "phantom_basis": phantom_basis(row, doubts) or "",
        "quantity": row.quantity.value,
        "statistic": statistic,
        "value": f"{row.value:.12g}",
        "unit": row.unit,
        "per": row.per.value,
        "is_comparable": label["is_comparable"],
        "confidence": row.confidence.value,
        "source_value": row.texts["value"],
        "source_unit": row.texts["unit"],
        "source_note": row.texts["source_note"],
        "source": source.name,
        "source_line": str(row.place.line),
    }


def _open_end(row: Row, entry: Mapping[str, Any]) -> float | None:
    """Upper end of a band, itself outside: classes of whole numbers end where the next begins."""
    if row.size_max is None or row.size_min == row.size_max:
        return row.size_max
    return row.size_max + (1.0 if entry.get("size_classes") == "whole" else 0.0)


def _distinguish(levels: list[Cells]) -> list[Cells]:
    """Rows that differ in nothing but phantom or edition get it in their id."""
    for column in ("phantom", "year"):
        counts = Counter(cells["row_id"] for cells in levels)
        for cells in levels:
            if counts[cells["row_id"]] > 1:
                cells["row_id"] += f"/{cells[column]}"
    counts = Counter(cells["row_id"] for cells in levels)
    if twice := [i for i, n in counts.items() if n > 1]:
        raise LevelError(f"rows say the same twice: {twice}", where="drl/sources")
    return levels


def _auxiliary(text: str, source: Source) -> str:
    """Conversion tables keep their columns; each line must be complete."""
    header, *rows = list(csv.reader(StringIO(text)))
    for line, cells in enumerate(rows, start=2):
        if len(cells) != len(header):
            where = f"{source.name}/{source.file.name}, line {line}"
            raise LevelError(f"{len(cells)} cells", expected=str(len(header)), where=where)
    return _write(tuple(header), (dict(zip(header, cells, strict=True)) for cells in rows))


def _write(columns: tuple[str, ...], rows: Iterable[Cells]) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def main(arguments: list[str]) -> int:
    """Write the tables, or with ``--check`` tell which would change."""
    folder = HERE / "tables"
    folder.mkdir(exist_ok=True)
    stale = []
    for name, text in build().items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                file.write_text(text, encoding="utf-8")
    print(f"{'stale' if '--check' in arguments else 'written'}: {', '.join(stale) or 'none'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LevelError as error:
        sys.exit(str(error))
