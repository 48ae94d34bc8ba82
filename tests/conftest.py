"""Fixtures for all tests: a fresh installation, real objects where they are, loud skips."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dose_lib.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
# Tables of the command are as wide as the terminal: here always the same, for child processes too.
os.environ["COLUMNS"] = "160"
# A busy machine is slow, which is no failure. CI looks at the same examples each time; a run
# at a desk looks at new ones.
hypothesis_settings.register_profile(
    "doseloop",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("DOSE_REQUIRE_ALL") == "1",
)
hypothesis_settings.load_profile("doseloop")
# Programs that only tests need, and the Debian package each comes with.
PACKAGES = {
    "chromium": "chromium",
    "storescu": "dcmtk",
    "dcmqrscp": "dcmtk",
    "dcmmkdir": "dcmtk",
    "wlmscpfs": "dcmtk",
    "movescu": "dcmtk",
    "findscu": "dcmtk",
    "dcmdump": "dcmtk",
    "dcmftest": "dcmtk",
    "echoscu": "dcmtk",
    "openssl": "openssl",
    "dsrdump": "dcmtk",
    "Orthanc": "orthanc",
    "java": "default-jre-headless",
    "strace": "strace",
    "dciodvfy": "dicom3tools",
}
_missing: set[str] = set()


def require(program: str) -> str:
    """Path of a system program; skips the test without it, fails where all are required."""
    # pynetdicom brings a storescu and an echoscu of its own into an activated environment.
    ours = Path(sys.executable).parent
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f) != ours]
    found = shutil.which(program, path=os.pathsep.join(folders))
    if found is None:
        _missing.add(PACKAGES[program])
        message = f"{program} is not installed: sudo apt-get install -y {PACKAGES[program]}"
        if os.environ.get("DOSE_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.section("NOT TESTED: system packages are missing", sep="!", red=True)
        terminalreporter.line(f"sudo apt-get install -y {' '.join(sorted(_missing))}")


# What these tests await is done by other processes and threads, which a busy machine may hold up.
_OTHERS_TAKE_PART = {"service", "browser", "peer", "spark"}
_FOLDERS_OF_PROCESSES = {"collect", "notebooks", "pipelines", "vault"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where other processes take part, a failure is looked at twice, and the summary says so.

    What only computes gets no second look.
    """
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        marks = {mark.name for mark in item.iter_markers()}
        if folder in _FOLDERS_OF_PROCESSES or marks & _OTHERS_TAKE_PART:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


def corpus_folder() -> Path:
    """Folder of the real dose objects: DOSE_CORPUS, else shared/corpus beside the checkout."""
    return Path(os.environ.get("DOSE_CORPUS") or ROOT.parent / "shared" / "corpus")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of real dose objects; they are not part of the project, so the test may skip."""
    folder = corpus_folder()
    if not (folder / "expected.csv").is_file():
        pytest.skip("the real dose objects are not here (DOSE_CORPUS names their folder)")
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A fresh installation in a folder of its own, on free ports."""
    for name in list(os.environ):
        if name.startswith("DOSE_") and name not in ("DOSE_REQUIRE_ALL", "DOSE_CORPUS"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("DOSE_HOME", str(home))
    yield load_settings(home, dicom_port=0, health_port=0, dashboards_port=0)
