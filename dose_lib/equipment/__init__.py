"""Units of the department: one unit behind changing names, its versions and its services."""

from __future__ import annotations

from dose_lib.equipment.decide import join_devices, log_event, name_device
from dose_lib.equipment.timeline import device_timeline, find_device, list_devices
from dose_lib.equipment.twins import Match, Twin, decide_twin, find_twins, link_sure_twins

__all__ = [
    "Match",
    "Twin",
    "decide_twin",
    "device_timeline",
    "find_device",
    "find_twins",
    "join_devices",
    "link_sure_twins",
    "list_devices",
    "log_event",
    "name_device",
]
