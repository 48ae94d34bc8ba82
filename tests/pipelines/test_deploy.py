"""What an administrator installs fits what the service is."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from dose_lib.settings import Settings, load_settings
from pipelines.schedule import trigger_of
from pipelines.service import _STOP_S
from tests.pipelines.running import ROOT

UNIT = ROOT / "deploy" / "doseloop.service"
CONTAINER = ROOT / "deploy" / "Containerfile"
PAGE = ROOT / "docs" / "installation.md"


def test_unit_waits_as_long_as_a_stop_may_take() -> None:
    text = UNIT.read_text(encoding="utf-8")
    (limit,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(limit) > sum(_STOP_S.values())
    assert "KillMode=mixed" in text, "only the supervisor gets SIGTERM; it stops in order"
    assert "RestartPreventExitStatus=2" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/doseloop/.venv/bin/dose", "/bin/true")
    unit.write_text(text, encoding="utf-8")
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert not [x for x in ended.stderr.splitlines() if UNIT.name in x and "nknown" in x]


def test_container_exposes_the_ports_of_the_settings() -> None:
    fields = Settings.model_fields
    ports = {str(fields[n].default) for n in ("dicom_port", "dashboards_port")}
    (exposed,) = re.findall(r"^EXPOSE (.*)$", CONTAINER.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(exposed.split()) == ports
    for copied in re.findall(r"^COPY (\w[\w.]*)", CONTAINER.read_text(), re.MULTILINE):
        assert (ROOT / copied).exists(), copied


def test_settings_and_timetable_of_the_page_are_usable(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    settings, timetable = blocks
    (tmp_path / "doseloop.toml").write_text(settings, encoding="utf-8")
    assert load_settings(tmp_path).dicom_peers[0] == "CT1@10.1.2.3"
    for entry in tomllib.loads(timetable)["report"]:
        assert trigger_of(entry["cron"], "Europe/London")
        assert (ROOT / "notebooks" / f"{entry['notebook']}.ipynb").exists()


def test_every_setting_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:dicom|spool|dashboards|health)_\w+)`", PAGE.read_text()))
    assert named and named <= set(Settings.model_fields)
