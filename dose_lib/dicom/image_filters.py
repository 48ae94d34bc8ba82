"""Filters of projection images, and words of headers that stand for codes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dose_lib.codes import Concept
from dose_lib.dicom import image_fields as f
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attributes
from dose_lib.records import Code, Filter


def known_code(word: str, known: dict[str, Concept]) -> Code:
    """The standard's code for a word of a header, else the word as a meaning."""
    folded = word.strip().upper()
    concept = known.get(folded) or known.get(re.split(r"[\W_\d]", folded)[0])
    return Code(*concept) if concept else Code(meaning=word)


def take_filters(record: Attributes) -> None:
    """Filters: several materials are several filters; min above max is swapped."""
    header = record.data_set
    kinds, materials = header.texts(t.FilterType), header.texts(t.FilterMaterial)
    lows, highs = header.numbers(t.FilterThicknessMinimum), header.numbers(t.FilterThicknessMaximum)
    if not materials and (named := _materials_in(kinds)):
        materials, lows, highs = named
        kinds = ()
    if "filters" in record.values or not (kinds or materials or lows or highs):
        return
    _note_thickness_text(record)
    filters = []
    for place in range(max(len(materials), 1)):
        low = lows[place] if place < len(lows) else None
        high = highs[place] if place < len(highs) else None
        if low is not None and high is not None and low > high:
            record.reading.note(
                "thickness_swapped", record.where(t.FilterThicknessMinimum), f"{low:g} > {high:g}"
            )
            low, high = high, low
        kind = kinds[place] if place < len(kinds) else (kinds[0] if kinds else None)
        filters.append(
            Filter(
                ordinal=place,
                filter_type=known_code(kind, f.FILTER_TYPES) if kind else None,
                material=known_code(materials[place], f.MATERIALS) if materials else None,
                thickness_min_mm=low,
                thickness_max_mm=high,
            )
        )
    tag = next(tag for tag in _FILTER if tag in header)
    record.put("filters", tuple(filters), tag)


_MATERIAL_TYPE = re.compile(r"([A-Z]+)[\s_]*(\d*[.,]?\d+)[\s_]*MM", re.IGNORECASE)


def _materials_in(
    kinds: Sequence[str],
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]] | None:
    """Materials and thicknesses that stand in the filter type: CU_0.2_MM (Siemens Multix)."""
    found = [_MATERIAL_TYPE.fullmatch(kind) for kind in kinds]
    if not found or not all(m and m[1].upper() in f.MATERIALS for m in found):
        return None
    sizes = tuple(float(m[2].replace(",", ".")) for m in found if m)
    return tuple(m[1] for m in found if m), sizes, sizes


_FILTER = (t.FilterMaterial, t.FilterType, t.FilterThicknessMaximum, t.FilterThicknessMinimum)


def _note_thickness_text(record: Attributes) -> None:
    for tag in (t.FilterThicknessMinimum, t.FilterThicknessMaximum):
        record.number(tag)  # leaves an issue where the text is not what the standard allows
