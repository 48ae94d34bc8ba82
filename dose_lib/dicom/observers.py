"""Who and what made a report: observers (TID 1002 to 1004) and participants (TID 1020, 1021)."""

from __future__ import annotations

from collections.abc import Iterable

from dose_lib import codes as c
from dose_lib.dicom.fields import Kind, Table, fields
from dose_lib.dicom.identity import PERFORMING
from dose_lib.dicom.reading import Reading, shown_code
from dose_lib.dicom.record import Fields
from dose_lib.dicom.sr import Node
from dose_lib.records import Code, Device, Staff

OBSERVER_DEVICE: Table = {
    **fields(Kind.WORD, device_observer_uid=c.DEVICE_OBSERVER_UID),
    **fields(
        Kind.WORD,
        name=c.DEVICE_OBSERVER_NAME,
        manufacturer=c.DEVICE_OBSERVER_MANUFACTURER,
        model=c.DEVICE_OBSERVER_MODEL_NAME,
        serial_number=c.DEVICE_OBSERVER_SERIAL_NUMBER,
        location=c.DEVICE_OBSERVER_PHYSICAL_LOCATION_DURING_OBSERVATION,
        station_ae_title=c.STATION_AE_TITLE,
    ),
    **fields(Kind.CODE, role=c.DEVICE_ROLE_IN_PROCEDURE, observer_type=c.OBSERVER_TYPE),
}
PARTICIPANT_DEVICE: Table = {
    **fields(Kind.WORD, device_observer_uid=c.DEVICE_OBSERVER_UID),
    **fields(
        Kind.WORD,
        name=c.DEVICE_NAME,
        manufacturer=c.DEVICE_MANUFACTURER,
        model=c.DEVICE_MODEL_NAME,
        serial_number=c.DEVICE_SERIAL_NUMBER,
    ),
}
# Both templates name a person by PNAME; TEXT stands in for it in some (Spectrum Dynamics).
_PERSON = {
    c.PERSON_ID.key: "staff_id",
    c.IDENTIFIER_WITHIN_PERSON_OBSERVER_ROLE.key: "staff_id",
    c.PERSON_ID_ISSUER.key: "staff_id_issuer",
    c.PERSON_OBSERVER_LOGIN_NAME.key: "staff_login",
    c.ORGANIZATION_NAME.key: "staff_organization",
    c.PERSON_OBSERVER_ORGANIZATION_NAME.key: "staff_organization",
}
_PERSON_ROLES = {
    c.PERSON_ROLE_IN_ORGANIZATION.key: "staff_role_in_organization",
    c.PERSON_OBSERVER_ROLE_IN_THE_ORGANIZATION.key: "staff_role_in_organization",
    c.PERSON_ROLE_IN_PROCEDURE.key: "staff_role_in_procedure",
    c.PERSON_OBSERVER_ROLE_IN_THIS_PROCEDURE.key: "staff_role_in_procedure",
}
_OBSERVER_PERSON = {c.PERSON_OBSERVER_NAME.key, *_PERSON, *_PERSON_ROLES}
_TYPE, _ROLE = c.OBSERVER_TYPE.key, c.DEVICE_ROLE_IN_PROCEDURE.key
_NAME = c.PERSON_OBSERVER_NAME.key
# Roles that are not the source of the radiation.
_OTHER_ROLES = {c.XRAY_READING_DEVICE.key, c.RECORDING.key}


def _person_values(nodes: Iterable[Node]) -> dict[str, str | Code]:
    found: dict[str, str | Code] = {}
    for node in nodes:
        if name := _PERSON.get(node.key):
            node.is_taken = True
            if node.value:
                found.setdefault(name, node.value)
        elif name := _PERSON_ROLES.get(node.key):
            node.is_taken = True
            if node.coded[0]:
                found.setdefault(name, node.coded[1])
        found = _person_values(node.children) | found
    return found


def read_person(reading: Reading, node: Node, role: Code | None = None) -> str | None:
    """A person participant (TID 1020); returns the pseudonymous key.

    Parameters
    ----------
    role
        Role in the procedure where the content item itself implies it.
    """
    node.is_taken = True
    values = _person_values(node.children)
    if role is not None:
        values.setdefault("staff_role_in_procedure", role)
    if not node.value and not values.get("staff_id"):
        return None
    return reading.add_staff(
        Staff(staff_name=node.value, staff_where=node.path, **values)  # type: ignore[arg-type]
    )


def take_person(record: Fields, node: Node) -> None:
    """Handler: a person named at an event gives its `operator_key`."""
    role = PERFORMING if node.key in _PERFORMING else None
    key = read_person(record.reading, node, role)
    if key is not None:
        record.values.setdefault("operator_key", key)


_PERFORMING = {c.PERFORMING_PHYSICIAN.key, c.PHILIPS_PERFORMING_PHYSICIAN.key}
PEOPLE = dict.fromkeys((c.PERSON_NAME.key, c.PERSON_OBSERVER_NAME.key, *_PERFORMING), take_person)


def read_device(reading: Reading, node: Node) -> Device:
    """A device participant (TID 1021): its role, and what is said of it below."""
    node.is_taken = True
    record = Fields(reading, f"other_devices[{len(reading.devices)}].")
    record.read(node.children, PARTICIPANT_DEVICE, {})
    role = node.coded[1] if node.coded[0] else None
    if role is not None:
        reading.trace(f"{record.prefix}role", node.path, shown_code(role))
    return Device(role=role, **record.values)


def take_device(record: Fields, node: Node) -> None:
    """Handler: a device participant of an event or an accumulated container."""
    record.reading.devices.append(read_device(record.reading, node))


def is_irradiating(device: Device) -> bool:
    """False for a device that says it is another: reading, recording."""
    if device.role is None:
        return True
    return c.fold(device.role.value, device.role.scheme) not in _OTHER_ROLES


def read_observers(reading: Reading, root: Node) -> list[Device]:
    """Device observers of a report, in order; persons among the observers become staff.

    An observer begins with its type (121005), else where an item of it comes again.
    """
    devices: list[Device] = []
    record = Fields(reading, "device.")
    person: list[Node] = []
    for node in root.children:
        key = node.key
        if key in OBSERVER_DEVICE and not (key == _ROLE and node.children):
            name = OBSERVER_DEVICE[key].name
            if key == _TYPE or name in record.values:
                _close(devices, record)
                record = Fields(
                    reading, f"other_devices[{len(devices)}]." if devices else "device."
                )
            record.take(node, OBSERVER_DEVICE[key])
        elif key in _OBSERVER_PERSON:
            if key == _NAME and person:
                _add_person(reading, person)
                person = []
            person.append(node)
    _close(devices, record)
    if person:
        _add_person(reading, person)
    return devices


def _close(devices: list[Device], record: Fields) -> None:
    kind = record.values.get("observer_type")
    is_person = kind is not None and c.fold(kind.value, kind.scheme) == c.PERSON.key
    if set(record.values) - {"observer_type"} and not is_person:
        devices.append(Device(**record.values))


def _add_person(reading: Reading, nodes: list[Node]) -> None:
    names = [n for n in nodes if n.key == _NAME]
    values = _person_values(nodes)
    for node in nodes:
        node.is_taken = True
    name = names[0].value if names else None
    if name or values:
        reading.add_staff(
            Staff(staff_name=name, staff_where=nodes[0].path, **values)  # type: ignore[arg-type]
        )
