"""Small exports in the layouts that shipped mappings are for; made here, of nobody."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime, time
from pathlib import Path

COMMON = {
    "Patient ID": "P{n}",
    "Institution": "St Elsewhere",
    "Manufacturer": "ACME",
    "Model name": "Scan 64",
    "Station name": "CT1",
    "Display name": "CT One",
    "Accession number": "ACC{n:05}",
    "Operator": "Miller^Rita",
    "Study date": "2019-03-{day:02}",
    "Study time": "10:{minute:02}:22",
    "Date of birth": "1965-01-02",
    "Age": "54.2",
    "Sex": "M",
    "Height": "1.78",
    "Mass (kg)": "82",
    "Test patient?": "",
    "Study description": "CT Chest",
    "Requested procedure": "CT Thorax",
    "Study Comments": "",
    "No. events": "2",
}
CT_EVENT = {
    "Protocol": "Thorax",
    "Type": "Spiral Acquisition",
    "Exposure time": "5.1",
    "Scanning length": "312",
    "Slice thickness": "0.6",
    "Total collimation": "38.4",
    "Pitch": "1.2",
    "No. sources": "1",
    "CTDIvol": "7.2",
    "Phantom": "32 cm",
    "DLP": "400.25",
    "S1 name": "A",
    "S1 kVp": "120",
    "S1 max mA": "600",
    "S1 mA": "180",
    "S1 Exposure time/rotation": "0.5",
    "S2 name": "",
    "mA Modulation type": "CARE",
    "Comments": "",
}


def common(n: int, **given: str) -> dict[str, str]:
    """The columns that all exports have, of exam `n`."""
    words = {"n": n, "day": n // 60 % 28 + 1, "minute": n % 60}
    return {k: v.format(**words) for k, v in (COMMON | given).items()}


def ct_row(n: int, **given: str) -> dict[str, str]:
    """One exam with a topogram and a spiral, as the csv export writes it."""
    topogram = {"Protocol": "Topogram", "Type": "Constant Angle Acquisition", "DLP": "3.5"}
    events = {
        **{f"E1 {k}": v for k, v in (CT_EVENT | topogram | {"CTDIvol": "0.1"}).items()},
        **{f"E2 {k}": v for k, v in CT_EVENT.items()},
    }
    return common(n) | {"DLP total (mGy.cm)": f"{403.75 + n / 100:.2f}"} | events | given


def rf_row(n: int, **given: str) -> dict[str, str]:
    """One biplane exam."""
    planes = {
        **{"A DAP total (Gy.m^2)": "0.0021", "A Dose RP total (Gy)": "0.120"},
        **{"A Fluoro DAP total (Gy.m^2)": "0.0009", "A Fluoro duration total (s)": "190"},
        **{"B DAP total (Gy.m^2)": "0.0011", "B Dose RP total (Gy)": "0.250"},
        **{"B Fluoro DAP total (Gy.m^2)": "0.0003", "B Fluoro duration total (s)": "60"},
    }
    return common(n, **{"Station name": "XA1"}) | {"Physician": "Poe^Pat"} | planes | given


def dx_row(n: int, **given: str) -> dict[str, str]:
    """One radiograph, in the layout of 1.0's xlsx."""
    event = {"E1 Acquisition protocol": "Chest PA", "E1 kVp": "125", "E1 mAs": "1.6"}
    doses = {"Total DAP (cGy·cm²)": "11.5", "E1 DAP (cGy·cm²)": "11.5", "Number of events": "1"}
    return common(n, **{"Station name": "DX1"}) | event | doses | given


def mg_rows(n: int) -> list[dict[str, str]]:
    """Four exposures of one exam, one a row."""
    views = (("cranio-caudal", "Right"), ("cranio-caudal", "Left"))
    obliques = (("medio-lateral oblique", "Right"), ("medio-lateral oblique", "Left"))
    exam = common(n, **{"Station name": "MG1"})
    return [
        exam | {"View": v, "Laterality": s, "AGD": f"{1.25 + k / 10}", "Thickness": "55"}
        | {"kVp": "28", "uAs": "75000", "Acquisition": "Flex"}
        for k, (v, s) in enumerate(views + obliques)
    ]  # fmt: skip


def nm_row(n: int, **given: str) -> dict[str, str]:
    """One administration."""
    values = {
        "Radiopharmaceutical Agent": "Fluorodeoxyglucose F^18^",
        "Radionuclide": "^18^Fluorine",
        "Radionuclide Half Live": "6586.2",
        "Administered activity (MBq)": "251.3",
        "Radiopharmaceutical Start Time": "2019-03-01 09:12:00",
        "Route of Administration": "Intravenous route",
    }
    return common(n, **{"Station name": "PT1"}) | values | given


def write_csv(path: Path, rows: Iterable[Mapping[str, str]], delimiter: str = ",") -> Path:
    """A csv file with the heads of the first row, with the mark that Excel wants."""
    listed = list(rows)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(listed)
    return path


def typed(row: Mapping[str, str]) -> dict[str, object]:
    """A row as a workbook holds it: numbers, dates and times, not their texts."""
    return {head: _typed(head, cell) for head, cell in row.items()}


def _typed(head: str, cell: str) -> object:
    if head == "Study date" and cell[:1].isdigit():
        return datetime.fromisoformat(cell)
    if head == "Study time":
        return time.fromisoformat(cell)
    try:
        return float(cell)
    except ValueError:
        return cell or None


def write_xlsx(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A workbook with a summary sheet and "All data"."""
    from openpyxl import Workbook

    listed = list(rows)
    book = Workbook(write_only=True)
    book.create_sheet("Summary").append(["XLSX Export"])
    sheet = book.create_sheet("All data")
    sheet.append(list(listed[0]))
    for row in listed:
        sheet.append(list(row.values()))
    book.save(path)
    return path
