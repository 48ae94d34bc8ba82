"""Real layouts, damaged: elements lost, content items moved, wrapped, doubled, bytes flipped.

Whatever is still read must be what provenance says of it: the number as recorded, times the
factor of the unit that stands beside it. A dose in the wrong unit would break this.

``DOSE_FUZZ=20`` makes twenty times as many; what is made follows from their number alone.
"""

from __future__ import annotations

import os
from io import BytesIO
from random import Random

import msgspec
import pydicom
import pytest
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import merge, units
from dose_lib.dicom.text import read_numbers
from dose_lib.records import Part, Provenance, contract
from dose_lib.simulate.writer import dialect_names, make_ct_rdsr, make_rdsr
from tests.dicom import build as b
from tests.dicom.test_hostile import read_or_refuse

TIMES = int(os.environ.get("DOSE_FUZZ", "1"))
KINDS = ("biplane", "pulsed", "mammography", "cone-beam", "radiopharmaceutical")
UNITS = {row.name: row.unit for row in contract() if row.unit}
# Names of lists within records, which the contract gives as one.
ENDINGS = {
    "_kv": "kV",
    "_mas": "mA.s",
    "_ma": "mA",
    "_ms": "ms",
    "_mm": "mm",
    "_kap_gy_cm2": "Gy.cm2",
}


def originals() -> list[bytes]:
    reports = [make_rdsr(kind, 2) for kind in KINDS]
    ct = [make_ct_rdsr(events=2, vendor=v) for v in dialect_names() if v in ("ge", "siemens")]
    return [*reports, *ct]


def damage_tree(rng: Random, data_set: Dataset) -> None:
    """One change of the kind that other software makes: to an item somewhere in the tree."""
    above = data_set
    for _ in range(rng.choice([0, 1, 2, 3])):
        below = [i for i in above.get("ContentSequence", []) if i.get("ContentSequence")]
        above = rng.choice(below) if below else above
    items = above.get("ContentSequence")
    if not items:
        return
    place = rng.randrange(len(items))
    change = rng.randrange(7)
    if change == 0:
        del items[place]
    elif change == 1:
        items.append(items[rng.randrange(len(items))])
    elif change == 2:
        rng.shuffle(items)
    elif change == 3:
        items[place] = b.container(("9", "99OWN", "Group"), items[place])
    elif change == 4:
        item = items[place]
        del item[rng.choice(list(item.keys()))]
    elif change == 5:
        container = rng.choice((c.CT_ACQUISITION, c.IRRADIATION_EVENT_XRAY_DATA, c.CT_DOSE))
        items[place] = b.container(container, items[place], rel="CONTAINS")
    else:
        _change_measured(rng, items[place])


def _change_measured(rng: Random, item: Dataset) -> None:
    measured = item.get("MeasuredValueSequence")
    if measured and measured[0].get("MeasurementUnitsCodeSequence"):
        unit = measured[0].MeasurementUnitsCodeSequence[0]
        unit.CodeValue = rng.choice(("mGy", "Gy", "dGy.cm2", "uGym2", "mGycm", "s", "ms", "x", "1"))


def check_units(part: Part) -> int:
    """Compare every converted value with what provenance says; returns how many there were."""
    told = [p for p in part.provenance if p.factor is not None and p.unit is not None]
    for one in told:
        _check(part, one)
    return len(told)


def _check(part: Part, one: Provenance) -> None:
    name = one.name.rsplit(".", 1)[-1].split("[")[0]
    assert one.unit is not None and one.factor is not None
    unit = UNITS.get(name) or next((u for end, u in ENDINGS.items() if name.endswith(end)), None)
    assert unit is not None, name
    assert one.factor == units.factor(one.unit, unit), one
    value = _value_at(part, one.name)
    numbers = read_numbers(one.recorded)[0]
    if isinstance(value, float) and len(numbers) == 1:
        assert value == pytest.approx(numbers[0] * one.factor, rel=1e-12), one


def _value_at(part: Part, name: str) -> object:
    found: object = part
    for step in name.replace("[", ".").replace("]", "").split("."):
        if isinstance(found, tuple):
            found = found[int(step)] if step and int(step) < len(found) else None
        else:
            found = getattr(found, step, None)
        if found is None:
            return None
    return found


@pytest.mark.parametrize("count", [20, pytest.param(150 * TIMES, marks=pytest.mark.slow)])
def test_damaged_trees_are_read_as_provenance_says(count: int) -> None:
    rng, made, checked = Random(count), originals(), 0
    for number in range(count):
        data_set = pydicom.dcmread(BytesIO(made[number % len(made)]))
        for _ in range(rng.choice([1, 2, 5])):
            damage_tree(rng, data_set)
        parts = read_or_refuse(b.encode(data_set))
        checked += sum(map(check_units, parts))
        merge(parts)
    assert checked > count  # the changes leave something to compare


@pytest.mark.parametrize("count", [150, pytest.param(1000 * TIMES, marks=pytest.mark.slow)])
def test_damaged_bytes_are_read_or_refused(count: int) -> None:
    rng, made = Random(count), originals()
    recent: tuple[Part, ...] = ()
    for number in range(count):
        parts = read_or_refuse(damage_bytes(rng, made[number % len(made)]))
        for part in parts:
            check_units(part)
        recent = (*recent, *parts)[-6:]
        if number % 10 == 0:
            assert msgspec.json.encode(merge(recent))


def damage_bytes(rng: Random, data: bytes) -> bytes:
    """Bits flipped, bytes lost, doubled, exchanged, or the end missing."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 2, 8])):
        place, other = rng.randrange(132, len(damaged)), rng.randrange(132, len(damaged))
        size = rng.choice([1, 2, 8, 60])
        change = rng.randrange(5)
        if change == 0:
            damaged[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            del damaged[place : place + size]
        elif change == 2:
            damaged[place:place] = damaged[other : other + size]
        elif change == 3:
            there, here = damaged[other : other + size], damaged[place : place + size]
            damaged[place : place + size], damaged[other : other + size] = there, here
        elif rng.random() < 0.2:
            del damaged[place:]
        if len(damaged) < 200:
            break
    return bytes(damaged)
