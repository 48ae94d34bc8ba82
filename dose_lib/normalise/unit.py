"""One device behind changing names: the key of the physical unit.

A unit is known by the UID of its observer. After an upgrade that UID may be another one, and
images and radiopharmaceutical reports have none; station names and AE titles change with the
network. Maker, model and serial number stay, so where a serial number tells a unit, it is its
key, whatever else the object says.
"""

from __future__ import annotations

import msgspec

from dose_lib.keys import device_key, is_placeholder_id, normalise_id
from dose_lib.normalise.site import SiteFacts
from dose_lib.records import Device

_SHORTEST_SERIAL = 4


def unit_key(device: Device, site: SiteFacts) -> str | None:
    """Key of the unit a device is; None if nothing identifies it.

    Parameters
    ----------
    device
        As read, with its key.
    site
        Its decisions ``device_link`` join keys that are one unit.
    """
    key = device.device_key
    if _tells_unit(device):
        bare = Device(
            manufacturer=device.manufacturer,
            model=device.model,
            serial_number=device.serial_number,
        )
        key = device_key(bare)
    seen = set[str]()
    while key is not None and key in site.units and key not in seen:
        seen.add(key)
        key = site.units[key]
    return key


def _tells_unit(device: Device) -> bool:
    """True for a serial of four signs or more with a digit, of a known maker and model.

    Placeholders name no unit ("0000", "123456", "unknown").
    """
    serial = normalise_id(device.serial_number)
    is_long = len(serial) >= _SHORTEST_SERIAL and any(c.isdigit() for c in serial)
    has_kind = bool(normalise_id(device.manufacturer) and normalise_id(device.model))
    return is_long and has_kind and not is_placeholder_id(serial)


def with_unit_key(device: Device, site: SiteFacts) -> Device:
    """The device under the key of its unit."""
    key = unit_key(device, site)
    return device if key == device.device_key else msgspec.structs.replace(device, device_key=key)
