"""Little memory for processes that live for months: what allocators keep, and give back.

Measured on the whole service after 900 reports (`python -m benchmarks memory`). Three things
held two thirds of it, and none of them did any work:

- DuckDB imports pandas as soon as a query has parameters, to recognise pandas' missing values;
- the store's server has 128 threads, and each kept freed vectors of its last answer for itself
  (jemalloc's thread caches) and had a heap of its own (glibc's arenas);
- what reading and storing a batch used once stayed with the allocators for the next batch, of
  Arrow with an allocator of its own.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

# Read by the allocators when a process starts; what the environment says already wins. Giving
# freed pages back at once (a decay of 0) costs a third more CPU while a backlog is stored.
ALLOCATORS: Mapping[str, str] = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "DUCKDB_JE_MALLOC_CONF": "tcache:false,dirty_decay_ms:250,muzzy_decay_ms:0",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
_ALL_ARENAS = b"arena.4096.purge"  # MALLCTL_ARENAS_ALL of jemalloc


class _Absent(MetaPathFinder):
    """Finds that packages are not there."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"this process goes without {name}", name=name)


def go_without(*packages: str) -> None:
    """Let imports of packages fail in this process, as if they were not installed.

    For what libraries import on the off chance that a value of ours might be one of theirs.
    What was imported already stays.
    """
    # Not None in `sys.modules`: pyarrow takes that None for the module.
    sys.meta_path.insert(0, _Absent(frozenset(packages)))


def give_back() -> None:
    """Return to the system what the allocators hold and nobody uses; some milliseconds."""
    gc.collect()
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc has it
        trim(0)
    duckdb = sys.modules.get("_duckdb")
    if duckdb is not None and duckdb.__file__:
        control = getattr(ctypes.CDLL(duckdb.__file__), "duckdb_je_mallctl", None)
        if control is not None:  # DuckDB brings an allocator of its own, on Linux
            control(_ALL_ARENAS, None, None, None, ctypes.c_size_t(0))
