"""Persons and devices that took part (PS3.16 TID 1002, 1004, 1020, 1021)."""

from __future__ import annotations

from collections.abc import Iterable

from dose_lib.records import Code, Device, Identity, Staff
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.tree import CONTAINS, OBS, PROP, Item, Items, coded, text, uid

ADMINISTERING = dcm("113851")
AUTHORIZING = dcm("113850")


def observer(device: Device) -> Items:
    """The device that reports, as observer (TID 1002, 1004)."""
    return (
        *coded("121005", dcm("121007"), relation=OBS),
        *uid("121012", device.device_observer_uid, OBS),
        *text("121013", device.name, relation=OBS),
        *text("121014", device.manufacturer, relation=OBS),
        *text("121015", device.model, relation=OBS),
        *text("121016", device.serial_number, relation=OBS),
        *text("121017", device.location, relation=OBS),
    )


def irradiating_device(device: Device) -> Items:
    """The device that irradiated, as participant (TID 1021)."""
    if device.manufacturer is None or device.model is None:
        return ()
    return coded(
        "113876",
        device.role or dcm("113859"),
        *text("113877", device.name, relation=PROP),
        *text("113878", device.manufacturer, relation=PROP),
        *text("113879", device.model, relation=PROP),
        *text("113880", device.serial_number, relation=PROP),
        *uid("121012", device.device_observer_uid, PROP),
    )


def person(staff: Staff, role: Code) -> Item:
    """One person as participant (TID 1020)."""
    in_organization = staff.staff_role_in_organization
    return Item(
        CONTAINS,
        "PNAME",
        dcm("113870"),
        staff.staff_name or "",
        None,
        None,
        (
            *coded("113875", role, relation=PROP),
            *text("113871", staff.staff_id, relation=PROP),
            *text("113872", staff.staff_id_issuer, relation=PROP),
            *text("113873", staff.staff_organization, relation=PROP),
            *coded("113874", in_organization, relation=PROP),
        ),
    )


def of_role(identity: Identity, role: Code) -> Iterable[Staff]:
    """Members of staff with a role in the procedure."""
    return (
        s
        for s in identity.staff
        if s.staff_role_in_procedure is not None and s.staff_role_in_procedure.value == role.value
    )


def persons(identity: Identity, role: Code) -> Items:
    """Everybody with a role in the procedure, as participants."""
    return tuple(person(s, role) for s in of_role(identity, role))
