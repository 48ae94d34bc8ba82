"""Where a stored number came from, asked of the store."""

from __future__ import annotations

import pytest

from dose_lib.errors import UsageError
from dose_lib.settings import Settings
from dose_lib.store import Store, trace
from dose_lib.store.connect import connect
from tests.store.exams import ct_part, incoming, merge, unchanged


@pytest.fixture
def part_key(settings: Settings) -> str:
    part = ct_part()
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(part)])
    return part.part_key


def test_a_value_leads_to_its_content_item(settings: Settings, part_key: str) -> None:
    con = connect(settings=settings)
    (entry,) = trace(part_key, "dlp_total_mgy_cm", con)
    assert (entry.path, entry.recorded, entry.unit) == ("/113811/113813", "463.0", "mGy.cm")
    assert trace(part_key, "totals.dlp_total_mgy_cm", con) == (entry,)
    assert trace(part_key, "events[0].ctdi_vol_mgy", con)[0].recorded == "8.25"
    assert len(trace(part_key, con=con)) == 2


def test_unknown_names_get_a_hint(settings: Settings, part_key: str) -> None:
    con = connect(settings=settings)
    with pytest.raises(UsageError, match="no exam part 'abc'"):
        trace("abc", con=con)
    with pytest.raises(UsageError, match="did you mean 'dlp_total_mgy_cm'"):
        trace(part_key, "dlp_total", con)
    with pytest.raises(UsageError, match="no exam part"):
        trace("' OR true --", con=con)
