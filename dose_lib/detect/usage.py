"""How a device has used its protocols: on adults, on children, with which dose."""

from __future__ import annotations

from typing import NamedTuple

from dose_lib.detect.detector import History
from dose_lib.detect.size import BodySize
from dose_lib.records import CtEvent, Part

_ENOUGH_USES = 20  # exams before a protocol's users are known
_ENOUGH_CHILDREN = 5  # before the device's own children are a yardstick
_ADULT_SHARE = 0.95
_CHILD_SHARE = 0.10
_SIZE_WINDOW = 0.3  # children within 30 % of the weight count as of the same size


class Usage(NamedTuple):
    """What the device's history says of one event.

    Attributes
    ----------
    n_uses, n_adults
        Earlier exams with the same protocol, and how many of them were of adults.
    n_children, n_children_same
        Earlier exams of children of the region, and how many used this protocol.
    child_median_mgy, n_child_doses
        Median CTDIvol of children of about this size, on the same phantom.
    """

    n_uses: int = 0
    n_adults: int = 0
    n_children: int = 0
    n_children_same: int = 0
    child_median_mgy: float | None = None
    n_child_doses: int = 0

    @property
    def is_adult_protocol(self) -> bool:
        """True if adults use this protocol here and children another one."""
        return (
            self.n_uses >= _ENOUGH_USES
            and self.n_adults >= _ADULT_SHARE * self.n_uses
            and self.n_children >= _ENOUGH_CHILDREN
            and self.n_children_same <= _CHILD_SHARE * self.n_children
        )

    def ratio(self, event: CtEvent) -> float | None:
        """CTDIvol of an event over that of children of its size here; None if too few."""
        if self.n_child_doses < _ENOUGH_CHILDREN or not self.child_median_mgy:
            return None
        return None if event.ctdi_vol_mgy is None else event.ctdi_vol_mgy / self.child_median_mgy


def read_usage(
    history: History | None, part: Part, event: CtEvent, size: BodySize, child_age_y: float
) -> Usage:
    """The device's history beside one event; empty without a store or a device key."""
    if history is None or part.device.device_key is None or part.body_region is None:
        return Usage()
    events = history.table("events")
    events = events.filter(
        events.record == "ct_event",
        events.device_key == part.device.device_key,
        events.body_region == part.body_region,
        events.part_key != part.part_key,
        events.age_y.notnull(),
        events.is_patient.fill_null(True),
        events.acquisition_type.isin(("spiral", "sequenced")),
        ~events.is_bolus_tracking.fill_null(False),
    )
    child = events.age_y < child_age_y
    same = (events.acquisition_protocol == event.acquisition_protocol).fill_null(False)
    weight, phantom = size.weight_kg, None if event.phantom is None else event.phantom.value
    alike = (
        child
        & (events.phantom == phantom)
        & events.weight_kg.between((1 - _SIZE_WINDOW) * weight, (1 + _SIZE_WINDOW) * weight)
    ).fill_null(False)
    row = (
        events.aggregate(
            n_uses=events.part_key.nunique(where=same),
            n_adults=events.part_key.nunique(where=same & ~child),
            n_children=events.part_key.nunique(where=child),
            n_children_same=events.part_key.nunique(where=child & same),
            child_median_mgy=alike.ifelse(events.ctdi_vol_mgy, None).quantile(0.5),
            n_child_doses=events.part_key.nunique(where=alike & events.ctdi_vol_mgy.notnull()),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    return Usage(**row)
