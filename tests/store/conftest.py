"""Fixtures of the store: opened with stand-ins for the steps before it, and served."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.store.exams import merge, unchanged

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A fresh store, open for writing in this process."""
    with Store.open(settings, merge=merge, normalise=unchanged) as opened:
        yield opened


class Owner:
    """A process that owns and serves a store; see `owner_process`."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.owner_process", str(home), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self) -> dict[str, Any]:
        """The next thing it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the owner ended with {self.process.wait()}"
        said: dict[str, Any] = json.loads(line)
        return said

    def tell(self, word: str) -> dict[str, Any]:
        """Have it do something, and what it says then."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.said()

    def end(self) -> None:
        """Let it close the store and end."""
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=30)

    def kill(self) -> None:
        """End it without any notice."""
        self.process.kill()
        self.process.wait(timeout=30)


StartOwner = Callable[..., Owner]


@pytest.fixture
def start_owner(settings: Settings) -> Iterator[StartOwner]:
    """Starts owners of this test's store in processes of their own; ends what is left."""
    owners: list[Owner] = []

    def start(*arguments: str) -> Owner:
        owner = Owner(settings.home, *arguments)
        owners.append(owner)
        return owner

    yield start
    for owner in owners:
        owner.kill()
        for pipe in (owner.process.stdin, owner.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
