"""Identifiers that follow from a seed: the same scenario writes the same bytes each time."""

from __future__ import annotations

import hashlib


def seed_number(*words: object) -> int:
    """A 128-bit number that follows from `words`; the root of every random stream and UID."""
    text = "\x1f".join(str(w) for w in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def derive_uid(*words: object) -> str:
    """A UID under the root 2.25 (PS3.5 annex B.2) that follows from `words`."""
    return f"2.25.{seed_number('uid', *words)}"
