"""Objects as a physicist reads them: one block a part, events as rows, units in the heads."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dose_lib import contract
from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Code, Identity, Part, Provenance
from pipelines.computed import show_computed

# What a column is called; a name that is not here keeps its own, without the unit.
_LABELS = {
    "acquisition_protocol": "protocol",
    "acquisition_type": "type",
    "event_type": "type",
    "target_region": "region",
    "anatomical_structure": "region",
    "ctdi_vol_mgy": "CTDIvol",
    "dlp_mgy_cm": "DLP",
    "kvp_kv": "kVp",
    "tube_current_ma": "current",
    "exposure_time_s": "time",
    "exposure_time_ms": "time",
    "scanning_length_mm": "length",
    "kap_gy_cm2": "KAP",
    "ka_r_mgy": "Ka,r",
    "ka_i_mgy": "Ka,i",
    "exposure_mas": "exposure",
    "agd_mgy": "AGD",
    "compressed_thickness_mm": "thickness",
    "ssde_mgy": "SSDE",
    "started_at": "start",
    "dlp_total_mgy_cm": "DLP as stated",
    "dlp_16cm_mgy_cm": "DLP, 16 cm phantom",
    "dlp_32cm_mgy_cm": "DLP, 32 cm phantom",
    "ctdi_vol_16cm_max_mgy": "largest CTDIvol, 16 cm phantom",
    "ctdi_vol_32cm_max_mgy": "largest CTDIvol, 32 cm phantom",
    "ssde_max_mgy": "largest SSDE",
    "effective_dose_msv": "effective dose as stated",
    "kap_fluoro_gy_cm2": "KAP, fluoroscopy",
    "kap_acquisition_gy_cm2": "KAP, acquisitions",
    "ka_r_fluoro_mgy": "Ka,r, fluoroscopy",
    "ka_r_acquisition_mgy": "Ka,r, acquisitions",
    "ka_r_max_plane_mgy": "Ka,r, larger plane",
    "fluoro_time_s": "fluoroscopy time",
    "n_events": "events",
    "n_localiser_events": "localisers",
    "n_spiral_events": "spiral scans",
    "n_sequenced_events": "sequenced scans",
    "n_stationary_events": "stationary scans",
    "n_fluoro_events": "fluoroscopy events",
    "n_acquisition_events": "acquisitions",
    "n_frames": "frames",
    "n_pulses": "pulses",
    "agd_left_mgy": "AGD left",
    "agd_right_mgy": "AGD right",
    "agd_both_mgy": "AGD both",
}
# Columns of the table of events, in order; those without any value are left out.
_COLUMNS = (
    *("started_at", "acquisition_protocol", "acquisition_type", "event_type", "plane"),
    *("target_region", "anatomical_structure", "laterality", "view", "phantom"),
    *("ctdi_vol_mgy", "dlp_mgy_cm", "ssde_mgy", "kap_gy_cm2", "ka_r_mgy", "ka_i_mgy"),
    *("agd_mgy", "exposure_index", "kvp_kv", "tube_current_ma", "exposure_mas"),
    *("exposure_time_s", "exposure_time_ms", "pitch", "scanning_length_mm"),
    *("compressed_thickness_mm", "n_pulses"),
)
_ADMINISTRATION = (
    *("started_at", "radiopharmaceutical", "radionuclide", "administered_activity_mbq"),
    *("route", "half_life_s"),
)


_WORDS = 22  # columns of words are folded beyond
# What leaves the table first where the terminal is too narrow; doses never do.
_LEAST_FIRST = (
    *("n_pulses", "scanning_length_mm", "pitch", "half_life_s", "exposure_index"),
    *("target_region", "anatomical_structure", "compressed_thickness_mm", "plane"),
    *("exposure_time_s", "exposure_time_ms", "exposure_mas", "tube_current_ma", "started_at"),
    *("kvp_kv", "view", "route", "radionuclide", "acquisition_type", "event_type", "ka_i_mgy"),
)


@cache
def _units() -> dict[str, str]:
    return {c.name: c.unit for c in contract() if c.unit}


def label(name: str) -> str:
    """How a name of the contract is written for people, without its unit."""
    if name in _LABELS:
        return _LABELS[name]
    tail = " " + unit_of(name).replace(".", " ").replace("/", " per ").lower()
    return name.replace("_", " ").removesuffix(tail)


def unit_of(name: str) -> str:
    """Unit of a name of the contract; empty for a plain number or a text."""
    unit = _units().get(name, "")
    return "" if unit == "1" else unit


def show_parts(parts: Sequence[Part], width: int) -> RenderableType:
    """All parts, one block each, in a terminal of `width` columns."""
    return Group(*(_part(part, width) for part in parts))


def _part(part: Part, width: int) -> Panel:
    blocks: list[RenderableType] = [_facts(part), _totals(part)]
    for title, rows, columns in (
        (_counted(len(part.events), "event"), part.events, _COLUMNS),
        ("administrations", part.administrations, _ADMINISTRATION),
    ):
        if rows:
            blocks.append(_rows(title, rows, columns, width))
    if (table := show_computed(part)) is not None:
        blocks.append(table)
    if part.issues:
        blocks.append(_issues(part))
    title = f"{part.modality.value}  {part.study_description or part.procedure_name or ''}"
    return Panel(
        Group(*blocks), title=title.strip(), title_align="left", subtitle=f"part {part.part_key}"
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _facts(part: Part) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    device, patient = part.device, part.patient
    maker = " ".join(w for w in (device.manufacturer, device.model) if w)
    named = device.display_name or device.station_name
    sources = ", ".join(s.kind.value if s.kind else "object" for s in part.sources)
    for name, value in (
        ("start", _text(part.started_at)),
        ("study", part.study_uid),
        ("procedure", part.procedure_name or _text(part.procedure_code)),
        ("device", " · ".join(w for w in (maker, named, device.serial_number) if w)),
        ("patient", _patient(patient.age_y, patient.sex, patient.weight_kg, patient.height_cm)),
        ("read from", f"{sources} ({', '.join(s.file or '?' for s in part.sources)})"),
    ):
        if value:
            grid.add_row(name, Text(value))
    return grid


def _patient(age: float | None, sex: object, weight: float | None, height: float | None) -> str:
    words = [
        f"{age:.3g} years" if age is not None else "age not known",
        _text(sex) or "sex not known",
        f"{weight:.4g} kg" if weight is not None else "",
        f"{height:.4g} cm" if height is not None else "",
    ]
    return ", ".join(w for w in words if w)


def _totals(part: Part) -> Table:
    table = Table(title="totals", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("quantity")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("")
    for name in part.totals.__struct_fields__:
        value = getattr(part.totals, name)
        if isinstance(value, int | float | str | Code):
            note = "computed from the events" if name in part.totals.derived else "as recorded"
            table.add_row(label(name), _text(value), unit_of(name), Text(note, style="dim"))
    return table


def _rows(title: str, rows: Sequence[Any], columns: Iterable[str], width: int) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    used = [c for c in columns if any(getattr(r, c, None) not in (None, ()) for r in rows)]
    shown = _fitting(used, rows, width)
    if left_out := [label(c) for c in used if c not in shown]:
        table.caption = f"in a wider terminal: {', '.join(left_out)}"
        table.caption_justify = "left"
    table.add_column("#", justify="right", style="dim")
    for column in shown:
        is_number = _is_number(column, rows)
        head = Text(f"{label(column)}\n{unit_of(column)}")
        table.add_column(
            head,
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            width=None if is_number else _natural(column, rows),
        )
    for number, row in enumerate(rows):
        table.add_row(str(number), *(_text(getattr(row, c, None)) for c in shown))
    return table


def _is_number(column: str, rows: Sequence[Any]) -> bool:
    return any(isinstance(getattr(r, column, None), int | float) for r in rows)


def _natural(column: str, rows: Sequence[Any]) -> int:
    """How wide a column needs to be; words are folded beyond `_WORDS`."""
    longest = max(len(_text(getattr(r, column, None))) for r in rows)
    if not _is_number(column, rows):
        longest = min(longest, _WORDS)
    return max(longest, len(label(column)), len(unit_of(column)))


def _fitting(used: Sequence[str], rows: Sequence[Any], width: int) -> list[str]:
    """The columns that fit, the most important ones first to stay."""
    kept = list(used)
    for column in _LEAST_FIRST:
        if sum(_natural(c, rows) + 3 for c in kept) + len(str(len(rows))) + 8 <= width:
            break
        if column in kept:
            kept.remove(column)
    return kept


def _issues(part: Part) -> Table:
    table = Table(title="issues", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("severity", "code", "what", "where", "seen"):
        table.add_column(head)
    for issue in part.issues:
        words = (issue.severity.value, issue.code, issue.message, issue.where, issue.seen)
        table.add_row(*(Text(w or "") for w in words))
    return table


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Code):
        return value.meaning or f"{value.scheme}:{value.value}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return ", ".join(_text(v) for v in value)
    return str(getattr(value, "value", value))


def show_identity(identity: Identity) -> RenderableType:
    """Who the exam was of and by whom; only where someone asked for it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in msgspec.to_builtins(identity).items():
        if value:
            grid.add_row(name.replace("_", " "), Text(str(value)))
    return Panel(grid, title="identity", title_align="left", border_style="red")


def find_traces(parts: Sequence[Part], name: str) -> list[tuple[Part, Provenance]]:
    """Where the values called `name` came from.

    Parameters
    ----------
    parts
        Parts as read.
    name
        A name of the contract (`ctdi_vol_mgy`), a place (`events[3].ctdi_vol_mgy`,
        `totals.dlp_total_mgy_cm`) or a pattern (`events[*].kvp_kv`).

    Raises
    ------
    UsageError
        If no value has this name, with the nearest that exist.
    """
    found = [(p, t) for p in parts for t in p.provenance if _is_meant(t.name, name)]
    if not found:
        known = {t.name.rsplit(".", 1)[-1] for p in parts for t in p.provenance}
        raise UsageError(
            f"no value called {name!r} was read",
            where="--trace",
            todo=did_you_mean(name.rsplit(".", 1)[-1], known),
        )
    return found


def _is_meant(place: str, name: str) -> bool:
    # Brackets are places here, not sets of characters.
    pattern = name.replace("[", "[[]")
    return place == name or place.endswith("." + name) or fnmatch.fnmatchcase(place, pattern)


def show_traces(traces: Iterable[tuple[Part, Provenance]]) -> RenderableType:
    """Each value with object, path, value and unit as recorded, conversion and rule."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("name", "path", "recorded", "unit", "× factor", "rule", "object"):
        table.add_column(head, overflow="fold")
    for part, trace in traces:
        source = part.sources[trace.source] if trace.source < len(part.sources) else None
        table.add_row(
            trace.name,
            trace.path,
            Text(trace.recorded),
            trace.unit or "",
            "" if trace.factor is None else f"{trace.factor:g}",
            trace.rule or "",
            (source.file or source.sop_instance_uid or "") if source else "",
        )
    return table


def as_json(parts: Sequence[Part], identities: Sequence[Identity] = ()) -> bytes:
    """Parts as a JSON list with the names of the contract; identities only if given."""
    content = [_builtins(part) for part in parts]
    for part in content:
        if identities:
            part["identity"] = [
                msgspec.to_builtins(i) for i in identities if i.part_key in (part["part_key"], None)
            ]
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def traces_as_json(traces: Iterable[tuple[Part, Provenance]]) -> bytes:
    """Traces as a JSON list."""
    content = [
        {"part_key": part.part_key, **msgspec.to_builtins(trace), "object": _object(part, trace)}
        for part, trace in traces
    ]
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def _object(part: Part, trace: Provenance) -> str | None:
    return part.sources[trace.source].file if trace.source < len(part.sources) else None


def _builtins(part: Part) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(part)
    del content["provenance"]  # ours; `--trace` shows it
    return content
