"""The reference point that an air kerma refers to, by code or in words (CID 10025)."""

from __future__ import annotations

import re

from dose_lib import codes as c
from dose_lib.codes import Concept
from dose_lib.dicom.reading import shown_code
from dose_lib.dicom.record import Fields
from dose_lib.dicom.sr import Node
from dose_lib.records import Code

# Words that arrive, folded to letters and digits; only what says the same as the code.
_IN_WORDS = {
    "15cmbelowbeamisocenter": c.RP_15CM_FROM_ISOCENTER,  # Philips Allura, Azurion
    "15cmfromisocentertowardsource": c.RP_15CM_FROM_ISOCENTER,
    "15cmfromisocentertowardthesource": c.RP_15CM_FROM_ISOCENTER,
    "30cminfrontofimageinputsurface": c.RP_30CM_IN_FRONT_OF_IMAGE_SURFACE,
    "1cmabovetabletop": c.RP_1CM_ABOVE_TABLETOP,
    "30cmabovetabletop": c.RP_30CM_ABOVE_TABLETOP,
    "15cmfromtablecenterline": c.RP_15CM_FROM_TABLE_CENTERLINE,
    "indetectorplane": c.RP_IN_DETECTOR_PLANE,
    "atsurfaceofpatient": c.RP_AT_SURFACE_OF_PATIENT,
    "100cmfromxraysource": c.RP_100CM_FROM_SOURCE,
}


def known_point(text: str) -> Concept | None:
    """The reference point that words name; None if they name none of the standard's."""
    return _IN_WORDS.get(re.sub(r"[\W_]", "", text).casefold())


def take_reference_point(record: Fields, node: Node) -> None:
    """Handler: a code as it is; words as they are, and as a code where they name one."""
    if node.coded[0]:
        code = record.code(node)
        if "reference_point" not in record.values and code is not None:
            record.put("reference_point", code, node, recorded=shown_code(code))
        return
    text = record.text(node)
    if text is None or "reference_point_text" in record.values:
        return
    record.put("reference_point_text", text, node, recorded=text)
    if (known := known_point(text)) and "reference_point" not in record.values:
        record.put("reference_point", Code(*known), node, recorded=text)
