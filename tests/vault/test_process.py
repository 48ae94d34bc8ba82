"""The vault's own process: starts, answers, forgets in time, and loses nothing when killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dose_lib.errors import DoseError, UsageError, VaultError
from dose_lib.records import Decision
from dose_lib.settings import Settings, load_settings
from dose_lib.vault import Client, Inbox, Vault, add_person, seal_entries
from dose_lib.vault.people import Caller, Role
from pipelines.heartbeat import read_beat
from pipelines.process import Stop
from pipelines.vault import PART, Keeper, serve, take_from_journal
from tests.privacy import find_planted
from tests.vault.people import ADMIN, PATIENT, PLANTED, START, WHY, entry, key

ROOT = Path(__file__).parents[2]
ME = Caller(os.getuid(), os.getpid()).os_user


@contextmanager
def process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """The vault as the supervisor starts it; killed at the end if it still runs."""
    command = [sys.executable, "-m", "pipelines.vault", "--home", str(settings.home)]
    started = subprocess.Popen([*command, "--lifeline"], stdin=subprocess.PIPE, cwd=ROOT)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        assert started.stdin is not None
        started.stdin.close()


def until(is_true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_ready(settings: Settings) -> bool:
    beat = read_beat(settings.run_dir, PART)
    return beat is not None and beat.problem is None and (settings.run_dir / "vault.sock").exists()


@pytest.mark.service
def test_the_process_takes_in_answers_and_stops(settings: Settings) -> None:
    add_person(settings, "A. Admin", Role.ADMIN, user=ME)
    Inbox(settings).put([seal_entries(settings, [entry(1)])])
    with process(settings) as vault:
        until(lambda: is_ready(settings))
        client = Client(settings)
        until(lambda: client.status().n_exams == 1)
        assert client.identify(PATIENT, WHY)[0].patients[0].birth_date == "1961-03-04"
        with pytest.raises(DoseError):
            client.search("patient_name", "no", WHY)  # type: ignore[arg-type]
        facts = read_beat(settings.run_dir, PART)
        assert facts is not None
        Inbox(settings).put([seal_entries(settings, [entry(2)])])
        vault.terminate()
        assert vault.wait(60) == 0
    assert not (settings.run_dir / "vault.sock").exists()
    assert find_planted(PLANTED, [settings.home]) == []  # logs, beats, vault, all of it
    with Vault.open(settings) as opened:
        assert opened.facts().n_exams == 2


@pytest.mark.service
def test_it_ends_with_its_supervisor(settings: Settings) -> None:
    with process(settings) as vault:
        until(lambda: is_ready(settings))
        assert vault.stdin is not None
        vault.stdin.close()
        assert vault.wait(60) == 0


@pytest.mark.service
def test_a_vault_that_cannot_open_says_why(settings: Settings) -> None:
    Vault.open(settings).close()
    (settings.keys_dir / "vault.key").unlink()
    with process(settings) as vault:
        assert vault.wait(60) == VaultError.exit_code
    beat = read_beat(settings.run_dir, PART)
    assert beat is not None
    assert "key of the identity vault is missing" in (beat.problem or "")


FEEDER = """
import os, sys
from pathlib import Path
from dose_lib.settings import load_settings
from dose_lib.vault import Inbox, seal_entries
from tests.vault.people import entry
settings, first = load_settings(Path(sys.argv[1])), int(sys.argv[2])
inbox = Inbox(settings)
promised = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(first, first + 1000):
    inbox.put([seal_entries(settings, [entry(number, patient=number % 50)])])
    os.write(promised, b"%d\\n" % number)
"""


@contextmanager
def feeding(arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Who hands entries over, until it is killed."""
    started = subprocess.Popen([sys.executable, "-c", FEEDER, *arguments], cwd=ROOT)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@pytest.mark.service
@pytest.mark.slow
def test_nothing_promised_is_lost_when_all_are_killed(settings: Settings, tmp_path: Path) -> None:
    """kill -9 of the vault and of who feeds it, at random instants: every entry whose hand-over
    returned is in the vault exactly once, the audit's chain holds, and nothing is readable.
    """
    add_person(settings, "A. Admin", Role.ADMIN, user=ME)
    rng = random.Random(20260504)
    promised, looked = tmp_path / "promised", 0
    for round_ in range(6):
        arguments = [str(settings.home), str(1000 * round_), str(promised)]
        with process(settings) as vault, feeding(arguments) as feed:
            until(lambda: is_ready(settings))
            deadline = time.monotonic() + rng.uniform(0.2, 2.0)
            while time.monotonic() < deadline:
                try:
                    Client(settings, timeout=5).identify(key("patient", rng.randrange(50)), WHY)
                    looked += 1
                except DoseError:
                    break
            for victim in rng.sample([vault, feed], 2):
                victim.send_signal(signal.SIGKILL)
        (settings.run_dir / f"{PART}.beat.json").unlink(missing_ok=True)
        (settings.run_dir / "vault.sock").unlink(missing_ok=True)
    numbers = {int(n) for n in promised.read_text(encoding="ascii").split()}
    assert len(numbers) > 50
    with Vault.open(settings) as opened:
        while opened.drain():
            pass
        assert opened.n_waiting() == (0, 0)
        with opened._file.reading() as con:
            counts = dict(
                con.execute("SELECT sha256, count(*) FROM sighting GROUP BY sha256").fetchall()
            )
        assert set(counts.values()) == {1}
        assert {entry(n).sha256 for n in numbers} <= set(counts)
        # At most the one entry of each round that was written when its promise was not.
        assert len(counts) <= len(numbers) + 6
        assert opened.verify()[0] >= looked
    assert find_planted(PLANTED, [settings.home]) == []


@pytest.mark.slow
def test_it_lets_nobody_look_in(settings: Settings) -> None:
    code = (
        "import ctypes, resource; from pipelines.vault import forbid_looking_in as f; f();"
        "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["0", "0"]


class Store:
    """Takes decisions, or refuses them as a store would that is not of this version."""

    def __init__(self) -> None:
        self.kept: list[Decision] = []
        self.is_there = True

    def __call__(self, decisions: Sequence[Decision]) -> None:
        if not self.is_there:
            raise UsageError("nothing is decided under this name")
        self.kept += [d for d in decisions if d not in self.kept]


def test_decisions_are_handed_to_the_store(settings: Settings, vault: Vault) -> None:
    store = Store()
    keeper = Keeper(settings, vault, store, tuple)
    keeper.step()
    assert store.kept == []
    vault.put([entry(1), entry(2, patient=2)])
    first = vault.merge(PATIENT, key("patient", 2), ADMIN, WHY)
    keeper.step()
    assert store.kept == [first]
    second = vault.erase(PATIENT, ADMIN, WHY).decision
    keeper.step()
    assert store.kept == [first, second]
    assert keeper.problem is None


def test_a_store_that_takes_no_decision_is_shown_and_asked_again(
    settings: Settings, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    store.is_there = False
    keeper = Keeper(settings, vault, store, tuple)
    vault.merge(PATIENT, key("patient", 2), ADMIN, WHY)
    keeper.step()
    assert "not exchanged" in (keeper.problem or "")
    store.is_there = True
    monkeypatch.setattr("pipelines.vault._HAND_ON_S", 0)
    keeper._hand_on_at = 0
    keeper.step()
    assert keeper.problem is None
    assert len(store.kept) == 1


def test_store_and_vault_come_to_know_the_same_decisions(
    settings: Settings, tmp_path: Path
) -> None:
    """Each decision is kept once on either side, however often both hand it to and fro."""
    from dose_lib.store import Store as RealStore

    with (
        RealStore.open(settings, merge=tuple, normalise=lambda part: part) as store,
        Vault.open(settings) as vault,
    ):
        keeper = Keeper(settings, vault, lambda d: store.decide(*d), take_from_journal(settings))
        made = [
            vault.merge(PATIENT, key("patient", 2), ADMIN, WHY),
            vault.unmerge(PATIENT, key("patient", 2), ADMIN, WHY),
            vault.erase(
                key("patient", 3), ADMIN, WHY, cause="mistake", scope="everything"
            ).decision,
            vault.erase(key("staff", 3), ADMIN, WHY).decision,
        ]
        vault.put([entry(1, exam_day=-9000)])
        expired = vault.expire(START.replace(year=2020))
        assert expired is not None
        elsewhere = Decision(
            kind="patient_merge",
            subject=key("patient", 5),
            payload={"surviving": key("patient", 6)},
            author="HL7",
            decided_at=START,
        )
        store.decide(elsewhere)
        for _ in range(4):
            keeper._hand_on_at = 0
            keeper.step()
        assert keeper.problem is None
        assert vault.decisions() == (elsewhere, *made, expired.decision)
        assert store.sql("SELECT count(*), count(DISTINCT decision_id) FROM decision") == [(6, 6)]

    restored = settings.model_copy(update={"home": tmp_path / "restored"})
    with Vault.open(restored) as vault:  # an older vault, the store's journal of today
        Keeper(restored, vault, lambda d: None, take_from_journal(settings)).step()
        assert len(vault.decisions()) == 6


def test_operators_get_codes_that_stay(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short codes in the store, made from keys; a code that the site chose is left alone."""
    from dose_lib.store import Store as RealStore

    monkeypatch.setattr("pipelines.vault._CODES_S", 0)
    inbox = Inbox(settings)
    inbox.put([seal_entries(settings, [entry(n, operator=n) for n in range(1, 4)])])
    chosen = Decision(
        kind="operator_code", subject=key("staff", 2), payload={"code": "Team B"}, author="admin"
    )
    with (
        RealStore.open(settings, merge=tuple, normalise=lambda part: part) as store,
        Vault.open(settings) as vault,
    ):
        store.decide(chosen)

        def steps(keeper: Keeper) -> dict[str, str]:
            for _ in range(4):
                keeper.step()
            assert keeper.problem is None
            return dict(store.sql("SELECT operator_key, code FROM operator_codes"))

        take = take_from_journal(settings)
        first = steps(Keeper(settings, vault, lambda d: store.decide(*d), take))
        assert set(first) == {key("staff", n) for n in range(1, 4)}
        assert first[key("staff", 2)] == "Team B"
        assert first[key("staff", 1)].startswith("Op ")
        inbox.put([seal_entries(settings, [entry(9, operator=9)])])
        take = take_from_journal(settings)  # after a restart
        later = steps(Keeper(settings, vault, lambda d: store.decide(*d), take))
        assert len(later) == len(set(later.values())) == 4
        assert {k: later[k] for k in first} == first
        assert len(store.sql("SELECT * FROM decision")) == 4


def test_identities_expire_by_themselves(settings: Settings) -> None:
    """The setting counts from the exam; the day is looked at once a day and at the start."""
    short = settings.model_copy(update={"identity_retention_days": 365})
    now = datetime.now(UTC)
    age = (now - START).total_seconds() / 86_400
    with Vault.open(short) as vault:
        vault.put([entry(1, day=age, exam_day=age - 400), entry(2, patient=2, day=age)])
        Keeper(short, vault, Store(), tuple).step()
        assert vault.facts().n_patients == 1
        assert vault.decisions()[0].kind == "identity_expire"


def test_facts_name_nobody(settings: Settings, vault: Vault) -> None:
    vault.put([entry(1)])
    facts = Keeper(settings, vault, Store(), tuple).facts()
    assert set(facts) == {"waiting", "unopened", "taken", "audit_rows", "audit_head"}


def test_serving_in_this_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process does, without one: a stop that is set takes in the rest and ends."""
    monkeypatch.setattr("pipelines.vault.forbid_looking_in", lambda: None)
    before = os.umask(0o022)
    os.umask(before)
    Inbox(settings).put([seal_entries(settings, [entry(1)])])
    stop = Stop()
    stop.set()
    try:
        serve(load_settings(settings.home), stop)
    finally:
        os.umask(before)
    beat = read_beat(settings.run_dir, PART)
    assert beat is not None
    assert beat.facts["taken"] == 1
