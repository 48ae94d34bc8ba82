"""One object being read: what is found, where it stood, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timezone
from typing import Any

import msgspec

from dose_lib.dicom.issues import KINDS
from dose_lib.dicom.sr import Node
from dose_lib.keys import staff_key
from dose_lib.records import Code, Device, Extra, IdentifyingText, Issue, Provenance, Staff

# Provenance shows where a name stood, never the name.
HIDDEN = "(in the identity vault)"


def shown_code(code: Code) -> str:
    """A code as provenance shows it."""
    return f"({code.value}, {code.scheme}, {code.meaning})"


class Reading:
    """State of reading one object.

    Attributes
    ----------
    zone
        Time zone of the object (0008,0201), for times that name none.
    clean
        Takes identifiers out of a free text; see `dose_lib.dicom.identity`.
    devices
        Device participants (TID 1021) met in events and totals.
    identity
        Names of `Identity` met in the content, such as a prescription identifier.
    """

    def __init__(
        self,
        *,
        site_key: bytes | None = None,
        zone: timezone | None = None,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self.site_key = site_key
        self.zone = zone
        self._clean = clean
        self.issues: list[Issue] = []
        self.provenance: list[Provenance] = []
        self.extras: list[Extra] = []
        self.staff: list[Staff] = []
        self.texts: list[IdentifyingText] = []
        self.rules: dict[str, None] = {}  # an ordered set
        self.devices: list[Device] = []
        self.identity: dict[str, Any] = {}

    def note(
        self, code: str, where: str | None, seen: str | None = None, rule: str | None = None
    ) -> None:
        """Leave an issue; `code` is one of `dose_lib.dicom.issues.KINDS`."""
        kind = KINDS[code]
        self.issues.append(
            Issue(
                code=code,
                severity=kind.severity,
                where=where,
                seen=seen,
                message=kind.message,
                source=0,
                rule=rule,
            )
        )

    def trace(
        self,
        name: str,
        path: str,
        recorded: str,
        *,
        unit: str | None = None,
        factor: float | None = None,
        rule: str | None = None,
    ) -> None:
        """Remember where the value of a contract name stood."""
        self.provenance.append(
            Provenance(
                name=name,
                source=0,
                path=path,
                recorded=recorded,
                unit=unit,
                factor=factor,
                rule=rule,
            )
        )

    def cleaned(self, text: str, where: str) -> str:
        """A free text without identifiers; the text as it was goes to the identity."""
        if self._clean is None:
            return text
        cleaned = self._clean(text)
        if cleaned != text:
            self.texts.append(IdentifyingText(where=where, text=text))
            self.note("identifier_in_text", where)
        return cleaned

    def add_staff(self, staff: Staff) -> str | None:
        """Remember a person; returns the pseudonymous key, None without a site key."""
        key = None
        if self.site_key is not None:
            key = staff_key(self.site_key, staff.staff_name, staff.staff_id)
        self.staff.append(msgspec.structs.replace(staff, staff_key=key))
        return key

    def keep_extra(self, node: Node) -> None:
        """Keep a content item that has no name in the model."""
        if node.is_taken:
            return
        value = node.value
        if node.value_type == "CODE":
            value = node.coded[1].meaning or node.coded[1].value
        elif node.references:
            value = "\\".join(node.references)
        path = node.path
        if node.value_type == "PNAME":
            if value:
                self.add_staff(Staff(staff_name=value, staff_where=path))
            value = HIDDEN
        elif value and node.value_type in ("TEXT", "CODE"):
            value = self.cleaned(value, path)
        name = node.name
        self.extras.append(
            Extra(
                path=path,
                code=name.value,
                scheme=name.scheme,
                meaning=name.meaning,
                value_type=node.value_type,
                value=value,
                unit=node.unit,
            )
        )
