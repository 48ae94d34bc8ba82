"""From received bytes to the store and back: rebuild, retention and erasure over real files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.errors import ServiceError, StoreError
from dose_lib.history import Origin, Row, make_plan, read_exam, shipped_mappings, write_exam
from dose_lib.records import Decision, MeasuredSize, SizeSource
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Status, Store, site_key
from dose_lib.store.base import Base
from dose_lib.vault import Inbox, Vault
from pipelines.archive import Archive, Quarantine
from pipelines.defects import Failure
from pipelines.envelope import make_receipt
from pipelines.ingest import incoming_of
from pipelines.keeping import Keeper
from pipelines.rebuilding import Replayed, rebuild_store
from pipelines.spool import Spool
from pipelines.status import lock_file
from pipelines.worker import ReadObject, Worker
from tests.history import exports
from tests.store.received import key_objects
from tests.store.test_base import tables
from tests.store.test_decisions import a_finding
from tests.store.test_standing import uids

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = ("Quillfeather", "PZ-778-341", "Marchbanks", "QX-111-222")


class Inline:
    """Reads in this process what the pool would have read in others."""

    def __init__(self, settings: Settings) -> None:
        self._worker, self._done = Worker(settings), list[ReadObject]()
        self.room, self.is_idle = 10, True

    def read(self, paths: Sequence[Path]) -> None:
        self._done += [self._worker.read(p) for p in paths]
        self.is_idle = False

    def results(self, timeout: float) -> list[ReadObject]:
        done, self._done, self.is_idle = self._done, [], True
        return done

    def close(self) -> None:
        """Nothing runs."""


def report(seed: int, name: str = "Somebody^Else", patient_id: str = "", **given: Any) -> bytes:
    return make_ct_rdsr(
        events=2, seed=seed, patient_name=name, patient_id=patient_id or f"ID-{seed}", **given
    )


ANN = {"name": "Quillfeather^Ottoline", "patient_id": "PZ-778-341"}
BEN = {"name": "Marchbanks^Thaddeus", "patient_id": "QX-111-222"}
CUT = report(7, **ANN)


def _arrivals() -> Iterator[tuple[int, bytes]]:
    """Days before NOW, and what was received."""
    yield 90, report(1)
    yield 80, report(2, **ANN)
    yield 79, report(2, **ANN)
    yield 70, report(2, **ANN, dlp_total_mgy_cm=99.0)
    yield 60, report(3, **BEN)
    yield 50, report(4)
    yield 40, key_objects("113037", *uids(report(4)))
    yield 30, key_objects("113000", *uids(report(1)))
    yield 20, report(5, **ANN)
    yield 10, CUT[: len(CUT) - 400]
    yield 5, report(1)
    yield 1, report(6)


def take(
    settings: Settings, store: Store, data: bytes, at: datetime, route: str = "c-store"
) -> Status:
    """One object through spool, reader, vault's inbox, store and archive, in their order."""
    spool, archive = Spool(settings.spool_dir), Archive(settings.archive_dir)
    receipt = msgspec.structs.replace(make_receipt(data, route), received_at=at)
    path = spool.put(data, receipt)
    read = Worker(settings).read(path)
    if read.sealed is not None:
        Inbox(settings).put([read.sealed])
    (outcome,) = store.commit([incoming_of(receipt, read)])
    if outcome.status is Status.QUARANTINED:
        failure = read.failure or Failure(seen="unknown")
        Quarantine(settings.quarantine_dir).keep(path, receipt, failure, dose_lib.__version__)
    else:
        first = "SELECT min(received_at) FROM object WHERE sha256 = ?"
        again = outcome.status is Status.DUPLICATE
        archive.keep(path, receipt, store.sql(first, [receipt.sha256])[0][0] if again else None)
    return outcome.status


@pytest.fixture
def filled(settings: Settings) -> Settings:
    with Store.open(settings) as store:
        for days, data in _arrivals():
            take(settings, store, data, NOW - timedelta(days=days))
    return settings


def again(settings: Settings) -> Replayed:
    return rebuild_store(settings, lambda *_: None, readers=Inline(settings))


def keep(settings: Settings, **limits: int) -> None:
    limited = settings.model_copy(update=limits)
    with Store.open(limited) as store:
        keeper = Keeper(limited, store, clock=lambda: NOW)
        keeper.expire()
        keeper.expire()


def erase(settings: Settings, patient_id: str, scope: str) -> None:
    data = report(0, patient_id=patient_id)
    key = Worker(settings)._whose(Spool(settings.spool_dir).load(_spooled(settings, data)))
    given = Decision(
        kind="patient_erase",
        subject=key or "",
        payload={"scope": scope, "cause": "request"},
        author="officer",
        decided_at=NOW,
    )
    with Store.open(settings) as store:
        store.decide(given)


def _spooled(settings: Settings, data: bytes) -> Path:
    elsewhere = Spool(settings.home / "aside")
    return elsewhere.put(data, make_receipt(data, "folder"))


def files_with(settings: Settings, *words: str) -> list[str]:
    places = (settings.archive_dir, settings.base_dir, settings.quarantine_dir, settings.steps_dir)
    files = [p for place in places if place.exists() for p in place.rglob("*") if p.is_file()]
    return [p.name for p in files if any(w.encode() in p.read_bytes() for w in words)]


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert {t for t in before if before[t] != after[t]} == set()


def test_a_rebuild_from_files_gives_identical_tables(filled: Settings) -> None:
    before = tables(filled)
    assert len(before["part"]) == 5
    done = again(filled)
    assert done.rebuilt.carried == 0
    assert done.rebuilt.replayed == len(list(_arrivals()))
    same(before, tables(filled))


def told(settings: Settings) -> None:
    """What no received object tells: sizes, names, findings, an undone import, decisions."""
    row = exports.ct_row(1)
    exam, _ = read_exam(
        make_plan(next(m for m in shipped_mappings() if m.name == "openrem-ct"), list(row)),
        [Row(3, tuple(row.values()))],
        Origin("ab" * 32, "2.25.1", site_key(settings)),
    )
    assert exam is not None
    with Store.open(settings) as store:
        take(settings, store, write_exam(exam), NOW - timedelta(hours=2), "history")
        part_key, patient = store.sql(
            "SELECT part_key, patient_key FROM part WHERE is_history IS NULL"
            " AND study_description IS NOT NULL ORDER BY received_at LIMIT 1"
        )[0]
        at = NOW - timedelta(days=90)
        store.add_sizes(
            [
                MeasuredSize(
                    patient_key=who,
                    measured_at=at.replace(tzinfo=None),
                    weight_kg=81.5,
                    source=SizeSource.HL7,
                    received_at=NOW,
                )
                for who in (patient, "f" * 64)
            ]
        )
        store.add_findings(
            [a_finding(part_key=part_key), a_finding(finding_id="0" * 16, part_key="expired")]
        )
        given = {"author": "physicist", "decided_at": NOW}
        mapped = {"procedure_name": "CT Chest"}
        store.decide(
            Decision(kind="procedure_mapping", subject="CT Thorax", payload=mapped, **given),
            Decision(kind="comment", subject=part_key, payload={"text": "seen"}, **given),
            Decision(kind="history_import", subject="2.25.1", payload={"is_undone": True}, **given),
        )
        store.decide(
            Decision(
                kind="procedure_mapping",
                subject="CT Thorax",
                payload={"procedure_name": "CTPA"},
                author="physicist",
                decided_at=NOW + timedelta(seconds=1),
            )
        )


def test_a_lost_store_takes_nothing_along(filled: Settings) -> None:
    """Damaged, then lost with its whole folder: every table comes back row by row."""
    told(filled)
    before = tables(filled)
    empty = {t for t, rows in before.items() if not rows}
    assert empty <= {"administration", "estimate", "patient_alias", "raw_removal"}
    assert any(row[-1] is not None for row in before["former_name"])
    filled.store_file.write_bytes(b"not a database")
    with pytest.raises(StoreError, match="dose rebuild"):
        Store.open(filled)
    again(filled)
    same(before, tables(filled))
    shutil.rmtree(filled.store_file.parent)
    again(filled)
    same(before, tables(filled))
    # Lost journals are written again by the store that is there.
    written = {p.name: sorted(p.read_bytes().splitlines()) for p in filled.journal_dir.iterdir()}
    assert len(written) == 6
    shutil.rmtree(filled.journal_dir)
    Store.open(filled).close()
    shutil.rmtree(filled.store_file.parent)
    again(filled)
    same(before, tables(filled))


def test_identities_are_sealed_again(filled: Settings) -> None:
    with Vault.open(filled) as vault:
        vault.drain()
        before = vault.facts().n_patients, vault.facts().n_exams
    (filled.vault_dir / "identities.duckdb").unlink()
    again(filled)
    with Vault.open(filled) as vault:
        vault.drain()
        assert (vault.facts().n_patients, vault.facts().n_exams) == before
        assert before[0] > 3


def test_bytes_go_and_doses_stay(filled: Settings) -> None:
    before = tables(filled)
    keep(filled, raw_retention_days=45)
    left = list(Archive(filled.archive_dir).objects())
    assert len(left) == 4
    assert not any((filled.archive_dir / "2026" / "03").rglob("*"))
    same(before, tables(filled))
    assert again(filled).rebuilt.carried == 0
    same(before, tables(filled))
    filled.store_file.unlink()
    again(filled)
    same(before, tables(filled))


def test_bytes_stay_no_longer_than_identities(filled: Settings) -> None:
    keep(filled, raw_retention_days=365, identity_retention_days=15)
    assert len(list(Archive(filled.archive_dir).objects())) == 1


def test_an_erased_patient_is_nowhere_and_does_not_come_back(filled: Settings) -> None:
    keep(filled, raw_retention_days=75)
    erase(filled, ANN["patient_id"], "everything")
    assert files_with(filled, *NAMES[:2])
    keep(filled, raw_retention_days=75)
    assert files_with(filled, *NAMES[:2]) == []
    after = tables(filled)
    assert len(after["part"]) == 3
    assert after["raw_removal"] == []
    erased = [r for r in after["object"] if "erased" in r]
    assert len(erased) == 5, "two, a repetition, a correction and one in quarantine"
    again(filled)
    same(after, tables(filled))
    filled.store_file.unlink()
    again(filled)
    same(after, tables(filled))


def test_erased_identities_leave_doses_of_nobody(filled: Settings) -> None:
    before = tables(filled)
    erase(filled, BEN["patient_id"], "identities")
    assert files_with(filled, *NAMES[2:])
    keep(filled)
    assert files_with(filled, *NAMES[2:]) == []
    after = tables(filled)
    assert len(after["part"]) == len(before["part"])
    assert [len(r) for r in after["event"]] == [len(r) for r in before["event"]]
    again(filled)
    same(after, tables(filled))
    # What comes late is of nobody, and its bytes do not stay.
    with Store.open(filled) as store:
        late = report(8, **BEN, started_at=NOW - timedelta(days=61))
        take(filled, store, late, NOW - timedelta(seconds=1))
        Keeper(filled, store, clock=lambda: NOW).remove_erased()
    assert files_with(filled, *NAMES[2:]) == []


def test_what_cannot_be_read_goes_only_by_a_limit_and_leaves_its_receipt(filled: Settings) -> None:
    before = tables(filled)
    keep(filled)
    same(before, tables(filled))
    # The same bytes once more, later: each receipt has its own time.
    with Store.open(filled) as store:
        take(filled, store, CUT[: len(CUT) - 400], NOW - timedelta(hours=1))
    quarantine = Quarantine(filled.quarantine_dir)
    assert len(quarantine.items()) == 2
    limited = filled.model_copy(update={"quarantine_retention_days": 30})
    with Store.open(limited) as store:
        keeper = Keeper(limited, store, clock=lambda: NOW + timedelta(days=25))
        assert keeper.expire().n_quarantined == 1
        assert keeper.expire().n_quarantined == 0
        assert store.counts()[Status.QUARANTINED] == 1
        rows = store.sql("SELECT reason, study_uid FROM object WHERE status = 'erased'")
        assert rows == [("could not be read, and was kept no longer", None)]
    assert len(quarantine.items()) == 1
    after = tables(filled)
    assert len(after["object"]) == len(before["object"]) + 1
    shutil.rmtree(filled.store_file.parent)
    again(filled)
    same(after, tables(filled))


def test_doses_go_by_whole_months(filled: Settings) -> None:
    keep(filled, dose_retention_days=45)
    with Store.open(filled) as store:
        kinds = store.sql("SELECT kind, payload FROM decision")
    assert [kind for kind, _ in kinds] == ["dose_expire"]
    assert "2026-04-01" in str(kinds[0][1])


def test_quarantined_objects_that_can_be_read_now_come_out(filled: Settings) -> None:
    """As after an upgrade: the reader of today takes what that of yesterday did not."""
    archive, quarantine = Archive(filled.archive_dir), Quarantine(filled.quarantine_dir)
    before = tables(filled)
    path = next(p for p in archive.objects() if "2026/05/31" in str(p))
    receipt = make_receipt(path.read_bytes()[:0], "folder")
    quarantine.keep(path, receipt, Failure(seen="not known to an old version"), "0.0.1")
    done = again(filled)
    assert (done.quarantined, done.released) == (0, 1)
    same(before, tables(filled))
    assert len(Spool(filled.spool_dir).waiting()) == 1


def test_a_damaged_file_of_the_archive_is_told_and_costs_nothing(filled: Settings) -> None:
    before = tables(filled)
    path = next(Archive(filled.archive_dir).objects())
    content = bytearray(path.read_bytes())
    content[500] ^= 0xFF
    path.write_bytes(bytes(content))
    done = again(filled)
    assert done.damaged == (path,)
    same(before, tables(filled))


def test_no_rebuild_beside_a_service(filled: Settings) -> None:
    import fcntl

    lock_file(filled).parent.mkdir(exist_ok=True)
    with lock_file(filled).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ServiceError, match="running"):
            again(filled)


def test_a_crash_between_base_and_removal_repeats_a_step(filled: Settings) -> None:
    before = tables(filled)
    limited = filled.model_copy(update={"raw_retention_days": 45})
    with Store.open(limited) as store:
        keeper = Keeper(limited, store, clock=lambda: NOW)
        keeper._archive.remove = lambda paths: 1 / 0  # type: ignore[method-assign,assignment]
        with pytest.raises(ZeroDivisionError):
            keeper.expire()
    assert Base(filled).files()
    same(before, tables(filled))
    keep(filled, raw_retention_days=45)
    again(filled)
    same(before, tables(filled))
