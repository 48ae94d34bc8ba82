"""XML that Siemens systems put into comments, parsed without trusting it.

Expat reads it with document types and entities refused, so that neither expansion bombs
nor external files can do harm.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.parsers import expat

_NOT_XML = None
_PERSON = re.compile(r"(?:physician|operator|patient|person|technologist).*name", re.IGNORECASE)


class UnsafeXmlError(ValueError):
    """The XML declares a document type or entities."""


class XmlComment(NamedTuple):
    """Data of an XML comment: element name -> its `SRData` or text, in order."""

    values: dict[str, str]

    @property
    def text(self) -> str:
        """The comment as people read it, without those it names."""
        named = (f"{n}={v}" for n, v in self.values.items() if not _PERSON.search(n))
        return "; ".join(named)

    @property
    def people(self) -> tuple[str, ...]:
        """Names of persons in it, such as that of the physician."""
        return tuple(v for n, v in self.values.items() if _PERSON.search(n))


def parse_xml_comment(text: str) -> XmlComment | None:
    """The data of an XML comment; None if the text is no XML.

    Raises
    ------
    UnsafeXmlError
        If it declares a document type or entities.
    ValueError
        If it begins like XML and cannot be parsed.
    """
    if not text.lstrip().startswith("<") or not text.rstrip().endswith(">"):
        return _NOT_XML
    values: dict[str, str] = {}
    open_names: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        open_names.append(name)
        data = attributes.get("SRData", "").strip()
        if data:
            values.setdefault(name, data)

    def end(name: str) -> None:
        open_names.pop()

    def characters(data: str) -> None:
        if open_names and data.strip():
            values[open_names[-1]] = values.get(open_names[-1], "") + data.strip()

    def refuse(*_: object) -> int:
        raise UnsafeXmlError("document type or entity")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = parser.UnparsedEntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    return XmlComment(values)
