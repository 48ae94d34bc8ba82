"""TLS of the listener, with pynetdicom and with dcmtk."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import XRayRadiationDoseSRStorage

from dose_lib.dicom.requestor import request
from dose_lib.errors import SettingsError
from dose_lib.settings import Settings
from pipelines.heartbeat import read_beat
from pipelines.listener import DICOM, HL7, STOW, Listener
from pipelines.process import Stop
from pipelines.receive import Receiver, serve
from tests.conftest import require
from tests.pipelines.callers import associate, connect, send, waiting
from tests.pipelines.objects import dose_report, encode


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key."""
    certificate, key = folder / "site.pem", folder / "site.key"
    command = [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_tls_takes_objects_and_refuses_plain_callers(
    settings: Settings, certificate: tuple[Path, Path]
) -> None:
    chain, key = certificate
    chosen = {"dicom_tls_certificate": chain, "dicom_tls_key": key, "dicom_timeout_s": 5.0}
    with Receiver(settings.model_copy(update=chosen)) as receiver:
        with connect(receiver) as silent:  # its handshake must not block the others
            entity = AE("CT1")
            entity.add_requested_context(XRayRadiationDoseSRStorage, ExplicitVRLittleEndian)
            trust = ssl.create_default_context(cafile=chain)
            association = request(entity, "127.0.0.1", receiver.port, tls_args=(trust, "127.0.0.1"))
            assert association.is_established
            report = dose_report(1, text="x" * 100_000)
            assert send(association, report).Status == 0
            association.release()
            silent.sendall(b"not TLS")
        with associate(receiver.port) as plain:
            assert not plain.is_established
        assert len(waiting(receiver)) == 1


def test_certificate_that_cannot_be_read_is_said(settings: Settings, tmp_path: Path) -> None:
    chosen = settings.model_copy(update={"dicom_tls_certificate": tmp_path / "no.pem"})
    with pytest.raises(SettingsError, match="certificate or key cannot be used"):
        Receiver(chosen)


def test_a_certificate_is_renewed_while_the_listener_runs(
    settings: Settings, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    chain, key = certificate
    first = chain.read_text()
    (tmp_path / "next").mkdir()
    renewed, renewed_key = make_certificate(tmp_path / "next")
    chosen = settings.model_copy(update={"dicom_tls_certificate": chain, "dicom_tls_key": key})
    stop = Stop()
    part = threading.Thread(target=serve, args=(chosen, stop))
    part.start()

    def facts() -> tuple[int, str | None]:
        beat = read_beat(settings.run_dir, "receiver")
        return (int(beat.facts["port"] or 0), beat.problem) if beat else (0, None)

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", facts()[0]), timeout=60)

    try:
        until(lambda: facts()[0] > 0)
        assert shown().split() == first.split()
        shutil.copyfile(renewed, chain)  # its key is still that of the first
        until(lambda: "certificate or key cannot be used" in (facts()[1] or ""))
        assert shown().split() == first.split(), "what was before holds"
        shutil.copyfile(renewed_key, key)
        until(lambda: facts()[1] is None)
        assert shown().split() == renewed.read_text().split()
    finally:
        stop.set()
        part.join(timeout=60)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("listener", "is_named"), [(DICOM, True), (HL7, True), (STOW, False)], ids=lambda x: str(x)[:22]
)
def test_every_listener_is_closed_to_the_network_until_said_otherwise(
    settings: Settings, tmp_path: Path, listener: Listener, is_named: bool
) -> None:
    def open_with(**chosen: object) -> None:
        named = {f"{listener.prefix}_{name}": value for name, value in chosen.items()}
        listener.check_exposure(settings.model_copy(update=named))

    everywhere: dict[str, object] = {"host": "0.0.0.0"}
    open_with(host="127.0.0.1")
    if is_named:
        with pytest.raises(SettingsError, match=r"from anyone.*allow-list"):
            open_with(**everywhere, tls_certificate=tmp_path / "c.pem")
        everywhere["peers"] = ("10.1.2.3",)
    with pytest.raises(SettingsError, match="without encryption"):
        open_with(**everywhere)
    open_with(**everywhere, tls_certificate=tmp_path / "c.pem")
    if is_named:
        open_with(**everywhere, allow_plain=True)


@pytest.mark.peer
def test_dcmtk_shows_its_certificate_and_without_one_is_refused(
    settings: Settings, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    chain, key = certificate
    (tmp_path / "scanner").mkdir()
    scanner, scanner_key = make_certificate(tmp_path / "scanner")
    chosen = {"dicom_tls_certificate": chain, "dicom_tls_key": key, "dicom_tls_client_ca": scanner}
    file = tmp_path / "report.dcm"
    file.write_bytes(encode(dose_report()))
    storescu = [require("storescu"), "+cf", str(chain)]
    with Receiver(settings.model_copy(update=chosen)) as receiver:
        target = ["127.0.0.1", str(receiver.port), str(file)]
        known = [*storescu, "+tls", str(scanner_key), str(scanner), *target]
        subprocess.run(known, check=True, capture_output=True, timeout=60)
        assert len(waiting(receiver)) == 1
        stranger = [*storescu, "+tls", str(key), str(chain), *target]
        for command in ([*storescu, "+tla", *target], stranger):
            ended = subprocess.run(command, check=False, capture_output=True, timeout=60)
            assert ended.returncode != 0
        assert len(waiting(receiver)) == 1


@pytest.mark.parametrize(
    ("how", "is_agreed"),
    [
        (("-tls1_3",), True),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"), True),
        (("-tls1_2", "-cipher", "AES256-GCM-SHA384:@SECLEVEL=0"), False),  # no forward secrecy
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:@SECLEVEL=0"), False),  # CBC
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), False),
    ],
)
def test_only_what_bcp_195_recommends_is_agreed(
    settings: Settings, certificate: tuple[Path, Path], how: tuple[str, ...], is_agreed: bool
) -> None:
    chain, key = certificate
    chosen = {"dicom_tls_certificate": chain, "dicom_tls_key": key}
    with Receiver(settings.model_copy(update=chosen)) as receiver:
        command = [require("openssl"), "s_client", "-connect", f"127.0.0.1:{receiver.port}", *how]
        ended = subprocess.run(
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
    assert (ended.returncode == 0) == is_agreed, ended.stderr
