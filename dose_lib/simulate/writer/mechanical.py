"""Mechanical data of a projection event (PS3.16 TID 10003C, CID 10008)."""

from __future__ import annotations

from dose_lib.records import XRayEvent
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.tree import Items, coded, number, unmeasured

# Contract name -> concept.
ANGLES = {
    "primary_angle_deg": "112011",
    "secondary_angle_deg": "112012",
    "primary_end_angle_deg": "113739",
    "secondary_end_angle_deg": "113740",
    "column_angulation_deg": "113770",
    "table_head_tilt_deg": "113754",
    "table_horizontal_rotation_deg": "113755",
    "table_cradle_tilt_deg": "113756",
    "isocenter_primary_angle_deg": "128757",
    "isocenter_secondary_angle_deg": "128758",
    "isocenter_detector_rotation_deg": "128759",
    "isocenter_primary_end_angle_deg": "128760",
    "isocenter_secondary_end_angle_deg": "128761",
    "isocenter_detector_rotation_end_deg": "128762",
    "table_head_tilt_end_deg": "128763",
    "table_horizontal_rotation_end_deg": "128764",
    "table_cradle_tilt_end_deg": "128765",
}
DISTANCES = {
    "source_isocenter_mm": "113748",
    "source_reference_point_mm": "113737",
    "sid_mm": "113750",
    "source_table_mm": "113792",
    "table_longitudinal_mm": "113751",
    "table_lateral_mm": "113752",
    "table_height_mm": "113753",
    "table_longitudinal_end_mm": "113759",
    "table_lateral_end_mm": "113760",
    "table_height_end_mm": "113761",
    "table_x_isocenter_mm": "128766",
    "table_y_isocenter_mm": "128767",
    "table_z_isocenter_mm": "128768",
    "table_x_isocenter_end_mm": "128769",
    "table_y_isocenter_end_mm": "128770",
    "table_z_isocenter_end_mm": "128771",
}
# Where Philips' own concepts stand instead of the standard's (99PHI-IXR-XPER).
_PHILIPS_OWN = frozenset({"table_height_mm", "table_height_end_mm", "table_cradle_tilt_end_deg"})


def mechanical(event: XRayEvent, dialect: Dialect) -> Items:
    """TID 10003C: configuration, angles, compression, distances."""
    skip = _PHILIPS_OWN if dialect.private == "philips" else frozenset()
    found: list[Items] = [coded("113956", event.mechanical_configuration)]
    for unit, table in (("deg", ANGLES), ("mm", DISTANCES)):
        for name, concept in table.items():
            value = getattr(event, name)
            if value is None and concept in dialect.missing:
                found.append(unmeasured(concept, dialect.missing[concept]))
            elif name not in skip:
                found.append(number(concept, value, unit))
    found.append(number("111633", event.compressed_thickness_mm, "mm"))
    return tuple(i for items in found for i in items)
