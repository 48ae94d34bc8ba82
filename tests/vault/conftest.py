"""An opened vault of a fresh installation, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dose_lib.settings import Settings
from dose_lib.vault import Vault
from tests.vault.people import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(settings: Settings, clock: Clock) -> Iterator[Vault]:
    with Vault.open(settings, clock=clock) as opened:
        yield opened
