"""Runs the measurements: ``make bench``, or ``python -m benchmarks reading store``.

Every module of this folder that has a ``main()`` is one measurement. Each prints what it
compared, on what machine, and the ratio; numbers of two runs are not comparable.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from pathlib import Path


def measurements() -> list[str]:
    """Names of the measurements, in alphabetical order."""
    here = Path(__file__).parent
    return sorted(p.stem for p in here.glob("*.py") if not p.stem.startswith("_"))


def main(asked: list[str]) -> int:
    """Run the measurements named, or all."""
    known = measurements()
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"unknown measurement {unknown[0]!r}; known: {', '.join(known)}")
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in asked or known:
        print(f"\n== {name} ==", flush=True)
        import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
