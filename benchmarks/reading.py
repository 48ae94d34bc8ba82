"""Reading to records against a full pydicom walk of the same bytes, side by side.

The walk reads the file and visits every element, as any reader on pydicom must; ours ends
with records, totals, issues and the provenance of every value. Real objects where they
are (DOSE_CORPUS), else simulated ones. To reach: 10 times faster on the median, never
slower, the 89-event report below 0.15 s (DESIGN §11).
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from io import BytesIO

import pydicom
from pydicom import config
from pydicom.dataset import Dataset

from dose_lib import read_bytes
from dose_lib.dicom.identify import peek
from dose_lib.errors import NoDoseError
from dose_lib.simulate.writer import dialect_names, make_ct_rdsr, make_rdsr
from tests.conftest import corpus_folder

ROUNDS, CALLS = 5, 4


def samples() -> dict[str, bytes]:
    """Objects by name: the real ones, else what the simulator makes."""
    real = {p.name: p.read_bytes() for p in sorted(corpus_folder().glob("*.dcm"))}
    if real:
        return real
    made = {f"CT {v}": make_ct_rdsr(events=4, vendor=v) for v in dialect_names()}
    return made | {f"fluoroscopy, {n} events": make_rdsr("fluoroscopy", n) for n in (5, 20, 89)}


def walk(data: bytes) -> int:
    """Every element of the object, decoded by pydicom."""

    def visit(data_set: Dataset) -> int:
        count = 0
        for element in data_set:
            count += 1
            if element.VR == "SQ":
                count += sum(visit(item) for item in element.value)
        return count

    return visit(pydicom.dcmread(BytesIO(data), force=True))


def ours(data: bytes) -> None:
    """What the product does with it."""
    try:
        read_bytes(data)
    except NoDoseError:
        return


def measure(*functions: Callable[[bytes], object], data: bytes) -> list[float]:
    """Best time of one call of each.

    Measured in turns so that both meet the same machine, and several calls a turn, as in
    a stream of objects: the processor's caches then hold the code that runs.
    """
    best = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for n, function in enumerate(functions):
            for _ in range(CALLS):
                started = time.process_time()
                function(data)
                best[n] = min(best[n], time.process_time() - started)
    return best


def main() -> None:
    """Print both times and the ratio for each object, and the median ratio."""
    ratios: dict[str, list[float]] = {"reports": [], "images": []}
    print(f"{'object':44} {'kB':>7} {'pydicom ms':>11} {'ours ms':>9} {'ratio':>7}")
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        for name, data in samples().items():
            theirs, own = measure(walk, ours, data=data)
            size, ratio = len(data) / 1000, theirs / own
            ratios["reports" if peek(data).modality == "SR" else "images"].append(ratio)
            print(f"{name:44} {size:7.1f} {theirs * 1e3:11.2f} {own * 1e3:9.2f} {ratio:7.1f}")
    for kind, found in {**ratios, "all": [*ratios["reports"], *ratios["images"]]}.items():
        if found:
            print(f"{kind}: median ratio {statistics.median(found):.1f}, lowest {min(found):.1f}")


if __name__ == "__main__":
    main()
