"""What is known of one child's scan before it is judged."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from dose_lib.detect.size import BodySize
from dose_lib.detect.usage import Usage
from dose_lib.detect.yardstick import Measure
from dose_lib.normalise import Audience, AudienceReading
from dose_lib.records import CtEvent, Part


class Confidence(StrEnum):
    """How sure the finding is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Case(NamedTuple):
    """What is known of one child's scan.

    Attributes
    ----------
    part, event
        The exam and its telling event.
    size
        How large the child is for a protocol.
    audience
        Whom the protocols' names say they are for.
    measure
        The dose beside the yardstick, if it can be measured.
    usage
        What the device's history says.
    """

    part: Part
    event: CtEvent
    size: BodySize
    audience: AudienceReading
    measure: Measure | None
    usage: Usage

    @property
    def ratio(self) -> float | None:
        """CTDIvol over the yardstick."""
        return None if self.measure is None else self.measure.ratio

    @property
    def is_named_adult(self) -> bool:
        """True if the names say adult, or the device uses the protocol for adults only."""
        return self.audience.audience is Audience.ADULT or self.usage.is_adult_protocol
