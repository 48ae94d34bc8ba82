"""What decides one examination before chance does, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from dose_lib.records import Administration, CtEvent, Totals, XRayEvent
from dose_lib.simulate.injections import Changes
from dose_lib.simulate.population import Body
from dose_lib.simulate.scenario import DeviceSpec, Spelling


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One examination as ordered: where, of whom, by whom, under which name.

    Attributes
    ----------
    key
        What the exam's UIDs and chance follow from.
    spelling
        Words of this device on this day for what is recorded.
    is_child_protocol
        Whether the paediatric protocol was chosen.
    changes
        What the scenario's injections change.
    is_size_known
        True where weight and height are recorded for certain.
    """

    key: tuple[object, ...]
    device: DeviceSpec
    spelling: Spelling
    is_child_protocol: bool
    body: Body
    started_at: datetime
    operator: str
    changes: Changes = Changes()
    is_size_known: bool = False

    @property
    def study_description(self) -> str:
        """The study as this device spells it."""
        own = self.spelling.child_study if self.is_child_protocol else None
        return own or self.spelling.study

    @property
    def protocol(self) -> str:
        """The exam protocol as this device spells it."""
        own = self.spelling.child_protocol if self.is_child_protocol else None
        return own or self.spelling.protocol

    @property
    def event_protocol(self) -> str:
        """The acquisition protocol of the diagnostic scan."""
        own = self.spelling.child_event if self.is_child_protocol else None
        return own or self.spelling.event or self.protocol


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What an examination brought forth.

    `values` are further names of `Part`.
    """

    events: tuple[CtEvent, ...] | tuple[XRayEvent, ...] = ()
    administrations: tuple[Administration, ...] = ()
    totals: Totals
    ended_at: datetime
    values: Mapping[str, Any] = {}
