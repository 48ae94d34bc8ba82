"""Planted names and numbers go through the whole service; no part of it says them again."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bokeh.client import ClientSession
from bokeh.client.util import websocket_url_for_server_url

import dose_lib
from dose_lib.records import Code, Staff
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines.heartbeat import read_beat
from pipelines.spool import Spool
from tests.pipelines.running import Running, dose, service
from tests.pipelines.test_full_disk import until
from tests.pipelines.test_ingest import put
from tests.pipelines.test_service import send
from tests.privacy import Hit, find_in_bytes, find_planted
from tests.vault.people import PLANTED

OPERATOR = Staff(
    staff_name="Marchbanks^Thaddeus",
    staff_role_in_procedure=Code(value="113851", scheme="DCM", meaning="Irradiation Administering"),
)

# One that shows numbers, and one that shows texts as devices sent them.
PAGES = ("how_do_our_ct_doses_compare", "which_names_need_a_decision")


def planted_report(number: int) -> bytes:
    """Identifiers where senders put them, and where they should not."""
    return make_ct_rdsr(
        seed=number,
        patient_name="Quillfeather^Ottoline",
        patient_id="PZ-778-341",
        patient_id_issuer="HOSP",
        birth_date="1961-03-04",
        accession_number="ACC-90210-X",
        study_id="SID-55512",
        staff=(OPERATOR,),
        comment="repeat for Quillfeather, PZ-778-341",
        study_description="CT Chest Ottoline",
        acquisition_protocol="Chest Quillfeather 04.03.1961",
    )


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_part_of_the_service_says_a_name_again(settings: Settings, tmp_path: Path) -> None:
    reports = [planted_report(n) for n in range(24)]
    with service(settings, without=("scheduler",)) as running:
        assert len(send(running.port, reports[:20])) == 20
        put(settings, *reports[20:], reports[0][:-900], b"Quillfeather^Ottoline" * 30)
        named = tmp_path / "Quillfeather PZ-778-341.dcm"
        named.write_bytes(reports[1])
        texts = {"ingest": dose(settings, "ingest", str(named)).stdout}
        (tmp_path / "Marchbanks.dcm").write_bytes(reports[2][:-900])
        broken = dose(settings, "ingest", str(tmp_path / "Marchbanks.dcm"), check=False)
        assert broken.returncode == 3
        until(lambda: not Spool(settings.spool_dir).waiting(), 300)
        texts |= pages(running)
        for arguments in (
            ("status",),
            ("status", "--json"),
            ("quarantine", "list", "--json"),
            ("ask", "median DLP by acquisition protocol"),
            ("report", "how_do_our_ct_doses_compare", "--json"),
        ):
            texts[" ".join(arguments)] = dose(settings, *arguments, check=False).stdout
        n = dose_lib.connect(settings=settings).table("studies").count().execute()
    assert n == 24
    hits: list[Hit] = []
    for name, text in texts.items():
        assert text, name
        hits += find_in_bytes(PLANTED, text.encode(), name)
    assert list(settings.reports_dir.glob("*.html"))
    objects = [settings.spool_dir, settings.archive_dir, settings.quarantine_dir]
    hits += [
        hit
        for hit in find_planted(PLANTED, [settings.home], skip=objects)
        # The reason beside an object in quarantine is searched as `quarantine list`.
        if "quarantine" not in hit.where
    ]
    assert hits == []
    notes = [p.read_bytes() for p in settings.quarantine_dir.glob("*.json")]
    assert len(notes) == 3
    assert not [h for note in notes for h in find_in_bytes(PLANTED, note)]
    assert find_planted(PLANTED, [settings.archive_dir]), "the search would have found it"


def pages(running: Running) -> dict[str, str]:
    """Health, metrics, and live pages with the data that they show."""
    running.wait_until_ready()
    state = running.state().service
    beat = read_beat(running.settings.run_dir, "dashboards")
    assert state is not None and beat is not None
    base = str(beat.facts["url"]).rstrip("/")
    texts = {f"/{n}": fetch(f"{state.health}/{n}") for n in ("health", "metrics")}
    texts["index"] = fetch(base)
    for name in PAGES:
        texts[name] = fetch(f"{base}/{name}")
        # In a thread of its own: a browser of another test keeps a loop running in this one.
        with ThreadPoolExecutor(1) as aside:
            texts[f"document of {name}"] = aside.submit(document, f"{base}/{name}").result()
    return texts


def document(url: str) -> str:
    """What a page gets over its socket: all models with their data, as they are sent."""
    session = ClientSession(websocket_url=websocket_url_for_server_url(url))
    session.connect()
    connection = session._connection
    reply = connection._send_message_wait_for_reply(connection._protocol.create("PULL-DOC-REQ"))
    packed = b"".join(buffer.to_bytes() for buffer in reply.buffers)
    session.close()
    return json.dumps(reply.content) + packed.decode("latin-1")


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=300) as answer:  # pages are loaded by the first
        return str(answer.read().decode())
