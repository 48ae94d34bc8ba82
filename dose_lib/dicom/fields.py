"""How a content item becomes a value: one line a concept, in tables that readers share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from dose_lib import codes as c
from dose_lib.codes import Concept
from dose_lib.records import CtAcquisitionType, Laterality, Phantom, Plane, XRayEventType


class Kind(Enum):
    """What a content item holds; TEXT is free text, WORD one that is kept as it is."""

    NUMBER = auto()
    COUNT = auto()
    CODE = auto()
    CODES = auto()
    CHOICE = auto()
    TEXT = auto()
    TEXTS = auto()
    WORD = auto()
    UIDS = auto()
    TIME = auto()


class Field(NamedTuple):
    """A name of the contract and how its value is read."""

    name: str
    kind: Kind
    unit: str = ""
    choices: Mapping[str, Any] = {}


Table = dict[str, Field]


def numbers(unit: str, **names: Concept) -> Table:
    """Fields of numbers in one unit: name = concept."""
    return {concept.key: Field(name, Kind.NUMBER, unit) for name, concept in names.items()}


def fields(kind: Kind, **names: Concept) -> Table:
    """Fields of one kind without a unit: name = concept."""
    return {concept.key: Field(name, kind) for name, concept in names.items()}


def choice(name: str, concept: Concept, choices: Mapping[str, Any]) -> Table:
    """A field whose value is one of a closed set."""
    return {concept.key: Field(name, Kind.CHOICE, choices=choices)}


YES_NO = {c.YES.key: True, c.NO.key: False}
PLANES = {
    c.SINGLE_PLANE.key: Plane.SINGLE,
    c.PLANE_A.key: Plane.A,
    c.PLANE_B.key: Plane.B,
    c.ALL_PLANES.key: Plane.ALL,
}
PHANTOMS = {
    c.HEAD_PHANTOM_16CM.key: Phantom.HEAD_16CM,
    c.BODY_PHANTOM_32CM.key: Phantom.BODY_32CM,
    c.PHANTOM_10CM.key: Phantom.SMALL_10CM,
    c.PHANTOM_NEMA_XR21.key: Phantom.NEMA_XR21,
}
CT_TYPES = {
    c.SEQUENCED_ACQUISITION.key: CtAcquisitionType.SEQUENCED,
    c.SPIRAL_ACQUISITION.key: CtAcquisitionType.SPIRAL,
    c.CONSTANT_ANGLE_ACQUISITION.key: CtAcquisitionType.CONSTANT_ANGLE,
    c.CT_STATIONARY_ACQUISITION.key: CtAcquisitionType.STATIONARY,
    c.FREE_ACQUISITION.key: CtAcquisitionType.FREE,
    c.CONE_BEAM_ACQUISITION.key: CtAcquisitionType.CONE_BEAM,
}
EVENT_TYPES = {
    c.FLUOROSCOPY.key: XRayEventType.FLUOROSCOPY,
    c.STATIONARY_ACQUISITION.key: XRayEventType.STATIONARY,
    c.STEPPING_ACQUISITION.key: XRayEventType.STEPPING,
    c.ROTATIONAL_ACQUISITION.key: XRayEventType.ROTATIONAL,
}
SIDES = {
    c.LEFT.key: Laterality.LEFT,
    c.LEFT_BREAST.key: Laterality.LEFT,
    c.RIGHT.key: Laterality.RIGHT,
    c.RIGHT_BREAST.key: Laterality.RIGHT,
    c.BILATERAL.key: Laterality.BOTH,
    c.BOTH_BREASTS.key: Laterality.BOTH,
    c.UNILATERAL.key: Laterality.UNILATERAL,
}

# Words of consoles for the values of closed sets, folded: asked where the code is none.
OTHER_WORDS: Mapping[object, tuple[str, ...]] = {
    CtAcquisitionType.SPIRAL: ("spiral", "helical", "helix", "spirale"),
    CtAcquisitionType.SEQUENCED: ("sequenced", "sequence", "sequential", "axial", "sequenz"),
    CtAcquisitionType.CONSTANT_ANGLE: (
        *("constantangle", "localizer", "localiser", "scout", "topogram", "surview"),
        *("scanogram", "scanoscope", "scoutview"),
    ),
    CtAcquisitionType.STATIONARY: ("stationary",),
    CtAcquisitionType.FREE: ("free",),
    CtAcquisitionType.CONE_BEAM: ("conebeam", "cbct"),
    XRayEventType.FLUOROSCOPY: ("fluoro",),
    XRayEventType.STATIONARY: ("stationary",),
    XRayEventType.STEPPING: ("stepping",),
    XRayEventType.ROTATIONAL: ("rotational",),
    Phantom.HEAD_16CM: ("head", "head16cm", "16cm", "headphantom", "headphantom16cm", "iechead"),
    Phantom.BODY_32CM: ("body", "body32cm", "32cm", "bodyphantom", "bodyphantom32cm", "iecbody"),
    Plane.SINGLE: ("single",),
    Plane.A: ("a", "frontal"),
    Plane.B: ("b", "lateral"),
    Plane.ALL: ("all",),
    Laterality.LEFT: ("l",),
    Laterality.RIGHT: ("r",),
    Laterality.BOTH: ("b", "both"),
}

# Repeated and rejected acquisitions stand alike in TID 10003, 10013 and 10042.
REPEATS: Table = {
    **choice("is_repeated", c.IS_REPEATED_ACQUISITION, YES_NO),
    **choice("is_rejected", c.IS_REJECTED_ACQUISITION, YES_NO),
    **fields(
        Kind.CODE,
        repeat_reason=c.REASON_FOR_REPEATING_ACQUISITION,
        reject_reason=c.REASON_FOR_REJECTING_ACQUISITION,
    ),
}
LABELS: Table = {
    **fields(Kind.TEXT, label=c.IRRADIATION_EVENT_LABEL),
    **fields(Kind.CODE, label_type=c.LABEL_TYPE),
}
