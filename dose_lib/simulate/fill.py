"""Fills a store with simulated exams: records straight in, for benchmarks at scale."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from dose_lib.errors import SimulationError
from dose_lib.simulate.as_read import as_read
from dose_lib.simulate.exam import Exam
from dose_lib.simulate.hospital import Hospital
from dose_lib.store import Incoming, Store

_BATCH = 2000
_ROUTE = "simulated"
# Size of a typical report: the ledger shows one for objects that were never written.
_TYPICAL_BYTES = 20_000


class FillResult(msgspec.Struct, frozen=True, kw_only=True):
    """How much went in, and how fast."""

    n_exams: int
    n_objects: int
    seconds: float


def fill_store(
    hospital: Hospital,
    store: Store,
    *,
    site_key: bytes | None = None,
    batch: int = _BATCH,
    on_day: Callable[[int], None] | None = None,
) -> FillResult:
    """Commit the exams of a hospital as if each had been received and read.

    Memory stays that of one batch, whatever the length of the run.

    Parameters
    ----------
    hospital
        Where the exams come from.
    store
        An open store; the caller owns it.
    site_key
        Key of the pseudonyms; without it patients and staff have none.
    batch
        Exams a transaction.
    on_day
        Called with the number of days that were begun.

    Raises
    ------
    SimulationError
        If the store holds objects that were received: simulated exams stay apart from them.
    """
    if store.sql("SELECT 1 FROM object WHERE route <> ? LIMIT 1", [_ROUTE]):
        raise SimulationError(
            "the store holds received objects",
            expected="a store that is empty or simulated",
            where=str(store.settings.store_file),
            todo="Choose another home folder",
        )
    zone = ZoneInfo(hospital.scenario.timezone)
    began, n_exams, n_objects = time.monotonic(), 0, 0
    exams = hospital.exams()
    while chunk := list(islice(exams, batch)):
        incoming = [i for exam in chunk for i in _incoming(exam, zone, site_key)]
        store.commit(incoming)
        n_exams += len(chunk)
        n_objects += len(incoming)
        if on_day is not None:
            on_day((chunk[-1].started_at.date() - hospital.start).days + 1)
    return FillResult(n_exams=n_exams, n_objects=n_objects, seconds=time.monotonic() - began)


def _incoming(exam: Exam, zone: ZoneInfo, site_key: bytes | None) -> Iterator[Incoming]:
    for report in exam.reports:
        part = report.part
        source = part.sources[0]
        digest = hashlib.sha256((source.sop_instance_uid or "").encode()).hexdigest()
        named = msgspec.structs.replace(source, sha256=digest)
        read = as_read(
            msgspec.structs.replace(part, sources=(named,)),
            exam.identity,
            site_key,
            dialect=report.dialect,
        )
        yield Incoming(
            sha256=digest,
            size_bytes=_TYPICAL_BYTES,
            received_at=(source.content_at or exam.started_at).replace(tzinfo=zone),
            route=_ROUTE,
            caller=exam.device.ae_title,
            sop_instance_uid=source.sop_instance_uid,
            sop_class=source.sop_class,
            study_uid=part.study_uid,
            parts=(read,),
        )
