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
from dose_lib.errors import LevelError
from dose_lib.records import Phantom
from dose_lib.reference.adopted import ADOPTION, adopted_levels
from dose_lib.reference.level import Confidence, Kind, Level, Per, PhantomBasis, Quantity
from dose_lib.reference.signing import SignOff, apply_sign_offs, read_decisions, sign_offs
from dose_lib.reference.site import site_levels
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
