"""The container file step by step, without an engine: what each step needs is there and right.

No engine builds it here; every instruction is read and held against the repository: its sources
exist and hold all that a wheel is made of, its packages are the locked ones, its user is not
root, its volume is the home folder, and its health check says what is.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dose_lib.settings import Settings
from tests.pipelines.running import ROOT, environment

FILE = ROOT / "deploy" / "Containerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


class Step(NamedTuple):
    """One instruction of a stage."""

    stage: int
    name: str
    text: str


def steps() -> list[Step]:
    """All instructions, continued lines joined."""
    lines = FILE.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found: list[Step] = []
    stage = -1
    for line in lines:
        if line and not line.startswith("#"):
            name, _, text = line.partition(" ")
            stage += name == "FROM"
            found.append(Step(stage, name, text.strip()))
    return found


def texts(name: str, stage: int | None = None) -> list[str]:
    return [s.text for s in steps() if s.name == name and stage in (None, s.stage)]


def test_what_is_copied_is_there_and_is_all_that_is_installed() -> None:
    copied = [shlex.split(text) for text in texts("COPY", 0)]
    sources = {source for words in copied for source in words[:-1]}
    assert {s for s in sources if not (ROOT / s).exists()} == set()
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    included = {*wheel.get("packages", ()), *wheel.get("include", ())}
    included |= set(wheel.get("force-include", {}))
    tops = {path.strip("/").split("/")[0] for path in included}
    assert tops <= sources, "what the wheel is made of"
    assert PROJECT["project"]["readme"] in sources
    assert {"pyproject.toml", "requirements.lock"} <= sources
    ignored = [f for f in (".dockerignore", ".containerignore") if (ROOT / f).exists()]
    assert ignored == [], "nothing of these may be left out of the context"


def test_packages_come_from_the_lock_alone() -> None:
    runs = texts("RUN", 0)
    installs = [r for r in runs if "pip install" in r]
    assert len(installs) == 2
    assert "--require-hashes --requirement requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    locked = {canonicalize_name(n) for n in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)}
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    # Built without isolation: the backend has to be among the locked packages as well.
    missing = {Requirement(n).name for n in needed} - {
        Requirement(n).name for n in needed if canonicalize_name(Requirement(n).name) in locked
    }
    assert missing == set()
    assert not [r for r in texts("RUN") if "apt" in r], "no system package is needed"


def test_python_and_paths_of_both_stages_agree() -> None:
    images = {text.split()[0] for text in texts("FROM")}
    assert len(images) == 1, "an environment runs on the Python that made it"
    (version,) = re.findall(r"python:(\d+\.\d+)", images.pop())
    assert f">={version}" in PROJECT["project"]["requires-python"]
    (copied,) = texts("COPY", 1)
    source, _, target = copied.removeprefix("--from=build ").partition(" ")
    (folder,) = texts("WORKDIR", 0)
    assert source == target == folder, "scripts of an environment name its folder"
    (env,) = texts("ENV", 1)
    assert f"PATH={folder}/.venv/bin:$PATH" in env


def test_it_does_not_run_as_root_and_keeps_its_home() -> None:
    (user,), (volume,), (env,) = texts("USER", 1), texts("VOLUME", 1), texts("ENV", 1)
    (made,) = texts("RUN", 1)
    words = shlex.split(made)
    assert user == "doseloop"
    assert int(words[words.index("--uid") + 1]) > 0
    assert words[words.index("--home-dir") + 1] == volume
    assert f"DOSE_HOME={volume}" in env
    assert f"chmod 0700 {volume}" in made
    order = [s.name for s in steps() if s.stage == 1]
    assert order.index("RUN") < order.index("USER"), "the user is made before it is used"
    assert texts("STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.service
def test_entry_and_health_check_are_commands_of_ours(settings: Settings) -> None:
    """The health check fails where no service runs, and says so as JSON."""
    (entry,), (default,) = texts("ENTRYPOINT"), texts("CMD")
    assert PROJECT["project"]["scripts"].keys() >= set(json.loads(entry))
    assert json.loads(default) == ["serve"]
    (check,) = texts("HEALTHCHECK")
    command = json.loads(check.partition(" CMD ")[2])
    assert command[0] == "dose"
    script = Path(sys.executable).with_name(command[0])
    assert script.exists(), "installed beside its Python, as in the image"
    ended = subprocess.run(
        [str(script), *command[1:]],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**environment(), "DOSE_HOME": str(settings.home)},
    )
    assert ended.returncode == 6, ended.stderr
    assert json.loads(ended.stdout)["is_healthy"] is False
