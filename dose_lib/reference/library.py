"""The library of levels: the built tables that ship with us, and the site's own files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import dose_lib
from dose_lib.errors import LevelError, did_you_mean
from dose_lib.normalise import catalogue, projections, read_site
from dose_lib.records import Phantom
from dose_lib.reference.adopted import ADOPTION, adopted_levels
from dose_lib.reference.level import Confidence, Kind, Level, Per, PhantomBasis, Quantity
from dose_lib.reference.signing import SignOff, apply_sign_offs, read_decisions, sign_offs
from dose_lib.reference.template import SITE_COLUMNS, Row, day, read_rows, row_id
from dose_lib.settings import Settings


def tables_folder() -> Path:
    """Folder of the built tables: in the package, in a checkout `drl/tables`.

    Raises
    ------
    LevelError
        If neither is there: the installation is not whole.
    """
    package = Path(dose_lib.__file__).parent
    for folder in (package / "share" / "drl", package.parent / "drl" / "tables"):
        if (folder / "levels.csv").is_file():
            return folder
    raise LevelError(
        "the tables of reference levels are missing",
        where=str(package / "share" / "drl"),
        todo="Install doseloop again, or run `python drl/build.py` in a checkout",
    )


def load_levels(
    settings: Settings | None = None,
    *,
    signed: Iterable[SignOff] = (),
    con: Any = None,
    as_of: datetime | None = None,
) -> tuple[Level, ...]:
    """All reference levels: published ones, then the site's own, with sign-offs applied.

    Parameters
    ----------
    settings
        Names the home folder, whose `site/drl/*.csv` are read; None: published levels only.
    signed
        Sign-offs as values.
    con
        ibis backend; its decisions of kind ``drl_sign_off`` count after `signed`, and levels
        the site adopted from its own data (``drl_adoption``) are its own.
    as_of
        A moment with zone: decisions taken later do not count.

    Raises
    ------
    LevelError
        For a line of a site file that cannot be read, with file, line, column, value.
    """
    own = () if settings is None else site_levels(settings)
    decided = sign_offs(read_decisions(con, as_of=as_of))
    adopted = adopted_levels(read_decisions(con, ADOPTION, as_of=as_of))
    return apply_sign_offs((*published_levels(), *own, *adopted), (*signed, *decided))


@cache
def published_levels() -> tuple[Level, ...]:
    """Levels of the built tables, in their order, none signed off."""
    folder = tables_folder()
    sets = {(s["set_id"], s["year"]): s for s in read_table(folder / "sets.csv")}
    rows = read_table(folder / "levels.csv")
    return tuple(_published(row, sets[row["set_id"], row["year"]]) for row in rows)


def read_table(file: Path) -> list[dict[str, str]]:
    """Rows of a built table, empty cells as empty texts."""
    return list(csv.DictReader(StringIO(file.read_text(encoding="utf-8"))))


def _number(text: str) -> float | None:
    return float(text) if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _published(row: Mapping[str, str], of_set: Mapping[str, str]) -> Level:
    return Level(
        set_id=row["set_id"],
        edition=of_set["edition"],
        row_id=row["row_id"],
        kind=Kind(row["kind"]),
        country=of_set["country"] or None,
        publication=of_set["publication"],
        year=int(row["year"]),
        status=of_set["status"],
        valid_from=_day(of_set["valid_from"]),
        valid_to=_day(of_set["valid_to"]),
        superseded_by=of_set["superseded_by"] or None,
        modality=row["modality"],
        source_procedure=row["source_procedure"],
        procedure_name=row["procedure_name"] or None,
        body_region=row["body_region"] or None,
        indication=row["indication"] or None,
        contrast=row["contrast"] or None,
        detail=row["detail"] or None,
        population=row["population"],
        size_basis=row["size_basis"] or None,
        size_min=_number(row["size_min"]),
        size_max=_number(row["size_max"]),
        size_unit=row["size_unit"] or None,
        phantom=Phantom(row["phantom"]) if row["phantom"] else None,
        phantom_basis=PhantomBasis(row["phantom_basis"]) if row["phantom_basis"] else None,
        quantity=Quantity(row["quantity"]),
        statistic=row["statistic"],
        value=float(row["value"]),
        unit=row["unit"],
        per=Per(row["per"]),
        weight_min_kg=_number(of_set["weight_min_kg"]),
        weight_max_kg=_number(of_set["weight_max_kg"]),
        is_comparable=row["is_comparable"] == "yes",
        confidence=Confidence(row["confidence"]),
        note=row["source_note"] or None,
    )


def site_levels(settings: Settings) -> tuple[Level, ...]:
    """Levels of the site's own files `site/drl/*.csv`, in order of file name and line.

    Raises
    ------
    LevelError
        For the first line that cannot be read, and for a row said twice.
    """
    names = {
        **dict.fromkeys(projections()),
        **{n: p.region for n, p in catalogue().items()},
        **read_site(settings).regions,
    }
    found: dict[str, Level] = {}
    for file in sorted((settings.site_dir / "drl").glob("*.csv")):
        for row in read_rows(_text(file), file, columns=SITE_COLUMNS):
            level = _own(row, names, settings.country)
            if level.row_id in found:
                raise row.place.refuse("procedure", row.texts["procedure"], "each row once")
            found[level.row_id] = level
    return tuple(found.values())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LevelError(
            f"the file cannot be read ({error})", expected="CSV in UTF-8", where=str(file)
        ) from None


def _own(row: Row, names: Mapping[str, str | None], country: str) -> Level:
    name = row.texts["procedure"]
    if name not in names:
        raise row.place.refuse(
            "procedure", name, "a procedure of the catalogue", did_you_mean(name, names)
        )
    year = row.text("year")
    if year is not None and not year.isdigit():
        raise row.place.refuse("year", year, "a year such as 2026")
    kind = row.text("kind") or "local"
    if kind not in tuple(Kind):
        raise row.place.refuse("kind", kind, "one of " + ", ".join(Kind))
    edition = row.text("edition") or year or "undated"
    return Level(
        set_id=row.texts["drl_set"],
        edition=edition,
        row_id=f"{row_id(row)}/{edition}",
        kind=Kind.ACHIEVABLE if row.statistic == "p50" and kind != "local" else Kind(kind),
        origin="site",
        country=row.text("country_or_region") or country,
        publication=row.text("publication"),
        year=int(year) if year else None,
        valid_from=day(row.place, "valid_from", row.text("valid_from")),
        valid_to=day(row.place, "valid_to", row.text("valid_to")),
        modality=row.texts["modality"],
        procedure_name=name,
        source_procedure=name,
        body_region=row.text("body_region") or names[name],
        indication=row.text("indication"),
        contrast=row.text("contrast"),
        population=row.population,
        size_basis=row.size_basis,
        size_min=row.size_min,
        size_max=row.size_max,
        size_unit=row.size_unit,
        phantom=Phantom(row.texts["phantom"]) if row.text("phantom") else None,
        phantom_basis=PhantomBasis.SOURCE if row.text("phantom") else None,
        quantity=row.quantity,
        statistic=row.statistic,
        value=row.value,
        unit=row.unit,
        per=row.per,
        confidence=row.confidence,
        note=row.text("source_note"),
    )
