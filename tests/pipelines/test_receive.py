"""The listener against real senders: dcmtk, pynetdicom, and sockets that misbehave."""

from __future__ import annotations

import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    Verification,
)

from dose_lib.dicom.requestor import request
from dose_lib.errors import PortInUseError, SettingsError
from dose_lib.settings import Settings
from pipelines.classes import DOSE_CLASSES
from pipelines.disk import Disk
from pipelines.peers import parse_peer, read_pending
from pipelines.receive import Receiver, _Renewal
from pipelines.spool import Spool
from tests.conftest import require
from tests.pipelines.callers import associate, send, waiting
from tests.pipelines.objects import CT_IMAGE, dose_report, encode


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with Receiver(settings) as running:
        yield running


def test_objects_arrive_whole_with_who_sent_them(receiver: Receiver) -> None:
    with associate(receiver.port) as association:
        assert association.send_c_echo().Status == 0
        for number in range(5):
            answer = send(association, dose_report(number))
            assert answer.Status == 0
    arrivals = [receiver.spool.load(p) for p in waiting(receiver)]
    uids = [a.receipt.sop_instance_uid for a in arrivals]
    assert uids == [dose_report(n).SOPInstanceUID for n in range(5)]
    receipt = arrivals[0].receipt
    assert (receipt.route, receipt.caller, receipt.called) == ("c-store", "CT1", "DOSELOOP")
    assert receipt.address == "127.0.0.1"
    assert receipt.transfer_syntax == ExplicitVRLittleEndian
    expected = encode(dose_report(0))
    start = b"\x08\x00\x16\x00UI"
    assert arrivals[0].data[arrivals[0].data.index(start) :] == expected[expected.index(start) :]


def test_large_object_in_small_pieces(settings: Settings) -> None:
    with Receiver(settings.model_copy(update={"dicom_max_pdu": 4096})) as receiver:
        report = dose_report(1, text="x" * 300_000)
        with associate(receiver.port) as association:
            assert send(association, report).Status == 0
        assert b"x" * 300_000 in receiver.spool.load(waiting(receiver)[0]).data


@pytest.mark.peer
@pytest.mark.parametrize("encoding", ["-xi", "-xe", "-xb", "-xd"])
def test_dcmtk_sends_in_every_encoding(receiver: Receiver, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "report.dcm"
    file.write_bytes(encode(dose_report()))
    command = [require("storescu"), encoding, "127.0.0.1", str(receiver.port), str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    arrival = receiver.spool.load(waiting(receiver)[0])
    assert arrival.receipt.sop_instance_uid == dose_report().SOPInstanceUID
    subprocess.run([require("dcmftest"), str(arrival.path)], check=True, capture_output=True)
    subprocess.run([require("dcmdump"), str(arrival.path)], check=True, capture_output=True)


@pytest.mark.parametrize("sop_class", DOSE_CLASSES)
def test_every_class_is_taken_in_every_transfer_syntax(receiver: Receiver, sop_class: str) -> None:
    """One context for each syntax; what arrives is what was sent, byte for byte."""
    entity = AE("CT1")
    for syntax in ALL_TRANSFER_SYNTAXES:
        entity.add_requested_context(sop_class, syntax)
    association = request(entity, "127.0.0.1", receiver.port)
    connection = association.dul.socket.socket if association.dul.socket else None
    assert association.rejected_contexts == []
    assert len(association.accepted_contexts) == len(ALL_TRANSFER_SYNTAXES)
    for number, syntax in enumerate(ALL_TRANSFER_SYNTAXES):
        report = dose_report(number, sop_class=sop_class)
        report.file_meta = Dataset()
        report.file_meta.TransferSyntaxUID = syntax
        assert association.send_c_store(report).Status == 0, syntax
    association.release()
    if connection is not None:
        connection.close()
    arrivals = [receiver.spool.load(p) for p in waiting(receiver)]
    assert [a.receipt.transfer_syntax for a in arrivals] == list(ALL_TRANSFER_SYNTAXES)
    for number, arrival in enumerate(arrivals):
        read = dcmread(arrival.path)
        assert read.SOPInstanceUID == dose_report(number).SOPInstanceUID
        assert read.ContentSequence[0].TextValue == "dose"


@pytest.mark.peer
def test_dcmtk_echo(receiver: Receiver) -> None:
    command = [require("echoscu"), "127.0.0.1", str(receiver.port)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def test_images_are_not_taken(receiver: Receiver) -> None:
    with associate(receiver.port) as association:
        refused = {c.abstract_syntax for c in association.rejected_contexts}
        assert refused == {CT_IMAGE}
        with pytest.raises(ValueError, match="No presentation context"):
            send(association, dose_report(sop_class=CT_IMAGE))
        assert send(association, dose_report()).Status == 0


def ct_image(n: int = 1) -> Dataset:
    image = dose_report(n, sop_class=CT_IMAGE)
    image.CTDIvol = 7.5
    image.PixelData = b"PIXELS" * 300_000
    image["PixelData"].VR = "OW"
    return image


def with_images(settings: Settings, **more: object) -> Settings:
    return settings.model_copy(update={"dicom_image_peers": ("CT*@127.0.0.1",), **more})


@pytest.mark.parametrize(("answer", "status"), [("warning", 0xB006), ("success", 0x0000)])
def test_images_of_named_peers_are_taken_without_pixels(
    settings: Settings, answer: str, status: int
) -> None:
    """The answer says that this is no copy of the image, unless a sender cannot bear it."""
    with Receiver(with_images(settings, dicom_image_answer=answer, max_object_mb=1)) as receiver:
        with associate(receiver.port, caller="CT1") as association:
            got = send(association, ct_image())
            assert got.Status == status
            assert ("no copy" in got.get("ErrorComment", "")) == (answer == "warning")
            assert send(association, dose_report(2)).Status == 0
        with associate(receiver.port, caller="MR1") as association:
            assert CT_IMAGE in {c.abstract_syntax for c in association.rejected_contexts}
        kept = [receiver.spool.load(p) for p in waiting(receiver)]
    assert [b"PIXELS" in a.data for a in kept] == [False, False]
    assert dcmread(BytesIO(kept[0].data)).CTDIvol == 7.5


def test_storage_commitment_is_not_offered(settings: Settings) -> None:
    """Nobody may delete because of us."""
    with Receiver(with_images(settings)) as receiver:
        entity = AE("CT1")
        entity.add_requested_context(StorageCommitmentPushModel)
        entity.add_requested_context(Verification)
        association = request(entity, "127.0.0.1", receiver.port, ae_title="DOSELOOP")
        refused = {c.abstract_syntax for c in association.rejected_contexts}
        assert refused == {StorageCommitmentPushModel}
        connection = association.dul.socket.socket if association.dul.socket else None
        association.release()
        if connection is not None:
            connection.close()


def test_too_large_an_object_is_refused_and_the_next_one_taken(settings: Settings) -> None:
    with (
        Receiver(settings.model_copy(update={"max_object_mb": 1})) as receiver,
        associate(receiver.port) as association,
    ):
        answer = send(association, dose_report(1, text="x" * 1_100_000))
        assert answer.Status == 0xA700
        assert "larger than 1000000 bytes" in answer.ErrorComment
        assert send(association, dose_report(2)).Status == 0
        assert len(waiting(receiver)) == 1


class FillingDisk(Disk):
    free = 0

    def free_bytes(self, folder: Path) -> int:
        return self.free


def test_out_of_room_is_said_and_receiving_resumes(settings: Settings) -> None:
    disk = FillingDisk()
    spool = Spool(settings.spool_dir, disk=disk, reserve_bytes=1000)
    with Receiver(settings, spool) as receiver, associate(receiver.port) as association:
        assert send(association, dose_report(1)).Status == 0xA700
        assert waiting(receiver) == []
        disk.free = 10**9
        assert send(association, dose_report(1)).Status == 0
        assert receiver.counts["refused"] == 1


def test_store_without_data_set_is_answered(receiver: Receiver) -> None:
    """A hand-made C-STORE-RQ that announces no data set (PS3.7 9.3.1.1)."""
    with associate(receiver.port) as association:
        association._reactor_checkpoint.clear()  # its own thread must not take the answer
        cx = next(c for c in association.accepted_contexts if "Dose" in c.abstract_syntax.name)
        items = [
            (0x0002, cx.abstract_syntax.encode() + b"\0" * (len(cx.abstract_syntax) % 2)),
            *((0x0100, b"\x01\x00"), (0x0110, b"\x07\x00"), (0x0700, b"\x02\x00")),
            *((0x0800, b"\x01\x01"), (0x1000, b"1.2.30")),
        ]
        body = b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in items)
        head = struct.pack(">BBIIBB", 4, 0, len(body) + 6, len(body) + 2, cx.context_id, 3)
        association.dul.socket.send(head + body)
        deadline = time.monotonic() + 5
        while (message := association.dimse.get_msg(block=False)[1]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        association._reactor_checkpoint.set()
        assert message.Status == 0x0212
        assert association.send_c_echo().Status == 0


def test_unknown_caller_is_refused_and_kept_as_pending(settings: Settings) -> None:
    chosen = settings.model_copy(update={"dicom_peers": ("CT1@127.0.0.0/8", "MR*@10.0.0.1")})
    with Receiver(chosen) as receiver:
        for _ in range(2):
            with associate(receiver.port, caller="STRANGER") as association:
                assert association.is_rejected
        with associate(receiver.port, caller="CT1") as association:
            assert send(association, dose_report()).Status == 0
        pending = read_pending(settings.run_dir / "pending_peers.json")
    assert [(p.ae_title, p.address, p.attempts) for p in pending] == [("STRANGER", "127.0.0.1", 2)]


def test_who_may_send_changes_without_a_pause(settings: Settings) -> None:
    """The pending device is allowed; associations that are open are not cut."""
    chosen = settings.model_copy(update={"dicom_peers": ("CT1@127.0.0.1",)})
    with Receiver(chosen) as receiver, associate(receiver.port, caller="CT1") as one:
        with associate(receiver.port, caller="CT2") as two:
            assert two.is_rejected
        pending = settings.run_dir / "pending_peers.json"
        assert [p.ae_title for p in read_pending(pending)] == ["CT2"]
        more = {"dicom_peers": ("CT?@127.0.0.1",), "dicom_image_peers": ("CT2",)}
        assert receiver.renew(chosen.model_copy(update=more)) == []
        assert read_pending(pending) == []
        with associate(receiver.port, caller="CT2") as two:
            assert send(two, ct_image()).Status == 0xB006
        assert send(one, dose_report()).Status == 0
        with pytest.raises(SettingsError, match="no network address"):
            receiver.renew(chosen.model_copy(update={"dicom_peers": ("CT3@ten",)}))
        with associate(receiver.port, caller="CT2") as two:
            assert two.is_established, "a line that cannot be read changes nothing"
        other = chosen.model_copy(update={**more, "dicom_port": 104})
        assert receiver.renew(other) == ["dicom_port"], "needs a restart"


def test_settings_file_is_followed(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    with Receiver(settings) as receiver:
        renewal = _Renewal(settings, receiver)
        settings.config_file.write_text('dicom_peers = ["CT1@127.0.0.1"]\n')
        renewal.look()
        assert (receiver.allowed, renewal.problem) == (("CT1@127.0.0.1",), None)
        settings.config_file.write_text('dicom_peers = ["CT1@ten"]\n')
        renewal.look()
        assert "no network address" in (renewal.problem or "")
        assert receiver.allowed == ("CT1@127.0.0.1",)
        with associate(receiver.port, caller="MR1") as other:
            assert other.is_rejected


def test_allow_list_lines() -> None:
    assert parse_peer("CT1@10.1.2.0/24").is_match("CT1", "10.1.2.77")
    assert not parse_peer("CT1@10.1.2.0/24").is_match("CT1", "10.1.3.77")
    assert not parse_peer("CT1@10.1.2.0/24").is_match("CT2", "10.1.2.77")
    assert parse_peer("*@::1").is_match("ANY", "::1")
    assert parse_peer("CT?").is_match("CT9", "192.0.2.1")
    for wrong in ("", "@10.1.1.1", "CT1@ten"):
        with pytest.raises(SettingsError, match="expected AE@address"):
            parse_peer(wrong)


def test_several_associations_at_once_lose_nothing(receiver: Receiver) -> None:
    answers: list[int] = []

    def work(first: int) -> None:
        with associate(receiver.port, caller=f"CT{first}") as association:
            reports = map(dose_report, range(first, first + 20))
            answers.extend(send(association, report).Status for report in reports)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 80
    uids = {receiver.spool.load(p).receipt.sop_instance_uid for p in waiting(receiver)}
    assert len(uids) == 80


def test_port_in_use_names_the_port_and_what_to_do(settings: Settings, receiver: Receiver) -> None:
    taken = settings.model_copy(update={"dicom_port": receiver.port})
    with pytest.raises(PortInUseError, match=rf"port {receiver.port} .*DOSE_DICOM_PORT"):
        Receiver(taken)


def test_beyond_loopback_needs_allow_list_and_encryption(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"from anyone.*allow-list"):
        Receiver(settings.model_copy(update={"dicom_host": "0.0.0.0"}))
    listed = settings.model_copy(update={"dicom_host": "0.0.0.0", "dicom_peers": ("CT1",)})
    with pytest.raises(SettingsError, match=r"without encryption.*dicom_allow_plain"):
        Receiver(listed)
    with Receiver(listed.model_copy(update={"dicom_allow_plain": True})) as receiver:
        assert receiver.port
