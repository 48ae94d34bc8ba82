"""Which events of an exam are diagnostic, and which only help to make it."""

from __future__ import annotations

from collections.abc import Iterator

from dose_lib.normalise.lexicon import read_text
from dose_lib.records import CtAcquisitionType, CtEvent, Part

# CTDIvol of a stationary table can read far too high while DLP is right (perfusion, bolus
# tracking); a localiser is a radiograph; free acquisition is CT fluoroscopy.
DIAGNOSTIC_TYPES = (CtAcquisitionType.SPIRAL, CtAcquisitionType.SEQUENCED)


def is_diagnostic(event: CtEvent) -> bool:
    """True for a spiral or sequenced acquisition that is not bolus tracking or timing.

    A spiral counts whatever its name: bolus tracking stands still. A sequenced event, or one
    without a type, counts if its name is not that of a localiser or of bolus tracking.
    """
    if event.is_bolus_tracking or event.acquisition_type == CtAcquisitionType.CONSTANT_ANGLE:
        return False
    if event.acquisition_type not in (None, *DIAGNOSTIC_TYPES):
        return False
    name = event.acquisition_protocol
    if name is None or event.acquisition_type == CtAcquisitionType.SPIRAL:
        return True
    reading = read_text(name)
    helper, image = reading.of_kind("helper_event"), reading.of_kind("anatomy")
    return not helper or ("bolus" not in helper and bool(image))


def diagnostic_events(part: Part) -> Iterator[CtEvent]:
    """CT events of a part that make diagnostic images, in order."""
    return (e for e in part.events if isinstance(e, CtEvent) and is_diagnostic(e))
