"""An installation with archives described, and real archives beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from dose_lib.settings import Settings
from dose_lib.simulate import Hospital, SimObject
from tests.collect.peers import LOCAL, Orthanc, free_port, orthanc

END = date(2026, 11, 20)  # a Friday


def hospital_objects(days: int = 1, scenario: str = "demo") -> list[SimObject]:
    """What a simulated hospital made in the days before `END`."""
    return list(Hospital.load(scenario, seed=3, end=END, days=days).objects())


@pytest.fixture
def collecting(settings: Settings) -> Settings:
    """A fresh installation whose listener has a port that can be told to an archive."""
    return settings.model_copy(update={"dicom_port": free_port()})


@pytest.fixture
def describe(collecting: Settings) -> Callable[[str], None]:
    """Writes site/pacs.toml."""

    def write(text: str) -> None:
        collecting.site_dir.mkdir(parents=True, exist_ok=True)
        (collecting.site_dir / "pacs.toml").write_text(text)

    return write


@pytest.fixture(scope="session")
def archive_port() -> int:
    """Port of our listener, as the shared Orthanc knows it."""
    return free_port()


@pytest.fixture(scope="session")
def shared_orthanc(
    tmp_path_factory: pytest.TempPathFactory, archive_port: int
) -> Iterator[Orthanc]:
    """One Orthanc for all tests of a run; each test fills it anew."""
    with orthanc(tmp_path_factory.mktemp("orthanc"), archive_port) as running:
        yield running


@pytest.fixture
def pacs(shared_orthanc: Orthanc) -> Iterator[Orthanc]:
    """An empty Orthanc."""
    shared_orthanc.clear()
    yield shared_orthanc


def table(orthanc_: Orthanc, **more: object) -> str:
    """Description of an Orthanc for site/pacs.toml."""
    given = {"name": "main", "ae_title": "ORTHANC", "host": LOCAL, "port": orthanc_.port}
    given |= {"studies_per_minute": 0} | more
    return "[[pacs]]\n" + "\n".join(f"{k} = {_toml(v)}" for k, v in given.items()) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
