"""Many exams at a glance: one table a modality, one row an exam part, units in the heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dose_lib.records import Modality, Part

_NARROW = 10  # what a column of words needs to say anything
_CT = (Modality.CT,)
_NUCLEAR = (Modality.NM, Modality.PT)
_BREAST = (Modality.MG,)


class _Column(NamedTuple):
    head: str
    value: Callable[[Part], str]
    width: int = 0  # at most; 0: as wide as its longest value


def show_exams(parts: Sequence[Part], width: int) -> RenderableType:
    """All parts as rows, by modality and start; values as recorded, sums marked by ``Σ``.

    Parameters
    ----------
    width
        Columns of the terminal: words give way to it, numbers do not.
    """
    tables: list[RenderableType] = []
    for modality in Modality:
        of_kind = [p for p in parts if p.modality is modality]
        if of_kind:
            of_kind.sort(key=lambda p: (_start(p), p.part_key))
            tables.append(_table(modality, of_kind, width))
    notes = "CTDIvol: largest of the scans, by phantom. Σ: summed by us, not stated."
    notes += " !: warnings or errors, shown for each file alone."
    return Group(*tables, Text(notes, style="dim"))


def _table(modality: Modality, parts: Sequence[Part], width: int) -> Table:
    noun = "exam" if len(parts) == 1 else "exams"
    table = Table(
        title=f"{modality.value}: {len(parts)} {noun}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    numbers = [c for c in _columns(modality) if any(c.value(p) for p in parts)]
    columns = (_START, *_words(parts, numbers, width), *numbers)
    for column in columns:
        table.add_column(
            column.head,
            justify="right" if column in numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=min(_width(column, parts), column.width or width),
        )
    for part in parts:
        table.add_row(*(Text(column.value(part)) for column in columns))
    return table


def _width(column: _Column, parts: Sequence[Part]) -> int:
    return max(map(len, (*column.head.split("\n"), *(column.value(p) for p in parts))))


def _words(parts: Sequence[Part], numbers: Sequence[_Column], width: int) -> list[_Column]:
    """Device, exam and file, each as wide as what the numbers leave; the file goes first."""
    left = width - sum(_width(c, parts) + 2 for c in (_START, *numbers)) - 1
    wanted = [_Column("device", _device), _Column("exam", _exam), _Column("file", _files)]
    if left < 3 * _NARROW:
        wanted.pop()
    found = []
    for place, column in enumerate(wanted):
        share = max(left // (len(wanted) - place) - 2, _NARROW - 2)
        found.append(column._replace(width=min(share, _width(column, parts))))
        left -= found[-1].width + 2
    return found


def _start(part: Part) -> str:
    at = part.started_at
    return at.strftime("%Y-%m-%d %H:%M") if at else ""


_START = _Column("start", _start)


def _device(part: Part) -> str:
    device = part.device
    return device.display_name or device.station_name or device.model or device.manufacturer or ""


def _exam(part: Part) -> str:
    return part.procedure_name or part.study_description or ", ".join(part.protocol_names[:2])


def _files(part: Part) -> str:
    names = [s.file or s.sop_instance_uid or "?" for s in part.sources]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _total(head: str, name: str) -> _Column:
    is_maximum = "_max_" in name

    def value(part: Part) -> str:
        found = getattr(part.totals, name)
        if found is None:
            return ""
        is_sum = name in part.totals.derived and not is_maximum and len(part.events) > 1
        return f"{'Σ' if is_sum else ''}{found:.4g}"

    return _Column(head, value)


def _events(part: Part) -> str:
    return str(part.totals.n_events or len(part.events))


def _activity(part: Part) -> str:
    found = [a.administered_activity_mbq for a in part.administrations]
    return " + ".join(f"{a:.4g}" for a in found if a is not None)


def _agent(part: Part) -> str:
    codes = [a.radiopharmaceutical or a.radionuclide for a in part.administrations]
    return ", ".join(c.meaning or "" for c in codes if c)


def _marks(part: Part) -> str:
    serious = sum(issue.severity != "info" for issue in part.issues)
    return f"{serious} !" if serious else ""


_COUNT, _MARKS = _Column("events\n", _events), _Column("\n", _marks)


def _columns(modality: Modality) -> tuple[_Column, ...]:
    if modality in _CT:
        return (
            _COUNT,
            _total("CTDIvol\nmGy 16cm", "ctdi_vol_16cm_max_mgy"),
            _total("CTDIvol\nmGy 32cm", "ctdi_vol_32cm_max_mgy"),
            _total("DLP\nmGy.cm", "dlp_total_mgy_cm"),
            _MARKS,
        )
    if modality in _NUCLEAR:
        return (_Column("agent\n", _agent, 18), _Column("activity\nMBq", _activity), _MARKS)
    if modality in _BREAST:
        return (
            _COUNT,
            _total("AGD left\nmGy", "agd_left_mgy"),
            _total("AGD right\nmGy", "agd_right_mgy"),
            _MARKS,
        )
    return (
        _COUNT,
        _total("KAP\nGy.cm2", "kap_gy_cm2"),
        _total("Ka,r\nmGy", "ka_r_mgy"),
        _total("fluoro\ns", "fluoro_time_s"),
        _MARKS,
    )
