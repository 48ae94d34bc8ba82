"""HL7 merges over TLS into the store: applied whole and audited, or kept with a reason."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import dose_lib
from dose_lib.errors import ServiceError
from dose_lib.records import Decision
from dose_lib.settings import Settings
from dose_lib.store import Store
from dose_lib.vault import Vault
from pipelines.collect.hl7 import RefusedMessageError, read_header
from pipelines.collect.merges import Merges, kept_messages, merges_dir
from pipelines.collect.mllp import Mllp
from pipelines.collect.sizes import Pseudonyms
from pipelines.vault import Keeper, take_from_journal
from tests.collect.test_hl7 import PID, WEIGHT, acknowledged, ask, message
from tests.pipelines.test_tls import make_certificate
from tests.store.exams import ct_part, incoming

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
MRG = "MRG|4712^^^HOSP^MR"


class Kept:
    """Takes decisions like the store."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def __call__(self, _: Settings, *given: Decision) -> None:
        self.decisions += given


def take(settings: Settings, *segments: str, event: str = "A40") -> list[Decision]:
    """Decisions that a message becomes."""
    submit = Kept()
    content = message(*segments, kind=f"ADT^{event}")
    header = read_header(content)
    assert header is not None
    zurich = settings.model_copy(update={"timezone": "Europe/Zurich"})
    Merges(zurich, Pseudonyms(settings), submit).take(content, header, NOW)
    return submit.decisions


def keys_of(settings: Settings, patient_id: str) -> tuple[str, ...]:
    return Pseudonyms(settings).keys_of(patient_id, "HOSP")


@pytest.mark.parametrize(
    "segments",
    [
        (PID, MRG),
        (PID, "MRG|756.2^^^AHV^SS~4712^^^HOSP^MR"),
        (PID, "MRG|4712"),  # no authority: that of the surviving one
        (PID.replace("^^^HOSP", ""), MRG),
        (PID, "PV1|1", MRG),
    ],
)
def test_each_key_of_the_lost_id_gives_way(settings: Settings, segments: tuple[str, ...]) -> None:
    decisions = take(settings, *segments)
    pairs = zip(keys_of(settings, "4712"), keys_of(settings, "4711"), strict=True)
    assert [(d.subject, d.payload["surviving"]) for d in decisions] == list(pairs)
    (author,) = {d.author for d in decisions}
    assert author == "HL7 A40 of HIS, message C1"
    # By the time of the message, in the site's zone: one that is sent again changes nothing.
    assert {d.decided_at for d in decisions} == {datetime(2026, 11, 22, 8, 30, tzinfo=UTC)}


def test_several_pairs_and_links_taken_back(settings: Settings) -> None:
    other = ("PID|2||5001^^^HOSP", "MRG|5002^^^HOSP")
    assert len(take(settings, PID, MRG, *other)) == 4
    undone = take(settings, PID, PID.replace("4711", "4712"), event="A37")
    assert {d.kind for d in undone} == {"patient_unmerge"}


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ((PID,), "segments are not PID and MRG"),
        ((PID, MRG, "PID|2||5001^^^HOSP"), "segments are not PID and MRG"),
        ((PID, "MRG|"), "a patient ID is missing"),
        ((PID, "MRG|4711^^^HOSP"), "merged into itself"),
        ((PID, "MRG|4712^^^ELSEWHERE"), "not of one authority"),
        ((PID, "MRG|unknown^^^HOSP"), "placeholder"),
    ],
)
def test_what_cannot_be_applied_is_kept_with_its_reason(
    settings: Settings, segments: tuple[str, ...], why: str
) -> None:
    for _ in range(2):  # sent again, it is kept once
        with pytest.raises(RefusedMessageError, match=why) as caught:
            take(settings, *segments)
        assert (caught.value.code, "4712" in caught.value.text) == ("AE", False)
    (kept,) = kept_messages(settings)
    assert (kept.event, kept.sender, kept.control_id) == ("A40", "HIS", "C1")
    assert why in kept.reason
    (file,) = merges_dir(settings).glob("*.hl7")
    assert kept.file == str(file)
    assert file.read_bytes() == message(*segments, kind="ADT^A40")
    assert file.stat().st_mode & 0o077 == 0


def test_without_a_store_the_sender_is_told_to_come_again(settings: Settings) -> None:
    def out(_: Settings, *given: Decision) -> None:
        raise ServiceError("no store")

    content = message(PID, MRG, kind="ADT^A40")
    header = read_header(content)
    assert header is not None
    with pytest.raises(RefusedMessageError) as caught:
        Merges(settings, Pseudonyms(settings), out).take(content, header, NOW)
    assert (caught.value.code, caught.value.number) == ("AE", 207)
    assert kept_messages(settings) == []


@pytest.fixture
def sealed(settings: Settings, tmp_path: Path) -> Settings:
    chain, key = make_certificate(tmp_path)
    tls = {"hl7_port": 0, "hl7_tls_certificate": chain, "hl7_tls_key": key}
    return settings.model_copy(update=tls)


@pytest.fixture
def line(sealed: Settings) -> Iterator[ssl.SSLSocket]:
    """A caller that trusts the site's certificate."""
    context = ssl.create_default_context(cafile=str(sealed.hl7_tls_certificate))
    with (
        Mllp(sealed) as listener,
        socket.create_connection(("127.0.0.1", listener.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        yield wrapped


def test_a_merge_over_tls_joins_the_exams_and_is_audited(
    sealed: Settings, line: ssl.SSLSocket
) -> None:
    surviving, losing = (keys_of(sealed, n)[1] for n in ("4711", "4712"))
    with Store.open(sealed) as store:
        for n, key in enumerate((surviving, losing)):
            part = ct_part(f"1.2.{n}")
            patient = msgspec.structs.replace(part.patient, patient_key=key, is_linked=True)
            store.commit([incoming(msgspec.structs.replace(part, patient=patient), number=n)])
    assert (line.version() or "") >= "TLSv1.2"
    merge = message(PID, MRG, WEIGHT, kind="ADT^A40^ADT_A39")
    assert acknowledged(ask(line, merge)) == ["AA", "C1"]
    assert acknowledged(ask(line, merge)) == ["AA", "C1"]  # again: kept once
    con = dose_lib.connect(settings=sealed)
    assert set(con.table("studies").patient_key.to_pyarrow().to_pylist()) == {surviving}
    decisions = con.table("decisions").to_pyarrow().to_pylist()
    assert [d["kind"] for d in decisions] == ["patient_merge"] * 2  # with and without authority
    with Vault.open(sealed) as vault:
        before, _ = vault.audit_head()
        Keeper(sealed, vault, lambda _: None, take_from_journal(sealed)).step()
        assert vault.audit_head()[0] > before
        assert {d.author for d in vault.decisions()} == {"HL7 A40 of HIS, message C1"}
    bad = ask(line, message(PID, "MRG|4711^^^HOSP", kind="ADT^A40"))
    assert acknowledged(bad) == ["AE", "C1"]
    assert "merged into itself" in bad


def test_a_plain_caller_and_one_who_does_not_trust_it_get_nothing(
    sealed: Settings, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    strange, _ = make_certificate(tmp_path / "other")
    with Mllp(sealed) as listener:
        address = ("127.0.0.1", listener.port)
        with socket.create_connection(address, timeout=60) as plain:
            plain.sendall(b"\x0b" + message(PID, WEIGHT) + b"\x1c\r")
            assert b"MSA" not in _rest(plain)
        context = ssl.create_default_context(cafile=str(strange))
        with (
            socket.create_connection(address, timeout=60) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(raw, server_hostname="127.0.0.1")
        assert listener.feed.counts["messages"] == 0


def _rest(line: socket.socket) -> bytes:
    found = b""
    try:
        while piece := line.recv(4096):
            found += piece
    except ConnectionResetError:
        pass
    return found
