"""A running service does what its store has to do in the background; lost, the store comes back.

| during the service                               | what follows by itself                   |
| ------------------------------------------------ | ---------------------------------------- |
| an exam with a very high dose                    | a finding; closed once it is withdrawn   |
| another, corrected to an ordinary dose           | a finding; closed after the second look  |
| a patient is erased                              | bytes and doses are gone, the receipt is |
|                                                  | accounted for                            |
| a weight from outside, a name decided            | the exams are made anew                  |
| the folder of the store is lost, `dose rebuild`  | every table as before, row by row        |
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.records import Decision, MeasuredSize, SizeSource
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import site_key, submit_decision
from pipelines.archive import Archive
from pipelines.collect.sizes import SizeInbox
from pipelines.status import read_accounts
from tests.pipelines.running import dose, service
from tests.pipelines.test_ingest import put
from tests.store.received import key_objects, received
from tests.store.test_base import tables
from tests.store.test_standing import uids

pytestmark = [pytest.mark.service, pytest.mark.slow]


def hot(seed: int, **given: Any) -> bytes:
    """An exam above every alert value."""
    events = received(make_ct_rdsr(events=2, seed=seed), 0).parts[0].events
    high = [msgspec.structs.replace(e, ctdi_vol_mgy=700.0) for e in events]  # type: ignore[type-var]
    return make_ct_rdsr(events=high, seed=seed, **given)  # type: ignore[arg-type]


WITHDRAWN, CORRECTED = hot(1), hot(2)
ERASED = make_ct_rdsr(seed=3, patient_id="GONE-1")
PLAIN = make_ct_rdsr(seed=4)


def until(condition: Callable[[], bool], limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def states(settings: Settings) -> dict[str, tuple[str, str]]:
    """State and note of the findings about doses, by study."""
    findings = dose_lib.connect(settings=settings).table("findings")
    rows = findings.filter(findings.detector == "dose_trigger").to_pyarrow().to_pylist()
    return {r["part_key"]: (r["state"], r["state_note"]) for r in rows}


def test_what_a_service_did_survives_the_loss_of_its_store(settings: Settings) -> None:
    key = site_key(settings)
    part = {
        data: dose_lib.read_bytes(data, site_key=key)[0][0]
        for data in (WITHDRAWN, CORRECTED, ERASED, PLAIN)
    }
    one, two = part[WITHDRAWN].part_key, part[CORRECTED].part_key
    with service(settings) as running:
        put(settings, WITHDRAWN, CORRECTED, ERASED, PLAIN, PLAIN, PLAIN[:-500])
        until(lambda: read_accounts(settings).stored == 4)
        until(lambda: [s for s, _ in states(settings).values()] == ["open", "open"])

        put(settings, key_objects("113037", *uids(WITHDRAWN)), make_ct_rdsr(events=2, seed=2))
        until(lambda: [s for s, _ in states(settings).values()] == ["closed", "closed"])
        found = states(settings)
        assert "113037" in found[one][1]
        assert "corrected" in found[two][1]

        said = part[PLAIN]
        start = said.started_at
        assert start is not None
        weight = MeasuredSize(
            patient_key=said.patient.patient_key or "",
            measured_at=start.replace(tzinfo=None) - timedelta(hours=1),
            weight_kg=81.5,
            source=SizeSource.HL7,
            received_at=running.state().at,
        )
        SizeInbox(settings).put([weight])
        submit_decision(
            settings,
            Decision(
                kind="procedure_mapping",
                subject=said.study_description or "",
                payload={"procedure_name": "CTPA"},
                author="physicist",
            ),
            Decision(
                kind="patient_erase",
                subject=part[ERASED].patient.patient_key or "",
                payload={"scope": "everything", "cause": "request"},
                author="officer",
            ),
        )
        names = dose_lib.connect(settings=settings).table("studies")
        until(lambda: names.procedure_name.to_pyarrow().to_pylist() == ["CTPA", "CTPA"])
        # The keeper looks every few seconds while nothing else is under way.
        archive = Archive(settings.archive_dir)
        until(lambda: not [p for p in archive.objects() if b"GONE-1" in p.read_bytes()])
        until(lambda: not list(settings.sizes_dir.glob("*.json")))
        assert read_accounts(settings).erased == 1
        before_it_stopped = read_accounts(settings)
    before = tables(settings)
    assert len(before["patient_size"]) == 1
    assert before["former_name"]

    shutil.rmtree(settings.store_file.parent)
    rebuilt = json.loads(dose(settings, "rebuild", "--json").stdout)["rebuilt"]
    after = tables(settings)
    assert {t for t in before if before[t] != after[t]} == set()
    assert rebuilt["counts"] | {"waiting": 0} == rebuilt["counts"]
    assert read_accounts(settings) == before_it_stopped
