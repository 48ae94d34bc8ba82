"""kill -9 of the service at random instants, while three scanners deliver.

`DOSE_KILL_ROUNDS` and `DOSE_KILL_OBJECTS` set the size: 20 and 2000 are the full proof.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import dose_lib
from dose_lib.settings import Settings, load_settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines.dashboards import choose_port
from pipelines.status import Accounts, read_accounts
from tests.conftest import require
from tests.pipelines.running import service
from tests.pipelines.test_ingest import finish, ingesting, put

ROUNDS = int(os.environ.get("DOSE_KILL_ROUNDS", "3"))
OBJECTS = int(os.environ.get("DOSE_KILL_OBJECTS", "100"))
SENDERS = 3
_TAKEN = re.compile(r"Received Store Response \(Success\)")

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.peer]


class Sender(threading.Thread):
    """A scanner: sends its files by `storescu`, goes on where it was cut, and then repeats.

    A file is acknowledged if `storescu` says that it got success. Once `is_enough` is set,
    it ends when every file was acknowledged.
    """

    def __init__(self, name: str, files: list[Path], port: int, is_enough: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._files, self._port, self._is_enough = files, port, is_enough
        self.acknowledged: Counter[str] = Counter()
        self.cut = 0

    def run(self) -> None:
        """Send until everything was acknowledged and it is enough."""
        left, size, rest = list(self._files), 60, 0.0
        while left or not self._is_enough.is_set():
            if not left:  # repeat, more slowly than the store takes it in
                left = list(self._files)
                size, rest = 10, 1.0
            taken = self._send(left[:size])
            self.acknowledged.update(file.name for file in left[:taken])
            left = left[taken:]
            if self._is_enough.is_set() and self.acknowledged.keys() >= self._names:
                return
            self.cut += taken == 0
            time.sleep(rest if taken else 0.2)

    @property
    def _names(self) -> set[str]:
        return {file.name for file in self._files}

    def _send(self, files: list[Path]) -> int:
        """Files of which success was received; they are answered in order."""
        command = [require("storescu"), "-v", "-aet", self.name, "127.0.0.1", str(self._port)]
        said = subprocess.run(
            [*command, *map(str, files)], check=False, capture_output=True, text=True, timeout=300
        )
        lines = (said.stdout + said.stderr).splitlines()
        return sum(_TAKEN.search(line) is not None for line in lines)


def test_everything_acknowledged_is_in_the_store_exactly_once(
    settings: Settings, tmp_path: Path
) -> None:
    chance = random.Random(20261123)
    objects = written(tmp_path / "objects")
    port = choose_port(0, "127.0.0.1", "dicom_port")
    is_enough = threading.Event()
    senders = [
        Sender(f"CT{n}", files, port, is_enough) for n, files in enumerate(shares(objects, chance))
    ]
    for sender in senders:
        sender.start()
    try:
        for _ in range(ROUNDS):
            with service(settings, "--dicom-port", str(port)) as running:
                time.sleep(chance.uniform(0.1, max(1.0, OBJECTS / 500)))
                running.kill_all()
        with service(settings, "--dicom-port", str(port)):
            is_enough.set()
            for sender in senders:
                sender.join(timeout=1800)
            accounts = when_all_is_stored(settings)
            stored = content_of(settings)
    finally:
        is_enough.set()
    acknowledged = sum((s.acknowledged for s in senders), Counter[str]())
    print(
        f"{ROUNDS} kills, {len(objects)} objects, {acknowledged.total()} acknowledgements, "
        f"{sum(s.cut for s in senders)} associations refused or cut, "
        f"{accounts.received} received, {accounts.duplicate} duplicates"
    )
    assert set(acknowledged) == {file.name for file in objects}
    assert accounts.stored == len(objects), "each exactly once"
    assert accounts.quarantined == accounts.no_dose == accounts.superseded == 0, "none half"
    # An object on the disk whose answer the kill has cut off comes once more.
    assert acknowledged.total() <= accounts.received
    assert accounts.received <= acknowledged.total() + ROUNDS * SENDERS
    assert stored == clean_load(tmp_path / "clean", objects)


def written(folder: Path) -> dict[Path, bytes]:
    """Different reports, as files."""
    folder.mkdir()
    made = {folder / f"{n:05d}.dcm": make_ct_rdsr(seed=n, vendor="siemens") for n in range(OBJECTS)}
    for file, data in made.items():
        file.write_bytes(data)
    return made


def shares(objects: dict[Path, bytes], chance: random.Random) -> list[list[Path]]:
    """What each sender sends: some objects twice, some by two senders, in random order."""
    found: list[list[Path]] = [[] for _ in range(SENDERS)]
    for n, file in enumerate(objects):
        found[n % SENDERS] += [file] * (2 if n % 7 == 0 else 1)
        if n % 3 == 0:
            found[(n + 1) % SENDERS].append(file)
    for share in found:
        chance.shuffle(share)
    return found


def when_all_is_stored(settings: Settings) -> Accounts:
    """The accounts once nothing waits; nothing is missing at any look before."""
    deadline = time.monotonic() + 1800
    while True:
        accounts = read_accounts(settings)
        assert accounts.missing == 0
        if not accounts.waiting:
            return accounts
        assert time.monotonic() < deadline
        time.sleep(0.2)


def content_of(settings: Settings) -> dict[str, Any]:
    """What the store says of the exams: each part with its totals, and sums over events."""
    con = dose_lib.connect(settings=settings)
    parts = con.sql(
        "SELECT part_key, dlp_total_mgy_cm, n_events FROM studies ORDER BY part_key"
    ).to_pyarrow()
    events = con.sql(
        "SELECT count(*) AS n, sum(dlp_mgy_cm) AS dlp, sum(ctdi_vol_mgy) AS ctdi FROM events"
    ).to_pyarrow()
    (sums,) = events.to_pylist()
    return {
        "parts": parts.to_pylist(),
        "events": {name: round(value, 6) for name, value in sums.items()},
    }


def clean_load(home: Path, objects: dict[Path, bytes]) -> dict[str, Any]:
    """The same objects, each once, with nothing going wrong."""
    settings = load_settings(home)
    put(settings, *objects.values())
    with ingesting(settings) as (_, ingest):
        finish(ingest, 1800)
        return content_of(settings)
