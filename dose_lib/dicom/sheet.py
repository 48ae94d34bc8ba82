"""A structured report being read: its tree and what its header says that the tree needs."""

from __future__ import annotations

from typing import NamedTuple

from dose_lib.dicom.dialects import Maker
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.identify import ObjectHead
from dose_lib.dicom.sr import Node
from dose_lib.records import SourceKind

_DOSE_CLASSES = {SourceKind.RDSR: "67", SourceKind.RRDSR: "68", SourceKind.P_RDSR: "73"}


class Sheet(NamedTuple):
    """A report being read."""

    root: Node
    header: DataSet
    head: ObjectHead
    maker: Maker


def stand_in_uid(head: ObjectHead) -> str:
    """What stands in for the UID of events that have none."""
    return head.sop_instance_uid or head.series_uid or "event"


def kind_of(head: ObjectHead, kind: SourceKind = SourceKind.RDSR) -> SourceKind:
    """An X-ray dose report in another SR class than its own ranks below one in its own."""
    number = _DOSE_CLASSES.get(kind)
    if kind is not SourceKind.RDSR or head.sop_class is None:
        return kind
    return kind if head.sop_class.endswith(f".88.{number}") else SourceKind.ESR
