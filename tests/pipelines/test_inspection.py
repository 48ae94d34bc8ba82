"""What `dose inspect` shows: every column a name of the contract, every number whole."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from dose_lib import contract, merge, read_bytes
from dose_lib.errors import DoseError
from dose_lib.records import Part
from dose_lib.simulate.writer import make_ct_rdsr, make_rdsr
from pipelines import inspection
from pipelines.exam_table import show_exams

KINDS = ("fluoroscopy", "biplane", "radiography", "mammography", "radiopharmaceutical")


def shown(content: RenderableType, width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width).print(content)
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    made = [make_ct_rdsr(4, "siemens"), make_ct_rdsr(3, "ge", seed=1)]
    made += [make_rdsr(kind, 3, seed=kind) for kind in KINDS]
    return [part for data in made for part in read_bytes(data)[0]]


def test_every_column_is_a_name_of_the_contract() -> None:
    known = {c.name for c in contract()}
    columns = {*inspection._COLUMNS, *inspection._ADMINISTRATION, *inspection._LEAST_FIRST}
    assert {*columns, *inspection._LABELS} <= known


@pytest.mark.parametrize("width", [80, 100, 160])
def test_many_exams_are_one_line_each(parts: list[Part], width: int) -> None:
    lines = shown(show_exams(parts, width), width)
    assert max(map(len, lines)) <= width
    for part in parts:
        assert part.started_at is not None
        start = part.started_at.strftime("%Y-%m-%d %H:%M")
        assert any(line.strip().startswith(start) for line in lines)
    text = "\n".join(lines)
    for heading in ("CT: 2 exams", "DLP", "mGy.cm", "KAP", "Gy.cm2", "AGD left", "MBq"):
        assert heading in text
    for part in parts:
        for name in ("dlp_total_mgy_cm", "kap_gy_cm2", "agd_left_mgy"):
            if (value := getattr(part.totals, name)) is not None:
                assert f"{value:.4g}" in text  # no number gives way to a narrow terminal


@pytest.mark.parametrize("width", [80, 160])
def test_doses_of_events_stay_in_a_narrow_terminal(parts: list[Part], width: int) -> None:
    lines = shown(inspection.show_parts(parts, width), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in parts:
        for event in part.events:
            for name in ("ctdi_vol_mgy", "dlp_mgy_cm", "kap_gy_cm2", "ka_r_mgy", "agd_mgy"):
                if (value := getattr(event, name, None)) is not None:
                    assert f"{value:.6g}" in text
    assert width > 80 or "in a wider terminal" in text


@pytest.mark.corpus
@pytest.mark.parametrize("width", [80, 160])
def test_real_objects_fit(corpus: Path, width: int) -> None:
    found: list[Part] = []
    for file in sorted(corpus.glob("*.dcm")):
        try:
            found += read_bytes(file.read_bytes(), file=file.name)[0]
        except DoseError:
            continue
    for content in (show_exams(merge(found), width), inspection.show_parts(found, width)):
        assert max(map(len, shown(content, width))) <= width
