"""A running service fetches by itself, and takes what is pushed over the web, into one store."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

import dose_lib
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital
from pipelines.heartbeat import read_beat
from pipelines.stow import token_file
from tests.collect.conftest import table
from tests.collect.peers import LOCAL, Orthanc
from tests.collect.test_archives import write_peers
from tests.pipelines.running import service
from tests.pipelines.test_stow import MULTIPART, body

pytestmark = [pytest.mark.peer, pytest.mark.service, pytest.mark.slow]


def test_the_service_collects_and_is_sent_to(
    settings: Settings,
    pacs: Orthanc,
    archive_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    made = list(Hospital.load("demo", seed=3, end=today, days=2).objects())
    fetched, pushed = made[:-2], made[-2:]
    pacs.load(o.data for o in fetched)
    write_peers(settings, table(pacs, retrieve="c-move", days_back=3, every_minutes=1))
    monkeypatch.setenv("DOSE_STOW_PORT", "0")
    with service(settings, "--dicom-port", str(archive_port)):
        beat = await_beat(settings, "stow")
        answer = httpx.post(
            f"http://{LOCAL}:{beat['port']}/studies",
            content=body(*(o.data for o in pushed)),
            headers={
                "Authorization": f"Bearer {token_file(settings).read_text().strip()}",
                "Content-Type": MULTIPART,
            },
            timeout=30,
        )
        assert answer.status_code == 200
        wanted = {o.sop_instance_uid for o in made}
        until = time.monotonic() + 150
        while (stored := uids(settings)) != wanted:
            assert time.monotonic() < until, (len(stored), await_beat(settings, "collector"))
            time.sleep(0.3)


def uids(settings: Settings) -> set[str]:
    objects = dose_lib.connect(settings=settings).table("objects")
    return set(objects.sop_instance_uid.to_pyarrow().to_pylist())


def await_beat(settings: Settings, part: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while (beat := read_beat(settings.run_dir, part)) is None or not beat.is_ready:
        assert time.monotonic() < until, part
        time.sleep(0.1)
    return dict(beat.facts)
