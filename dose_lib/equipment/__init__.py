"""Units of the department: one unit behind changing names, its versions and its services."""

from __future__ import annotations

from dose_lib.equipment.decide import join_devices, log_event, name_device
from dose_lib.equipment.timeline import device_timeline, find_device, list_devices

__all__ = [
    "device_timeline",
    "find_device",
    "join_devices",
    "list_devices",
    "log_event",
    "name_device",
]
