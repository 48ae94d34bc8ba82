"""DICOM JSON (PS3.18 annex F): answers to queries, and whole objects without their bulk."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from dose_lib import codes
from dose_lib.errors import PeerError
from pipelines.collect.answer import Attributes
from pipelines.collect.query import READ, TITLE
from pipelines.envelope import part10

_CODE, _SCHEME = "00080100", "00080102"
_PIXEL_GROUP = 0x7FE0
_META_GROUP = 0x0002
_SR = "1.2.840.10008.5.1.4.1.1.88."


class JsonObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object put together from its metadata, as a Part 10 file."""

    data: bytes
    sop_class: str
    sop_instance_uid: str


def read_list(body: bytes, asked: str, where: str) -> list[object]:
    """The rows of a JSON answer; an empty body is no row.

    Raises
    ------
    PeerError
        If it is no JSON list.
    """
    if not body.strip():
        return []
    try:
        rows = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise PeerError(
            f"asked for {asked}; the answer is no JSON ({error})",
            expected="DICOM JSON",
            where=where,
        ) from None
    if not isinstance(rows, list):
        kind = type(rows).__name__
        raise PeerError(f"asked for {asked}; JSON, but a {kind}", expected="a list", where=where)
    return rows


def attributes_of(row: object) -> Attributes | None:
    """The attributes we know of one answer, as texts; None if it is none."""
    if not isinstance(row, dict):
        return None
    return {k: _texts(row, _tag(k)) for k in READ} | {TITLE: _title(row)}


def object_of(row: object, asked: str, where: str) -> JsonObject:
    """An object from its metadata; the pixels of an image and other bulk are left out.

    Parameters
    ----------
    row
        One element of an answer of `/metadata`.
    asked, where
        For messages.

    Raises
    ------
    PeerError
        If it is no data set, names no object, or is a report that refers to bulk elsewhere.
    """
    if where_bulk := _bulk_in_report(row):
        raise PeerError(
            f"asked for {asked}; values that lie elsewhere as bulk ({', '.join(where_bulk[:3])})",
            expected="a whole report",
            where=where,
            todo='Fetch reports as objects: reports_from = "instance" in site/pacs.toml',
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd in a value is the reader's to say
            found = Dataset.from_json(_without_bulk(row), bulk_data_uri_handler=lambda _: None)
            # JSON is UTF-8 whatever the object was before (PS3.18 F.2.1).
            found.SpecificCharacterSet = "ISO_IR 192"
            file = DicomBytesIO()
            file.is_little_endian, file.is_implicit_VR = True, False
            write_dataset(file, found, parent_encoding="utf_8")
            sop_class, uid = str(found.SOPClassUID), str(found.SOPInstanceUID)
    except (AttributeError, KeyError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise PeerError(
            f"asked for {asked}; metadata that is no data set ({type(error).__name__})",
            expected="DICOM JSON",
            where=where,
        ) from None
    data = part10(
        file.getvalue(),
        sop_class=sop_class,
        sop_instance_uid=uid,
        transfer_syntax=ExplicitVRLittleEndian,
    )
    return JsonObject(data=data, sop_class=sop_class, sop_instance_uid=uid)


def _bulk_in_report(row: object) -> list[str]:
    """Tags of a report whose values are not in its metadata; private ones do not count."""
    if not isinstance(row, dict) or not any(
        c.startswith(_SR) for c in _texts(row, _tag("SOPClassUID"))
    ):
        return []
    found, rest = [], [row]
    while rest:
        for tag, element in rest.pop().items():
            if not isinstance(element, dict):
                continue
            is_private = tag[3:4] in "13579BDFbdf"
            if "BulkDataURI" in element and not is_private:
                found.append(tag)
            values = element.get("Value")
            rest += [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
    return found


def _without_bulk(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TypeError(row)
    return {tag: value for tag, value in row.items() if _is_kept(tag, value)}


def _is_kept(tag: str, value: object) -> bool:
    group = int(tag[:4], 16)
    is_bulk = isinstance(value, dict) and "BulkDataURI" in value
    return group not in (_PIXEL_GROUP, _META_GROUP) and not is_bulk


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword) or 0:08X}"


def _texts(row: Mapping[str, object], tag: str) -> list[str]:
    return [str(v).strip() for v in _values(row, tag) if isinstance(v, str | int | float)]


def _values(row: Mapping[str, object], tag: str) -> Sequence[object]:
    element = row.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _title(row: Mapping[str, object]) -> list[str]:
    found = []
    for item in _values(row, _tag(TITLE)):
        if isinstance(item, dict):
            value, scheme = _texts(item, _CODE), _texts(item, _SCHEME)
            if value and scheme:
                found.append(codes.fold(value[0], scheme[0]))
    return found
