"""Colours, marks and the one style sheet that notebook, report and dashboard share.

The colours are those of Okabe and Ito, which people with colour-vision deficiency tell
apart; where a colour carries meaning, a word and a mark carry it too.
"""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, MUTED, RULE = "#1b2733", "#5a6875", "#d9dfe5"

# On a page these follow its light or dark colours; the style sheet defines them.
_ON_PAGE = {INK: "var(--ink)", MUTED: "var(--muted)", BLUE: "var(--blue)"}


def on_page(colour: str) -> str:
    """A colour as HTML writes it, so that a dark page can lighten it."""
    return _ON_PAGE.get(colour, colour)


# Groups of one picture, in this order; each with its own mark, so that print tells them apart.
GROUP_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY, BLACK, YELLOW)
GROUP_MARKS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "cross", "x", "star")
GROUP_GLYPHS = "●■▲◆▼✚✖★"


class Line(NamedTuple):
    """How the line of a reference level is drawn."""

    colour: str
    dash: str


LEVEL_LINES = {
    "national": Line(VERMILLION, "dashed"),
    "local": Line(GREEN, "dotdash"),
    "achievable": Line(PURPLE, "dotted"),
    "european": Line(BLACK, "dashed"),
}


class Mark(NamedTuple):
    """How a status is shown: sign and word, and a tone that repeats them in colour."""

    sign: str
    word: str
    tone: str


STATUS_MARKS = {
    "within": Mark("✓", "Within the level", "good"),
    "optimise": Mark("◐", "Within, optimisation possible", "fair"),
    "exceeds": Mark("▲", "Above the level", "bad"),
    "consistently_exceeds": Mark("▲▲", "Consistently above the level", "bad"),
    "no_verdict": Mark("○", "No verdict", "none"),
}
SEVERITY_MARKS = {
    "critical": Mark("▲▲", "Critical", "bad"),
    "error": Mark("▲▲", "Error", "bad"),
    "high": Mark("▲", "High", "bad"),
    "warning": Mark("▲", "Warning", "fair"),
    "medium": Mark("◐", "Medium", "fair"),
    "low": Mark("●", "Low", "none"),
    "info": Mark("●", "Information", "none"),
}


def mark(status: object) -> Mark:
    """Sign, word and tone of a status or severity; an unknown one is shown as it is."""
    name = str(getattr(status, "value", status))
    found = STATUS_MARKS.get(name) or SEVERITY_MARKS.get(name)
    return found or Mark("●", name.replace("_", " ").capitalize(), "none")


CSS = files("dose_lib.charts").joinpath("doseloop.css").read_text(encoding="utf-8")
DARK_CSS = files("dose_lib.charts").joinpath("dark.css").read_text(encoding="utf-8")
