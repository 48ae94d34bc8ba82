"""STOW-RS: on disk before the answer, with a token, within limits; Orthanc as the sender."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dose_lib.errors import PortInUseError, SettingsError
from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from pipelines.spool import Spool
from pipelines.status import parts_of
from pipelines.stow import StowServer, read_token, token_file
from tests.collect.conftest import hospital_objects
from tests.collect.peers import LOCAL, free_port, orthanc
from tests.conftest import require

MULTIPART = 'multipart/related; type="application/dicom"; boundary=XX'


@pytest.fixture
def on(settings: Settings) -> Settings:
    return settings.model_copy(update={"stow_port": 0})


@pytest.fixture
def server(on: Settings) -> Iterator[StowServer]:
    with StowServer(on) as running:
        yield running


@pytest.fixture
def client(on: Settings, server: StowServer) -> Iterator[httpx.Client]:
    token = token_file(on).read_text().strip()
    with httpx.Client(
        base_url=f"http://{LOCAL}:{server.port}",
        headers={"Authorization": f"Bearer {token}", "Content-Type": MULTIPART},
    ) as ready:
        yield ready


def reports(n: int = 2) -> list[SimObject]:
    return hospital_objects(1)[:n]


def body(*contents: bytes, kind: str = "application/dicom") -> bytes:
    parts = [
        b"--XX\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + c + b"\r\n" for c in contents
    ]
    return b"".join([*parts, b"--XX--\r\n"])


def spooled(settings: Settings) -> list[bytes]:
    spool = Spool(settings.spool_dir)
    return [spool.load(p).data for p in spool.waiting()]


def references(answer: httpx.Response, tag: str) -> set[str]:
    rows = answer.json().get(tag, {}).get("Value", [])
    return {r["00081155"]["Value"][0] for r in rows}


def test_reports_are_kept_before_the_answer(on: Settings, client: httpx.Client) -> None:
    made = reports(3)
    answer = client.post("/studies", content=body(*(o.data for o in made)))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/dicom+json"
    assert references(answer, "00081199") == {o.sop_instance_uid for o in made}
    assert spooled(on) == [o.data for o in made], "byte for byte"
    spool = Spool(on.spool_dir)
    receipt = spool.load(spool.waiting()[0]).receipt
    assert (receipt.route, receipt.caller, receipt.address) == ("dicomweb", "STOW-RS", LOCAL)


def test_one_connection_carries_several_requests(on: Settings, client: httpx.Client) -> None:
    for one in reports(3):
        assert client.post("/dicom-web/studies", content=iter([body(one.data)])).status_code == 200
    assert len(spooled(on)) == 3


def test_a_study_in_the_path_must_be_that_of_the_object(on: Settings, client: httpx.Client) -> None:
    first, second = reports(2)
    answer = client.post(f"/studies/{first.study_uid}", content=body(first.data, second.data))
    assert answer.status_code == 202
    assert references(answer, "00081199") == {first.sop_instance_uid}
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0xA900]
    assert spooled(on) == [first.data]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"Content-Type": "application/dicom"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=X'}, 415),
        ({"Content-Type": "multipart/related"}, 400),
    ],
)
def test_who_may_not_or_asks_wrongly_is_refused(
    on: Settings, client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/studies", content=body(reports(1)[0].data), headers=headers)
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert not spooled(on)


def test_nothing_can_be_read(client: httpx.Client) -> None:
    assert client.get("/studies").status_code == 405
    assert client.post("/series", content=body()).status_code == 404
    assert client.post("/studies", content=body()).status_code == 400


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"no object", "application/dicom", 0xC000),
        (b"no object", "image/jpeg", 0xC000),
        (bytes(2_000_000), "application/dicom", 0xA700),
    ],
)
def test_what_is_no_report_is_said_with_its_reason(
    settings: Settings, content: bytes, kind: str, reason: int
) -> None:
    small = settings.model_copy(update={"stow_port": 0, "max_object_mb": 1})
    good = reports(1)[0]
    with StowServer(small) as server:
        headers = {"Authorization": f"Bearer {token_file(small).read_text().strip()}"}
        mixed = body(content, kind=kind)[: -len(b"--XX--\r\n")] + body(good.data)
        answer = httpx.post(
            f"http://{LOCAL}:{server.port}/studies",
            content=mixed,
            headers=headers | {"Content-Type": MULTIPART},
        )
    assert answer.status_code == 202
    assert answer.json()["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [reason]}}]
    assert spooled(small) == [good.data]


def test_images_are_not_taken(on: Settings, client: httpx.Client) -> None:
    from tests.collect.test_archives import image

    answer = client.post("/studies", content=body(image(reports(1)[0], "CT", "2.25.7")))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0122]
    assert not spooled(on)


def test_no_room_is_no_success(settings: Settings) -> None:
    full = settings.model_copy(update={"stow_port": 0, "spool_reserve_mb": 10**9})
    with StowServer(full) as server:
        answer = httpx.post(
            f"http://{LOCAL}:{server.port}/studies",
            content=body(reports(1)[0].data),
            headers={
                "Authorization": f"Bearer {token_file(full).read_text().strip()}",
                "Content-Type": MULTIPART,
            },
        )
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"


def test_a_body_that_breaks_off_is_no_success(on: Settings, client: httpx.Client) -> None:
    first, second = reports(2)
    whole = body(first.data, second.data)
    answer = client.post("/studies", content=whole[: len(first.data) + 2000])
    assert answer.status_code == 400
    assert "what came whole before that is kept" in answer.text
    assert spooled(on) == [first.data]


def test_a_sender_that_vanishes_takes_nobody_along(
    on: Settings, server: StowServer, client: httpx.Client
) -> None:
    token = token_file(on).read_text().strip()
    with socket.create_connection((LOCAL, server.port)) as line:
        head = f"POST /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        line.sendall(
            f"{head}Content-Type: {MULTIPART}\r\nContent-Length: 9999\r\n\r\n--XX".encode()
        )
    assert client.post("/studies", content=body(reports(1)[0].data)).status_code == 200


def test_the_body_is_asked_for_only_of_those_who_may(server: StowServer) -> None:
    with socket.create_connection((LOCAL, server.port), timeout=10) as line:
        line.sendall(
            f"POST /studies HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            f"Content-Type: {MULTIPART}\r\nContent-Length: 99\r\n\r\n".encode()
        )
        assert line.recv(100).startswith(b"HTTP/1.1 401")


def test_it_is_off_unless_asked_for(settings: Settings, on: Settings) -> None:
    assert "stow" not in parts_of(settings)
    assert "stow" in parts_of(on)


def test_beyond_loopback_there_is_tls_or_no_start(on: Settings) -> None:
    with pytest.raises(SettingsError, match="without encryption"):
        StowServer(on.model_copy(update={"stow_host": "0.0.0.0"}))


def test_a_token_that_others_may_read_is_not_used(on: Settings) -> None:
    assert len(read_token(on)) > 40
    assert token_file(on).stat().st_mode & 0o777 == 0o600
    token_file(on).chmod(0o644)
    with pytest.raises(SettingsError, match="read by others"):
        StowServer(on)


def test_a_port_that_is_taken_is_said(on: Settings, server: StowServer) -> None:
    taken = on.model_copy(update={"stow_port": server.port})
    with pytest.raises(PortInUseError, match="another process listens"):
        StowServer(taken)


def test_over_tls(settings: Settings, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command = [require("openssl"), *made, "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = {"stow_port": 0, "stow_tls_certificate": certificate, "stow_tls_key": key}
    sealed = settings.model_copy(update=tls)
    with StowServer(sealed) as server:
        answer = httpx.post(
            f"https://localhost:{server.port}/studies",
            content=body(reports(1)[0].data),
            headers={
                "Authorization": f"Bearer {token_file(sealed).read_text().strip()}",
                "Content-Type": MULTIPART,
            },
            verify=ssl.create_default_context(cafile=certificate),
        )
    assert answer.status_code == 200


@pytest.mark.peer
@pytest.mark.slow
def test_orthanc_sends_what_it_holds(on: Settings, server: StowServer, tmp_path: Path) -> None:
    """A foreign client of STOW-RS: Orthanc's, in chunks."""
    made = reports(5)
    token = token_file(on).read_text().strip()
    with orthanc(tmp_path / "orthanc", free_port()) as archive:
        archive.load(o.data for o in made)
        target = {
            "Url": f"http://{LOCAL}:{server.port}/dicom-web",
            "HttpHeaders": {"Authorization": f"Bearer {token}"},
        }
        archive.request("/dicom-web/servers/doseloop", json.dumps(target).encode(), "PUT")
        everything: Any = archive.request("/studies")
        job: Any = archive.request(
            "/dicom-web/servers/doseloop/stow",
            json.dumps({"Resources": everything, "Synchronous": False}).encode(),
            "POST",
        )
        state, until = "", time.monotonic() + 30
        while state not in ("Success", "Failure"):
            assert time.monotonic() < until, state
            time.sleep(0.05)
            told: Any = archive.request(f"/jobs/{job['ID']}")
            state = told["State"]
    assert state == "Success"
    spool = Spool(on.spool_dir)
    got = {spool.load(p).receipt.sop_instance_uid for p in spool.waiting()}
    assert got == {o.sop_instance_uid for o in made}
