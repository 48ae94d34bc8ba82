"""What `dose inspect` computes beside what objects say: size, SSDE, effective dose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from dose_lib import Settings
from dose_lib.derived import derive_part, dose_factors
from dose_lib.normalise import normalise_part, read_site
from dose_lib.records import DerivedValue, Modality, Part, SourceKind
from pipelines.pixels import Pixels
from pipelines.slices import measure

_WORDS = {
    "patient.water_equivalent_diameter_mm": ("water-equivalent diameter", "mm"),
    "totals.ssde_max_mgy": ("largest SSDE", "mGy"),
    "totals.ssde_mean_mgy": ("mean SSDE", "mGy"),
    "totals.effective_dose_msv": ("effective dose", "mSv"),
}
_OF_EVENT = re.compile(r"events\[(\d+)\]\.(ssde_mgy|water_equivalent_diameter_mm)")
_EVENT_WORDS = {
    "ssde_mgy": ("SSDE", "mGy"),
    "water_equivalent_diameter_mm": ("diameter", "mm"),
}


def with_slice(parts: Sequence[Part], path: Path, every: int) -> list[Part]:
    """Parts of one file, with the size of the patient if it is an axial CT image."""
    one = parts[0] if len(parts) == 1 else None
    if one is None or one.modality is not Modality.CT:
        return list(parts)
    if one.sources[0].kind is not SourceKind.IMAGE_HEADER:
        return list(parts)
    sizes = Pixels(every, measure).keep(path.read_bytes()).derived
    return [msgspec.structs.replace(one, derived={**one.derived, **sizes})]


def compute(parts: Sequence[Part], settings: Settings) -> list[Part]:
    """Parts with names and with what we compute, by the site's rules; nothing is looked up."""
    site = read_site(settings)
    factors = dose_factors(settings.effective_dose_factors)
    adult = settings.child_age_y
    return [derive_part(normalise_part(p, site), factors=factors, adult_age_y=adult) for p in parts]


def show_computed(part: Part) -> Table | None:
    """What was computed, each with method, formula and version, or why it was not."""
    rows = [(*words, part.derived[n]) for n, words in _WORDS.items() if n in part.derived]
    for name, value in part.derived.items():
        if found := _OF_EVENT.fullmatch(name):
            word, unit = _EVENT_WORDS[found[2]]
            rows.append((f"{word}, event {found[1]}", unit, value))
    if not rows:
        return None
    table = Table(title="computed", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("quantity")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("how", overflow="fold")
    for quantity, unit, value in rows:
        number = "" if value.value is None else f"{value.value:.4g}"
        table.add_row(quantity, number, unit, Text(_how(value), style="dim"))
    return table


def _how(value: DerivedValue) -> str:
    if value.value is None:
        return f"none: {value.inputs.get('reason')}"
    method, doubt = value.inputs.get("method"), value.inputs.get("in_doubt")
    words = [f"by {str(method).replace('_', ' ')}" if method else "", f"{value.formula}"]
    words += [f"version {value.version}", f"in doubt: {doubt}" if doubt else ""]
    return "; ".join(w for w in words if w)
