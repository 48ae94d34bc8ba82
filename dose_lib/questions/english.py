"""Common English words: no typing errors, and safe to send through the outbound gate."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def _read() -> frozenset[str]:
    text = files("dose_lib.questions").joinpath("english.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(w for line in lines for w in line.split())


WORDS = _read()
