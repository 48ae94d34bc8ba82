"""The identity vault: sealing, handing over, taking in, looking up, erasing.

The vault holds ten years of a 400-bed hospital: 300,000 exams of 100,000 patients by 60
members of staff. It must never be what receiving waits for (100 reports a second) and must
answer a person at once.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from dose_lib.records import Identity, Staff
from dose_lib.settings import Settings, load_settings
from dose_lib.vault import Client, Desk, Inbox, Vault, VaultEntry, add_person, seal_entries
from dose_lib.vault.people import Caller, Role
from dose_lib.vault.search import By

EXAMS, PATIENTS, STAFF = 300_000, 100_000, 60
START = datetime(2016, 1, 1, tzinfo=UTC)


def _key(kind: str, number: int, digits: int) -> str:
    return sha256(f"{kind}{number}".encode()).hexdigest()[:digits]


def entry(number: int) -> VaultEntry:
    """The identities of one exam, as long as those of a CT report."""
    patient, operator = number % PATIENTS, number % STAFF
    who = Identity(
        part_key=_key("part", number, 20),
        patient_key=_key("patient", patient, 64),
        patient_id=f"{patient:010d}",
        patient_id_issuer="HOSPITAL",
        patient_name=f"Family{patient}^Given{patient % 97}^M",
        birth_date=f"{1930 + patient % 80}-0{1 + patient % 9}-1{patient % 9}",
        accession_number=f"A{number:09d}",
        study_id=f"{number}",
        requested_procedure_id=f"RP{number}",
        staff=(
            Staff(
                staff_key=_key("staff", operator, 16),
                staff_name=f"Operator{operator}^Name",
                staff_where="1.2.1",
            ),
        ),
    )
    return VaultEntry(
        sha256=_key("object", number, 64),
        received_at=START + timedelta(minutes=17 * number),
        identity=who,
        part_keys=(who.part_key or "",),
    )


def _milliseconds(work: Callable[[int], object], times: int) -> str:
    taken = []
    for n in range(times):
        begin = time.perf_counter()
        work(n)
        taken.append(1000 * (time.perf_counter() - begin))
    taken.sort()
    return f"median {statistics.median(taken):.1f} ms, p95 {taken[int(0.95 * len(taken))]:.1f} ms"


def _batches(first: int, batches: int, size: int) -> Iterator[list[VaultEntry]]:
    for n in range(batches):
        yield [entry(first + n * size + i) for i in range(size)]


def main() -> None:
    """Print each figure with what it was measured on."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(Path(folder) / "home")
        account = Caller(os.getuid(), os.getpid()).os_user
        add_person(settings, "Benchmark", Role.ADMIN, user=account)
        with Vault.open(settings) as vault:
            begin = time.perf_counter()
            for start in range(0, EXAMS, 20_000):
                vault.put([entry(n) for n in range(start, start + 20_000)])
            rate = EXAMS / (time.perf_counter() - begin)
            print(f"filled with {EXAMS:,} exams: {rate:,.0f} entries/s in batches of 20,000")
            _measure(settings, vault)
        size = (settings.vault_dir / "identities.duckdb").stat().st_size
        print(f"the file: {size / 1e6:.0f} MB")


def _measure(settings: Settings, vault: Vault) -> None:
    inbox, desk = Inbox(settings), Desk(vault)
    one = entry(EXAMS)
    print(
        "seal one entry (in the reader):",
        _milliseconds(lambda n: seal_entries(settings, [one]), 500),
    )
    sealed = [[seal_entries(settings, [e]) for e in batch] for batch in _batches(EXAMS, 40, 50)]
    print("hand over 50 (fsync):", _milliseconds(lambda n: inbox.put(sealed[n]), 40))
    begin = time.perf_counter()
    while vault.drain():
        pass
    print(f"take in what waits: {2000 / (time.perf_counter() - begin):,.0f} entries/s")
    batches = list(_batches(EXAMS + 5000, 20, 50))
    print("put 50 in a transaction:", _milliseconds(lambda n: vault.put(batches[n]), 20))
    client, why = Client(settings), "benchmark"
    for what, key in (
        ("patient", lambda n: _key("patient", n, 64)),
        ("exam", lambda n: _key("part", n, 20)),
    ):
        print(
            f"identify {what} (another process's way in):",
            _milliseconds(lambda n, key=key: client.identify(key(n), why), 50),
        )
    print(
        "search a name:",
        _milliseconds(
            lambda n: client.search(By.PATIENT_NAME, f"family{n * 991 + 10_000}", why), 20
        ),
    )
    print(
        "erase a patient, file written anew:",
        _milliseconds(lambda n: client.erase(_key("patient", n, 64), why), 5),
    )
    print("check the audit's chain:", _milliseconds(lambda n: client.verify(), 5))
    desk.stop()


if __name__ == "__main__":
    main()
