"""Callers of the listener: associations, objects on them, plain sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification, XRayRadiationDoseSRStorage

from dose_lib.dicom.requestor import request
from pipelines.receive import Receiver


@contextmanager
def associate(port: int, *, caller: str = "CT1", max_pdu: int = 16382) -> Iterator[Association]:
    entity = AE(caller)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 10
    entity.add_requested_context(Verification)
    entity.add_requested_context(XRayRadiationDoseSRStorage, ExplicitVRLittleEndian)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = request(entity, "127.0.0.1", port, max_pdu=max_pdu, ae_title="DOSELOOP")
    connection = association.dul.socket.socket if association.dul.socket else None
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        if connection is not None:  # pynetdicom leaves it open where we have closed it first
            connection.close()


def send(association: Association, report: Dataset) -> Dataset:
    report.file_meta = Dataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return association.send_c_store(report)


def waiting(receiver: Receiver) -> list[Path]:
    return receiver.spool.waiting()


def connect(receiver: Receiver) -> socket.socket:
    return socket.create_connection(("127.0.0.1", receiver.port), timeout=10)
