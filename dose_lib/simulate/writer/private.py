"""What makers add to the templates: private concepts and XML in comments."""

from __future__ import annotations

from dose_lib.records import Code, Part, TotalsPlane, XRayEvent
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.tree import CONTAINS, Item, Items, number, text

_PHILIPS = "99PHI-IXR-XPER"


def _philips(value: str, meaning: str) -> Code:
    return Code(value, _PHILIPS, meaning)


def _group(value: str, meaning: str, children: Items) -> Items:
    if not children:
        return ()
    return (Item(CONTAINS, "CONTAINER", _philips(value, meaning), children=children),)


def _numbers(event: XRayEvent, rows: tuple[tuple[str, str, str, str], ...]) -> Items:
    return tuple(
        i
        for name, value, meaning, unit in rows
        for i in number(_philips(value, meaning), getattr(event, name), unit)
    )


_COUNTS = (
    ("n_frames", "003", "Number of Frames", "1"),
    ("n_subimages_per_frame", "004", "SubImages per Frame", "1"),
)
_SHUTTERS = (
    ("shutter_bottom_mm", "006", "Bottom Shutter", "mm"),
    ("shutter_left_mm", "007", "Left Shutter", "mm"),
    ("shutter_right_mm", "008", "Right Shutter", "mm"),
    ("shutter_top_mm", "009", "Top Shutter", "mm"),
)
_BEAM = (
    ("beam_longitudinal_mm", "015", "Longitudinal Beam Position", "mm"),
    ("beam_lateral_mm", "016", "Lateral Beam Position", "mm"),
    ("beam_angle_deg", "017", "Beam Angle", "deg"),
)
_ENDS = (
    ("sid_end_mm", "018", "Final Distance Source to Detector", "mm"),
    ("table_cradle_tilt_end_deg", "019", "Final Table Cradle Angle", "deg"),
    ("table_height_end_mm", "020", "Final Table Height Position", "mm"),
    ("table_height_mm", "021", "Table Height Position", "mm"),
)
_DETECTOR = (
    ("detector_field_width_mm", "024", "X side", "mm"),
    ("detector_field_height_mm", "025", "Y side", "mm"),
)


def philips_event(event: XRayEvent) -> Items:
    """Items of `99PHI-IXR-XPER` as Allura and Azurion send them with each event."""
    return (
        *_numbers(event, _COUNTS),
        *_group("005", "Wedges and Shutters", _numbers(event, _SHUTTERS)),
        *_group("014", "Beam Position", _numbers(event, _BEAM)),
        *_numbers(event, _ENDS),
        *_group("023", "Detector Field Size", _numbers(event, _DETECTOR)),
        *_numbers(event, (("object_thickness_mm", "026", "Object Thickness", "mm"),)),
        *text(_philips("029", "Application Name"), event.application),
        *text(_philips("030", "Fluoro Flavour"), event.fluoro_flavour),
    )


def philips_totals(plane: TotalsPlane, part: Part) -> Items:
    """Items that Philips adds to the accumulated data."""
    first = next((e for e in part.events if isinstance(e, XRayEvent)), None)
    isocenter = first.source_isocenter_mm if first else None
    return (
        *number(_philips("001", "Height of System"), plane.system_height_mm, "mm"),
        *number(_philips("002", "Focal Spot to ISO Center"), isocenter, "mm"),
    )


def siemens_comment(event: XRayEvent) -> str | None:
    """The XML that Artis systems put into the comment of a fluoroscopy event."""
    if event.ii_diameter_mm is None:
        return None
    name = (event.acquisition_protocol or "").replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<FluoroData><SceneCounter SRData="{event.ordinal or 0}"/><SceneName SRData="{name}"/>'
        f'<iiDiameter SRData="{event.ii_diameter_mm:g}"/></FluoroData>'
    )


def toshiba_body_parameters(n_images: int) -> Item:
    """The private container that Aquilion scanners append to the root."""
    scheme = "99TOSHIBA-TMSC"
    return Item(
        CONTAINS,
        "CONTAINER",
        Code("99TOST000A-0001", scheme, "Patient Body Parameters"),
        children=text(Code("99TOST000A-0005", scheme, "Total Number of Images"), str(n_images)),
    )


def siemens_effective_dose(effective_dose_msv: float, authority: str) -> Item:
    """The private container that Biograph scanners wrap effective dose in (99SHS 220001)."""
    return Item(
        CONTAINS,
        "CONTAINER",
        Code("220001", "99SHS", "Effective Dose Information"),
        children=number(
            dcm("113839"),
            effective_dose_msv,
            "mSv",
            *text("121406", authority, relation="HAS PROPERTIES"),
        ),
    )
