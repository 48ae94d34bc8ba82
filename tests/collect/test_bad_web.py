"""Web archives that misbehave: each is retried, reported with what was asked and seen."""

from __future__ import annotations

import gzip
import json
import ssl
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dose_lib.errors import PeerError
from dose_lib.settings import Settings
from pipelines.collect.dicomweb import open_web
from pipelines.collect.pacs import WebArchive
from pipelines.spool import Spool
from tests.collect.bad_web import BadWeb, Habit, Request
from tests.collect.conftest import END
from tests.collect.harness import Outcome, objects, uids
from tests.collect.peers import LOCAL, free_port
from tests.conftest import require

pytestmark = pytest.mark.slow

JSON = "application/dicom+json"


@pytest.fixture
def play(settings: Settings) -> Any:
    """Starts a web archive with a habit."""
    with ExitStack() as stack:

        def start(habit: Habit | None = None, n: int = 2) -> Outcome[BadWeb]:
            web = stack.enter_context(BadWeb(objects(n), habit).running())
            return Outcome(settings, web)

        yield start


def test_a_good_one_first(play: Any) -> None:
    outcome = play().run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(2)
    assert not outcome.pauses


def test_nobody_listens(settings: Settings) -> None:
    web = BadWeb([])
    web.url = f"http://{LOCAL}:{free_port()}/rs"
    outcome = Outcome(settings, web).run()
    assert "it cannot be reached (Connection refused)" in (outcome.summary.problem or "")
    assert len(outcome.pauses) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_an_error_of_the_server_is_retried(play: Any, status: int) -> None:
    def habit(request: Request) -> bool:
        return len(request.web.seen) == 1 and request.reply(status, Retry_After="7")

    outcome = play(habit).run()
    assert outcome.summary.is_complete
    assert outcome.arrived == uids(2)
    assert outcome.pauses == [7.0], "as long as it asked for"


def test_an_error_that_stays_is_said(play: Any) -> None:
    outcome = play(lambda r: r.is_object and r.reply(500)).run()
    assert outcome.summary.outcomes == {"failed": 2}
    assert "asked for object" in outcome.reasons
    assert "status 500 (error of the server)" in outcome.reasons
    assert outcome.peer.count(lambda r: r.is_object) == 4, "each tried twice"


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_refused_does_not_insist(play: Any, status: int, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token")
    token.chmod(0o600)
    outcome = play(lambda r: r.is_object and r.reply(status), n=3).run(token_file=token)
    assert f"status {status}" in (outcome.summary.problem or "")
    assert "token_file" in (outcome.summary.problem or "")
    assert "secret-token" not in str(outcome.summary)
    assert outcome.peer.count(lambda r: r.is_object) == 1, "asking again may lock the account"
    assert not outcome.pauses
    assert outcome.summary.incomplete
    assert {r.headers["Authorization"] for r in outcome.peer.seen} == {"Bearer secret-token"}


def test_credentials_stay_with_their_host(play: Any, settings: Settings, tmp_path: Path) -> None:
    """A redirect to another host, or another port, is not followed."""
    token = tmp_path / "token"
    token.write_text("secret-token")
    token.chmod(0o600)
    thief = play()
    outcome = play(lambda r: r.reply(307, Location=f"{thief.peer.url}/studies")).run(
        token_file=token
    )
    assert not thief.peer.seen
    assert f"it sends us to '{LOCAL}'" in (outcome.summary.problem or "")
    assert "Credentials are sent to no other host" in (outcome.summary.problem or "")


def test_a_redirect_on_the_same_server_is_followed(play: Any) -> None:
    def habit(request: Request) -> bool:
        if request.path[0] == "new":
            del request.path[0]
            return request.right()
        path = request.handler.path.replace("/rs/", "/rs/new/")
        return request.reply(308, Location=path)

    outcome = play(habit).run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(2)


def test_redirects_in_a_circle(play: Any) -> None:
    outcome = play(lambda r: r.reply(302, Location=r.handler.path)).run(attempts=1)
    assert "3 redirects and no end of them" in (outcome.summary.problem or "")
    assert len(outcome.peer.seen) == 4


def test_206_says_that_there_is_more(play: Any) -> None:
    """Pages of one although a hundred were asked for: 206, then the rest."""

    def habit(request: Request) -> bool:
        if not request.is_search or request.path != ["studies"]:
            return False
        offset = int(request.query.get("offset", 0))
        rows = request.rows()[offset : offset + 1]
        status = 206 if offset < len(request.web.objects) - 1 else 200
        return request.reply(status, json.dumps(rows).encode(), JSON)

    outcome = play(habit, n=3).run()
    assert outcome.summary.is_complete
    assert outcome.arrived == uids(3)


def test_206_for_an_object_is_no_whole_object(play: Any) -> None:
    def habit(request: Request) -> bool:
        if not request.is_object:
            return False
        return request.reply(206, b"--XX--", "multipart/related; boundary=XX")

    outcome = play(habit, n=1).run()
    assert outcome.summary.outcomes == {"failed": 1}
    assert "status 206: only part of it" in outcome.reasons


def test_an_archive_that_ignores_paging_and_holds_back(play: Any) -> None:
    """Always the first row, whatever the offset: what is held back is said."""

    def habit(request: Request) -> bool:
        if request.path != ["studies"]:
            return False
        return request.reply(200, json.dumps(request.rows()[:1]).encode(), JSON)

    outcome = play(habit, n=3).run(page_size=1, modalities=["CT"])
    assert outcome.arrived == {objects(3)[0].sop_instance_uid}
    assert not outcome.summary.is_complete
    assert "1 answers and no more" in str(outcome.summary.complaints)


def test_pages_for_ever(play: Any) -> None:
    def habit(request: Request) -> bool:
        rows = [
            {
                "0020000D": {"vr": "UI", "Value": [f"1.2.{len(request.web.seen)}.{n}"]},
                "00080020": {"vr": "DA", "Value": [f"{END:%Y%m%d}"]},
            }
            for n in range(100)
        ]
        return request.reply(200, json.dumps(rows).encode(), JSON)

    outcome = play(habit).run(max_answers=500, attempts=1)
    assert "answers and no end of them" in (outcome.summary.problem or "")


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"<html>Log in</html>", "text/html", "status 200 with text/html"),
        (b"[{]", JSON, "the answer is no JSON"),
        (b'{"error": "x"}', JSON, "JSON, but a dict; expected a list"),
        (gzip.compress(b"[]", mtime=0), JSON, "gzip"),
    ],
)
def test_an_answer_that_is_none(play: Any, body: bytes, kind: str, says: str) -> None:
    more = {"Content_Encoding": "gzip"} if says == "gzip" else {}
    outcome = play(lambda r: r.reply(200, body, kind, **more)).run()
    seen = f"{outcome.summary.problem}".replace("Expected", "expected").replace(". exp", "; exp")
    assert says in seen
    assert "asked for studies of 2026-11-20" in seen
    assert len(outcome.pauses) == 1


def test_rows_that_are_none_are_complained_about(play: Any) -> None:
    def habit(request: Request) -> bool:
        if request.path != ["studies"] or "offset" in request.query:
            return False
        rows = [*request.rows(), 7, {}, {"0020000D": {"vr": "UI", "Value": [{"x": 1}]}}]
        return request.reply(200, json.dumps(rows).encode(), JSON)

    outcome = play(habit).run()
    assert outcome.arrived == uids(2)
    seen = " | ".join(c.seen for c in outcome.summary.complaints)
    assert "1 answers that cannot be used: cannot be decoded" in seen
    assert "2 answers that cannot be used: no StudyInstanceUID" in seen


def test_a_multipart_that_breaks_off_keeps_what_was_whole(play: Any) -> None:
    first = objects(1)[0]

    def habit(request: Request) -> bool:
        if not request.is_object or request.web.count(lambda r: r.is_object) > 1:
            return False
        whole = b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + first.data
        request.begin("multipart/related; boundary=XX")
        request.write(whole + b"\r\n--XX\r\nContent-Type: application/dicom\r\n\r\nDICM half of")
        return True

    outcome = play(habit, n=1).run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == {first.sop_instance_uid}
    assert len(outcome.pauses) == 1


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("multipart/related", b"--XX--", "the boundary '' cannot be used"),
        ("multipart/related; boundary=XX", b"no boundary at all", "ends before its closing"),
        (
            "multipart/related; boundary=XX",
            b"--XX\r\nhead\r\n\r\nx\r\n--XX--",
            "without a colon",
        ),
        (
            "multipart/related; boundary=XX",
            b"--XX\r\nContent-Type: image/jpeg\r\n\r\nx\r\n--XX--",
            "a part that is image/jpeg",
        ),
        (
            "multipart/related; boundary=XX",
            b"--XX\r\nContent-Type: application/dicom\r\n\r\nnot DICOM at all\r\n--XX--",
            "16 bytes that cannot be read",
        ),
        ("application/dicom", b"", "0 bytes that cannot be read"),
        ("text/html", b"<html>", "status 200 with text/html"),
    ],
)
def test_an_object_that_is_none(play: Any, kind: str, body: bytes, says: str) -> None:
    outcome = play(lambda r: r.is_object and r.reply(200, body, kind), n=1).run()
    assert outcome.summary.outcomes == {"failed": 1}
    assert says in outcome.reasons
    assert not outcome.arrived


def test_another_object_than_asked(play: Any) -> None:
    second = objects(2)[1]

    def habit(request: Request) -> bool:
        if request.is_object:
            request.path[5] = second.sop_instance_uid
        return False

    def only_first(request: Request) -> bool:
        if request.path == ["studies"]:
            rows = [] if "offset" in request.query else request.rows()[:1]
            return request.reply(200, json.dumps(rows).encode(), JSON)
        return habit(request)

    outcome = play(only_first).run()
    assert outcome.summary.outcomes == {"failed": 1}
    assert f"1 other objects, such as {second.sop_instance_uid}" in outcome.reasons


def test_what_is_not_given_as_object_is_taken_as_metadata(play: Any) -> None:
    outcome = play(lambda r: r.is_object and r.reply(406)).run()
    assert outcome.summary.is_complete, outcome.summary
    assert outcome.arrived == uids(2)


def test_metadata_that_are_none(play: Any) -> None:
    def habit(request: Request) -> bool:
        if request.path[-1] != "metadata":
            return False
        body = b'[{"00080018": {"vr": "UI", "Value": {"a": 1}}, "x": 1}]'
        return request.reply(200, body, JSON)

    outcome = play(habit, n=1).run(reports_from="metadata")
    assert outcome.summary.outcomes == {"failed": 1}
    assert "metadata that is no data set" in outcome.reasons


def test_a_report_whose_values_lie_elsewhere_is_not_taken_for_whole(play: Any) -> None:
    def habit(request: Request) -> bool:
        if request.path[-1] != "metadata":
            return False
        row = json.loads(request.web.data[0].to_json())
        deep = row["0040A730"]["Value"][-1]
        deep["0040A160"] = {"vr": "UT", "BulkDataURI": "http://elsewhere/bulk/1"}
        return request.reply(200, json.dumps([row]).encode(), JSON)

    outcome = play(habit, n=1).run(reports_from="metadata")
    assert outcome.summary.outcomes == {"failed": 1}
    assert "values that lie elsewhere as bulk (0040A160)" in outcome.reasons
    assert not outcome.arrived


def test_an_endless_body(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.collect.dicomweb._MOST_JSON", 1_000_000)

    def habit(request: Request) -> bool:
        request.begin(JSON)
        request.write(b"[")
        while not request.web.over.is_set():
            request.write(b" " * 65536)
        return True

    outcome = play(habit).run(attempts=1)
    assert "more than 1,000,000 bytes" in (outcome.summary.problem or "")


def test_a_slow_drip(play: Any) -> None:
    """A byte now and then keeps any single wait short; the whole has a deadline."""

    def habit(request: Request) -> bool:
        request.begin(JSON)
        while not request.web.over.wait(0.05):
            request.write(b" ")
        return True

    began = time.monotonic()
    outcome = play(habit).run(query_limit_s=0.5, attempts=1)
    assert "no end of them in time" in (outcome.summary.problem or "")
    assert time.monotonic() - began < 60


def test_silence(play: Any) -> None:
    outcome = play(lambda r: not r.web.over.wait(5)).run(timeout_s=0.3, attempts=1)
    assert "nothing came in time" in (outcome.summary.problem or "")


def test_a_connection_that_breaks_off(play: Any) -> None:
    def habit(request: Request) -> bool:
        if len(request.web.seen) > 1:
            return False
        request.handler.send_response(200)
        request.handler.send_header("Content-Type", JSON)
        request.handler.send_header("Content-Length", "1000")
        request.handler.end_headers()
        request.write(b"[")
        request.handler.close_connection = True
        return True

    outcome = play(habit).run()
    assert outcome.summary.is_complete
    assert len(outcome.pauses) == 1


def test_certificates_are_verified(settings: Settings, tmp_path: Path) -> None:
    """Unknown authority: refused; named in `ca`: taken."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    command = [require("openssl"), *made.split(), "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web = BadWeb(objects(1))
    with web.running(tls=context):
        refused = Outcome(settings, web).run(attempts=1)
        assert "its certificate cannot be trusted" in (refused.summary.problem or "")
        assert Outcome(settings, web).run(ca=certificate).summary.is_complete


def test_the_error_is_of_the_peer(play: Any) -> None:
    outcome = play(lambda r: r.reply(404))
    archive = WebArchive.model_validate({"name": "web", "url": outcome.peer.url})
    source = open_web(archive, outcome.settings, Spool(outcome.settings.spool_dir))
    with pytest.raises(PeerError, match=r"status 404 \(not found\)"):
        source.series("1.2")
    source.close()
