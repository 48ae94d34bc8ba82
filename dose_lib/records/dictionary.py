"""The data dictionary: what every name of the data model means.

`contract.csv` beside this module is the authority for names, units and meanings; a
test holds the records, the store's columns and the documentation to it.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

import msgspec


class ContractName(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the data dictionary.

    `codes` and `schemes` are aligned: the DICOM concepts the value is read from;
    `dicom_attribute` names the header attributes that carry it in images and MPPS.
    """

    record: str
    name: str
    type: str
    unit: str | None
    codes: tuple[str, ...]
    schemes: tuple[str, ...]
    dicom_attribute: str | None
    meaning: str


def _parse(row: dict[str, str]) -> ContractName:
    split = {k: tuple(x for x in row[k].split(";") if x) for k in ("code", "scheme")}
    return ContractName(
        record=row["record"],
        name=row["name"],
        type=row["type"],
        unit=row["unit"] or None,
        codes=split["code"],
        schemes=split["scheme"],
        dicom_attribute=row["dicom_attribute"] or None,
        meaning=row["meaning"],
    )


@cache
def contract() -> tuple[ContractName, ...]:
    """Every name of the data model, in the order of the contract.

    Returns
    -------
    tuple of ContractName
        One entry a (record, name); a name that stands in two records has two.
    """
    text = files("dose_lib.records").joinpath("contract.csv").read_text(encoding="utf-8")
    return tuple(_parse(row) for row in csv.DictReader(text.splitlines()))
