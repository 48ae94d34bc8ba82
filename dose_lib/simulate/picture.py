"""A picture of a day: every exam of every unit on a clock, what was injected marked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from html import escape

from dose_lib.simulate.exam import Exam
from dose_lib.simulate.hospital import Hospital

# Okabe and Ito's palette: told apart by readers with any colour vision.
_COLOURS = {
    "CT": "#0072b2",
    "DX": "#009e73",
    "RF": "#e69f00",
    "XA": "#d55e00",
    "MG": "#cc79a7",
    "NM": "#56b4e9",
    "PT": "#56b4e9",
}
_LEFT, _TOP, _ROW, _HOUR = 118, 44, 22, 34


def picture_of_day(hospital: Hospital, day: date) -> str:
    """An SVG of one day: a row a unit, a bar an exam, from midnight to midnight.

    Bars are as long as the exposure lasts (at least two minutes), outlined where no patient
    was exposed, with a black mark where something was injected.
    """
    exams = hospital.exams_on(day)
    units = [d.alias for d in hospital.scenario.devices]
    width, height = _LEFT + 24 * _HOUR + 16, _TOP + _ROW * len(units) + 30
    bars = [_bar(e, _TOP + _ROW * units.index(e.device.alias)) for e in exams]
    title = f"{hospital.scenario.title}: {day:%A %d %B %Y}, {len(exams)} exams"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="11">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
            f'<text x="8" y="18" font-size="13">{escape(title)}</text>',
            *_hours(len(units)),
            *_rows(units),
            *bars,
            *_legend(exams, height),
            "</svg>\n",
        )
    )


def _x(moment: datetime) -> float:
    hours = moment.hour + moment.minute / 60.0 + moment.second / 3600.0
    return _LEFT + hours * _HOUR


def _hours(n_units: int) -> list[str]:
    bottom = _TOP + _ROW * n_units
    made = []
    for hour in range(0, 25, 3):
        x = _LEFT + hour * _HOUR
        made.append(f'<line x1="{x}" y1="{_TOP - 4}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        made.append(f'<text x="{x}" y="{_TOP - 8}" text-anchor="middle" fill="#555">{hour}</text>')
    return made


def _rows(units: Sequence[str]) -> list[str]:
    return [
        f'<text x="{_LEFT - 8}" y="{_TOP + _ROW * n + 15}" text-anchor="end">{escape(alias)}</text>'
        for n, alias in enumerate(units)
    ]


def _bar(exam: Exam, y: float) -> str:
    x = _x(exam.started_at)
    ended = exam.part.ended_at or exam.started_at
    minutes = max(2.0, (ended - exam.started_at).total_seconds() / 60.0)
    width = min(minutes / 60.0 * _HOUR, _LEFT + 24 * _HOUR - x)
    colour = _COLOURS[exam.part.modality.value]
    fill = colour if exam.is_patient else "none"
    bar = (
        f'<rect x="{x:.1f}" y="{y + 5}" width="{width:.1f}" height="{_ROW - 9}" '
        f'fill="{fill}" stroke="{colour}"/>'
    )
    if not any(t.is_problem for t in exam.truths):
        return bar
    middle = x + width / 2.0
    return f'{bar}<path d="M{middle - 4:.1f} {y - 1} h8 l-4 6 z" fill="black"/>'


def _legend(exams: Sequence[Exam], height: float) -> list[str]:
    seen = dict.fromkeys(e.part.modality.value for e in exams)
    made, x = [], float(_LEFT)
    for name in (n for n in _COLOURS if n in seen):
        made.append(
            f'<rect x="{x}" y="{height - 18}" width="10" height="10" fill="{_COLOURS[name]}"/>'
            f'<text x="{x + 14}" y="{height - 9}">{name}</text>'
        )
        x += 48
    made.append(
        f'<path d="M{x} {height - 18} h8 l-4 6 z" fill="black"/>'
        f'<text x="{x + 14}" y="{height - 9}">something was injected</text>'
    )
    return made
