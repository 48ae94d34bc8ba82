"""The desk: a Unix socket for this machine's accounts, narrow, and deaf to what does not fit."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import pytest

from dose_lib.errors import (
    DoseError,
    LookUpRefusedError,
    SettingsError,
    UsageError,
    VaultError,
)
from dose_lib.settings import Settings, load_settings
from dose_lib.vault import Client, Desk, Inbox, Vault, add_person, identify, seal_entries
from dose_lib.vault import protocol as say
from dose_lib.vault.desk import connect, socket_file
from dose_lib.vault.dispatch import answer
from dose_lib.vault.people import Caller, Role
from dose_lib.vault.search import By
from tests.vault.people import PART, PATIENT, STAFF, WHY, entry, key

ME = Caller(os.getuid(), os.getpid()).os_user


@pytest.fixture
def desk(vault: Vault) -> Iterator[Desk]:
    vault.put([entry(1), entry(2, patient=2)])
    opened = Desk(vault)
    yield opened
    opened.stop()


@pytest.fixture
def admin(settings: Settings, desk: Desk) -> Client:
    add_person(settings, "A. Admin", Role.ADMIN, user=ME)
    return Client(settings)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A desk that all requests which are none share: each has to leave it as it was."""
    there = load_settings(tmp_path_factory.mktemp("desk") / "home")
    with Vault.open(there) as opened:
        opened.put([entry(1), entry(2, patient=2)])
        desk = Desk(opened)
        yield there
        desk.stop()


def raw(settings: Settings, data: bytes) -> bytes:
    """What the desk answers to plain bytes."""
    with connect(socket_file(settings), 10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def test_the_socket_is_for_its_owner_only(settings: Settings, desk: Desk) -> None:
    facts = desk.path.stat()
    assert stat.S_ISSOCK(facts.st_mode)
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert desk.path.parent.stat().st_mode & 0o077 == 0


def test_no_network_port_is_opened(desk: Desk) -> None:
    ours = psutil.Process().net_connections("inet")
    assert [c for c in ours if c.status == psutil.CONN_LISTEN] == []


def test_every_question_is_answered(admin: Client, tmp_path: Path) -> None:
    assert admin.identify(PATIENT, WHY)[0].patients[0].patient_name == "Quillfeather^Ottoline"
    assert admin.identify([PART, STAFF], WHY)[1].staff[0].staff_id == "E001"
    assert [m.key for m in admin.search(By.PATIENT_ID, "PZ-778-341", WHY)] == [PATIENT]
    assert admin.same_staff() == ()
    decision = admin.merge(PATIENT, key("patient", 2), WHY)
    assert admin.decisions() == (decision,)
    assert admin.apply([decision]) == 0
    admin.unmerge(PATIENT, key("patient", 2), WHY)
    assert admin.erase(PATIENT, WHY, scope="everything").patient_keys == (PATIENT,)
    assert admin.expire(datetime.now(UTC) - timedelta(days=30_000)) is None
    assert admin.status().n_patients == 1
    assert admin.audit(limit=3)[0].person == "A. Admin"
    assert admin.verify()[0] == admin.status().n_audit
    admin.copy_to(tmp_path / "copy.duckdb")
    admin.rekey(WHY)
    assert admin.drain() == 0
    assert (tmp_path / "copy.duckdb").stat().st_size > 0


def test_every_kind_of_request_has_an_answer_and_someone_who_does_it() -> None:
    kinds = set(say.Request.__args__)
    assert set(say.ANSWERS) == kinds
    from dose_lib.vault import dispatch

    done = {*dispatch._KEYS_ONLY, *dispatch._HOUSEWORK, *dispatch._ASKED}
    assert done == kinds - {say.Status}


def test_the_kernel_names_who_asks(settings: Settings, admin: Client, vault: Vault) -> None:
    admin.identify(PATIENT, WHY)
    row = admin.audit()[0]
    assert (row.os_user, row.pid) == (ME, os.getpid())


def test_the_house_does_its_work_but_is_shown_nobody(settings: Settings, desk: Desk) -> None:
    """DoseLoop's own account without a person behind it."""
    house = Client(settings)
    Inbox(settings).put([seal_entries(settings, [entry(3)])])
    assert house.drain() == 1
    assert house.decisions() == ()
    assert house.status().n_exams == 3
    for ask in (
        lambda: house.identify(PATIENT, WHY),
        lambda: house.search(By.PATIENT_ID, "PZ-778-341", WHY),
        lambda: house.erase(PATIENT, WHY),
        house.audit,
        house.staff_names,
    ):
        with pytest.raises(LookUpRefusedError):
            ask()


@pytest.mark.parametrize("request_", [say.Drain(), say.Decisions(), say.Verify(), say.SameStaff()])
def test_another_account_may_not_do_the_housework(vault: Vault, request_: say.Request) -> None:
    with pytest.raises(LookUpRefusedError):
        answer(vault, request_, Caller(65534, 1))
    for ask in (say.Apply(decisions=()), say.Copy(path="/x"), say.StaffNames()):
        with pytest.raises(LookUpRefusedError):
            answer(vault, ask, Caller(65534, 1))
    assert answer(vault, say.Status(), Caller(65534, 1)).n_patients == 0


def test_a_wrong_token_of_our_own_account_is_nobody(settings: Settings, desk: Desk) -> None:
    with pytest.raises(LookUpRefusedError):
        Client(settings, token="made up").drain()


def test_a_token_comes_from_the_environment(
    settings: Settings, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = add_person(settings, "P. Physicist", Role.PHYSICIST)
    monkeypatch.setenv("DOSE_PERSON_TOKEN", token or "")
    assert identify(PATIENT, WHY, settings=settings)[0].is_known


def test_the_house_works_while_the_list_of_people_is_broken(settings: Settings, desk: Desk) -> None:
    settings.site_dir.mkdir(parents=True, exist_ok=True)
    settings.people_file.write_text("[[person]", encoding="utf-8")
    assert Client(settings).drain() == 0
    with pytest.raises(SettingsError, match=r"people\.toml"):
        Client(settings).identify(PATIENT, WHY)


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"{}\n",
        b'{"ask":"everything"}\n',
        b'{"ask":"status","also":1}\n',
        b'{"ask":"identify","keys":[],"reason":"xxxxx"}\n',
        b'{"ask":"identify","keys":["Quillfeather"],"reason":1}\n',
        b'{"ask":"search","by":"shoe_size","value":"9","reason":"xxxxx"}\n',
        b'{"ask":"expire","before":"2026-01-01T00:00:00"}\n',
        b'{"ask":"status"}',
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"ask":"status","token":"' + b"x" * 600_000 + b'"}\n',
    ],
)
def test_what_is_no_request_is_refused_and_not_repeated(lasting: Settings, data: bytes) -> None:
    try:
        reply = raw(lasting, data)
    except (BrokenPipeError, ConnectionResetError):
        reply = b""  # hung up while we were still sending more than it takes
    if reply:
        with pytest.raises(UsageError) as caught:
            say.decode_answer(say.Status(), reply)
        assert "Quillfeather" not in str(caught.value)
    assert Client(lasting).status().n_patients == 2


def test_one_who_says_nothing_keeps_nobody_waiting(
    settings: Settings, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [connect(socket_file(settings), 10) for _ in range(10)]
    assert Client(settings).status().n_patients == 2
    for connection in silent:
        connection.close()


def test_one_who_hangs_up_harms_nobody(settings: Settings, desk: Desk) -> None:
    for _ in range(20):
        connection = connect(socket_file(settings), 10)
        connection.sendall(b'{"ask":"sta')
        connection.close()
    assert Client(settings).status().n_patients == 2


def test_a_refusal_keeps_its_kind_and_words(settings: Settings, desk: Desk) -> None:
    with pytest.raises(LookUpRefusedError, match="show patient") as caught:
        Client(settings).identify(PATIENT, WHY)
    assert caught.value.exit_code == 12
    assert caught.value.where == str(settings.people_file)


def test_a_fault_of_no_kind_of_ours_is_an_error_of_the_vault() -> None:
    for kind in ("SystemExit", "Path", "did_you_mean", "annotations"):
        error = say.Fault(kind=kind, seen="x").as_error()
        assert type(error) is VaultError
        assert isinstance(error, DoseError)


def test_answers_and_requests_show_nothing_by_repr(vault: Vault) -> None:
    ask = say.Search(by=By.PATIENT_NAME, value="Quillfeather", reason=WHY, token="secret")
    reply = say.Reply(result=msgspec.Raw(b'"Quillfeather"'))
    assert "Quillfeather" not in repr((ask, reply, Caller(0, 0, "secret")))
    assert "secret" not in repr((ask, Caller(0, 0, "secret")))


def test_many_clients_at_once(settings: Settings, admin: Client, vault: Vault) -> None:
    """Look-ups, entries and merges from many sides; each look-up leaves its row."""
    before = admin.status().n_audit
    n_each, failures = 8, []

    def work(number: int) -> None:
        mine = Client(settings)
        try:
            for n in range(n_each):
                Inbox(settings).put([seal_entries(settings, [entry(100 + 10 * number + n)])])
                mine.drain()
                assert mine.identify(PATIENT, WHY)[0].is_known
        except DoseError as error:
            failures.append(error)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert failures == []
    while admin.drain():
        pass
    assert admin.status().n_exams == 2 + 8 * n_each
    shown = [r for r in admin.audit() if r.action == "show patient"]
    assert len(shown) == 8 * n_each
    assert admin.verify()[0] >= before + 8 * n_each


def test_a_socket_left_by_a_crash_is_replaced(settings: Settings, vault: Vault) -> None:
    path = socket_file(settings)
    path.parent.mkdir(mode=0o700, parents=True)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path)) if len(str(path)) < 100 else path.write_bytes(b"")
    left.close()
    desk = Desk(vault)
    assert Client(settings).status().n_patients == 0
    desk.stop()
    assert not path.exists()


def test_a_folder_with_a_long_name_is_no_obstacle(settings: Settings, tmp_path: Path) -> None:
    deep = settings.model_copy(update={"home": tmp_path / ("d" * 90) / ("e" * 90)})
    with Vault.open(deep) as vault:
        desk = Desk(vault)
        assert Client(deep).status().n_patients == 0
        assert socket_file(deep).exists()
        desk.stop()


def test_a_group_may_be_let_in(settings: Settings, tmp_path: Path) -> None:
    import grp

    name = grp.getgrgid(os.getgid()).gr_name
    outside = tmp_path / "sockets" / "vault.sock"
    outside.parent.mkdir()
    shared = settings.model_copy(update={"vault_group": name, "vault_socket": outside})
    with Vault.open(shared) as vault:
        desk = Desk(vault)
        assert stat.S_IMODE(outside.stat().st_mode) == 0o660
        desk.stop()
        with pytest.raises(SettingsError, match="no group"):
            Desk(
                Vault(
                    shared.model_copy(update={"vault_group": "no such"}), vault._file, vault._clock
                )
            )


def test_without_the_service_the_file_is_asked(settings: Settings) -> None:
    """After taking in what waits; the rules and the audit are the same."""
    Inbox(settings).put([seal_entries(settings, [entry(1)])])
    with pytest.raises(LookUpRefusedError):
        identify(PATIENT, WHY, settings=settings)
    add_person(settings, "P. Physicist", Role.PHYSICIST, user=ME)
    assert identify(PATIENT, WHY, settings=settings)[0].is_known
    with Vault.open(settings) as vault:
        assert vault.verify()[0] == 4  # list read twice, one refusal, one look-up


def test_a_client_waits_for_a_vault_that_is_starting(settings: Settings) -> None:
    vault = Vault.open(settings)
    started: list[Desk] = []
    timer = threading.Timer(0.5, lambda: started.append(Desk(vault)))
    timer.start()
    assert Client(settings).status().n_patients == 0
    timer.join()
    started[0].stop()
    vault.close()


def test_a_report_carries_no_identities(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    with pytest.raises(LookUpRefusedError, match="report"):
        identify(PATIENT, WHY, settings=settings)


def test_an_installation_of_another_account_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file written as root in the service's folder would shut the service out."""
    settings.home.mkdir(mode=0o700)
    owner = settings.home.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(LookUpRefusedError, match="sudo -u"):
        Client(settings).status()
    assert list(settings.home.iterdir()) == []
