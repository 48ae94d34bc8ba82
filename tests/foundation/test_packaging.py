"""One truth for what is installed: pyproject, lock and environment.yml agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


def project() -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"runtime": table["dependencies"], "dev": table["optional-dependencies"]["dev"]}


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_every_dependency_is_locked_with_hashes() -> None:
    names = set(locked())
    asked = {canonical(r) for group in project().values() for r in group}
    assert asked <= names
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in b for b in blocks)


def test_the_measured_pins_hold() -> None:
    found = locked()
    assert found["duckdb"] == "1.5.5"
    assert found["duckdb-extension-quack"] == found["duckdb-extension-httpfs"] == found["duckdb"]
    assert found["ibis-framework"] == "12.0.0"
    assert tuple(map(int, found["sqlglot"].split(".")[:2])) < (30, 18)
    assert found["panel"].startswith("1.9.")


def test_conda_users_get_the_same() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, inner = environment["dependencies"]
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == f"python{needs}"
    assert pip == "pip"
    assert inner == {"pip": ["-e ."]}


def test_no_registry_is_named() -> None:
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text.replace("--no-emit-index-url", ""), name
        assert not re.search(r"https?://", text), name
