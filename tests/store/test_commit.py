"""Committing: every object accounted for, nothing counted twice, all or nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dose_lib.errors import NoDoseError, ReadError, TruncatedError
from dose_lib.records import Part, Pulse, Totals, XRayEvent
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Status, Store
from pipelines.ingest import Counts
from tests.store.exams import ARRIVED, ct_event, ct_part, failed, incoming, merge, unchanged


def statuses(store: Store) -> dict[str, int]:
    return {s.value: n for s, n in store.counts().items() if n}


def tables(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a replay must make again, without the time of the commit."""
    names = ("part", "event", "administration", "estimate", "issue", "provenance", "reading")
    content = {n: sorted(store.sql(f"SELECT * FROM {n}"), key=repr) for n in names}
    ledger = store.sql("SELECT * EXCLUDE (stored_at) FROM object")
    return content | {"object": sorted(ledger, key=repr)}


def test_an_exam_is_stored_as_read(store: Store) -> None:
    part = ct_part()
    (outcome,) = store.commit([incoming(part)])
    assert (outcome.status, outcome.part_keys) == (Status.STORED, (part.part_key,))
    assert [p.part_key for p in outcome.parts] == [part.part_key]
    study = store.sql(
        "SELECT modality, device, procedure_name, dlp_total_mgy_cm, age_y, sex, n_events,"
        " protocol_names, totals_derived, n_issues, started_at, received_at FROM studies"
    )
    assert study == [
        (
            *("CT", "CT1", "CT Chest", 464.0, 54.0, "F", 2, ["Chest routine"]),
            *(["ctdi_vol_32cm_max_mgy"], 1, datetime(2026, 3, 2, 8, 0), ARRIVED),
        )
    ]
    events = store.sql(
        "SELECT record, event_index, ctdi_vol_mgy, phantom, target_region, sources[1].kvp_kv,"
        " field_sources->>'ctdi_vol_mgy', device, age_y FROM events ORDER BY event_index"
    )
    region = {"value": "51185008", "scheme": "SCT", "meaning": "Chest"}
    assert events == [
        ("ct_event", 0, 8.25, "32cm", region, 120.0, "0", "CT1", 54.0),
        ("ct_event", 1, 9.25, "32cm", region, 120.0, "0", "CT1", 54.0),
    ]


def test_what_is_not_recorded_is_null(store: Store) -> None:
    store.commit([incoming(ct_part())])
    row = store.sql(
        "SELECT weight_kg, height_cm, kap_gy_cm2, started_at_utc, procedure_code FROM studies"
    )
    assert row == [(82.5, None, None, None, None)]


def test_numbers_that_are_none_become_null(store: Store) -> None:
    """NaN > 80 is true in DuckDB: one in a column would answer every question wrongly."""
    event = ct_event("1.2.3", 1, ctdi_vol_mgy=math.nan, dlp_mgy_cm=math.inf)
    event = msgspec.structs.replace(event, dw_coefficients=(1.0, math.nan))
    projection = XRayEvent(
        ka_r_mgy=-math.inf, pulses=(Pulse(ordinal=0, kvp_kv=math.nan), Pulse(ordinal=1, kvp_kv=70))
    )
    part = ct_part(events=(event, projection), totals=Totals(dlp_total_mgy_cm=math.nan))
    store.commit([incoming(part)])
    assert store.sql("SELECT ctdi_vol_mgy, dlp_mgy_cm, ka_r_mgy, pulses FROM event") == [
        (None, None, None, None),
        (
            *(None, None, None),
            [
                dict.fromkeys(Pulse.__struct_fields__) | {"ordinal": 0},
                dict.fromkeys(Pulse.__struct_fields__) | {"ordinal": 1, "kvp_kv": 70.0},
            ],
        ),
    ]
    assert store.sql("SELECT count(*) FROM studies WHERE dlp_total_mgy_cm > 80") == [(0,)]
    # The reading is read again when the next report of the study comes.
    again = msgspec.structs.replace(part, sources=ct_part(numbers=(5,)).sources)
    assert store.commit([incoming(again)])[0].status is Status.STORED


def test_a_rule_that_computes_nonsense_gives_null(store: Store) -> None:
    def normalise(part: Part) -> Part:
        return msgspec.structs.replace(part, totals=Totals(ssde_max_mgy=math.nan))

    store._rules = msgspec.structs.replace(store._rules, normalise=normalise)
    (outcome,) = store.commit([incoming(ct_part())])
    assert store.sql("SELECT ssde_max_mgy FROM studies") == [(None,)]
    assert outcome.parts[0].totals.ssde_max_mgy is None


def test_local_time_stays_local_and_utc_is_utc(store: Store) -> None:
    zone = timezone(timedelta(hours=2))
    local = datetime(2026, 7, 1, 9, 30, tzinfo=zone)

    def normalise(part: Part) -> Part:
        return msgspec.structs.replace(part, started_at_utc=local)

    store._rules = msgspec.structs.replace(store._rules, normalise=normalise)
    store.commit([incoming(ct_part(started_at=local))])
    (row,) = store.sql("SELECT started_at, started_at_utc FROM studies")
    assert row[0] == datetime(2026, 7, 1, 9, 30)
    assert row[1] == datetime(2026, 7, 1, 7, 30, tzinfo=UTC)


def test_the_ledger_adds_up(store: Store) -> None:
    """received = stored + superseded + duplicate + no-dose + quarantined + erased + waiting"""
    first, later = ct_part(numbers=(1,)), ct_part(numbers=(1, 2))
    batch = [
        incoming(first, number=1),
        incoming(later, number=2),
        incoming(later, number=3),
        failed(NoDoseError("a localiser image"), 4),
        failed(TruncatedError("the bytes end early", expected="132 bytes"), 5),
    ]
    outcomes = store.commit(batch)
    assert [o.status.value for o in outcomes] == [
        "superseded",
        "stored",
        "duplicate",
        "no_dose",
        "quarantined",
    ]
    counts = store.counts()
    assert set(counts) == set(Status)
    assert sum(counts.values()) == len(batch)
    reasons = dict(store.sql("SELECT status, reason FROM objects"))
    assert reasons["no_dose"] == "a localiser image"
    assert reasons["quarantined"] == "the bytes end early; expected 132 bytes"
    assert reasons["stored"] is None


def test_the_same_receipt_is_stored_once(store: Store) -> None:
    """A worker killed between commit and the removal from the spool hands it in again."""
    one = incoming(ct_part())
    before = store.commit([one])
    again = store.commit([one, one])
    assert statuses(store) == {"stored": 1}
    assert [o.status for o in again] == [before[0].status] * 2
    assert again[0].parts == ()
    assert store.sql("SELECT count(*) FROM studies") == [(1,)]


def test_the_same_bytes_again_are_a_duplicate(store: Store) -> None:
    part = ct_part()
    store.commit([incoming(part, number=1)])
    (outcome,) = store.commit([incoming(part, number=2, route="folder")])
    assert (outcome.status, outcome.part_keys) == (Status.DUPLICATE, (part.part_key,))
    assert statuses(store) == {"stored": 1, "duplicate": 1}
    assert store.sql("SELECT count(*), sum(dlp_total_mgy_cm) FROM studies") == [(1, 464.0)]


def test_a_cumulative_report_replaces_the_earlier(store: Store) -> None:
    """Each report holds all events so far.

    | arrives | events | DLP so far | status of the earlier |
    |---------|--------|------------|-----------------------|
    | 1       | 1      | 231.5      |                       |
    | 2       | 1 2    | 464.0      | superseded            |
    | 3       | 1 2 3  | 697.5      | superseded            |
    """
    for number in (1, 2, 3):
        store.commit([incoming(ct_part(numbers=range(1, number + 1)), number=number)])
    assert store.sql("SELECT n_events, dlp_total_mgy_cm FROM studies") == [(3, 697.5)]
    assert store.sql("SELECT count(*) FROM events") == [(3,)]
    assert store.sql("SELECT status FROM objects ORDER BY received_at") == [
        ("superseded",),
        ("superseded",),
        ("stored",),
    ]


def test_an_earlier_copy_that_comes_late_changes_nothing(store: Store) -> None:
    store.commit([incoming(ct_part(numbers=(1, 2)), number=1)])
    before = store.sql("SELECT * EXCLUDE received_at FROM studies")
    (outcome,) = store.commit([incoming(ct_part(numbers=(1,)), number=2)])
    assert outcome.status is Status.SUPERSEDED
    assert store.sql("SELECT * EXCLUDE received_at FROM studies") == before


def test_a_continued_study_is_united(store: Store) -> None:
    store.commit([incoming(ct_part(numbers=(1,)), number=1)])
    store.commit([incoming(ct_part(numbers=(2,)), number=2)])
    assert store.sql("SELECT n_events, dlp_total_mgy_cm FROM studies") == [(2, 464.0)]
    assert statuses(store) == {"stored": 2}
    assert store.sql("SELECT len(sources) FROM part") == [(2,)]


def test_two_devices_of_one_study_stay_apart(store: Store) -> None:
    store.commit([incoming(ct_part(), number=1)])
    store.commit([incoming(ct_part(serial_number="S-2", sop_instance_uid="7.7"), number=2)])
    assert store.sql("SELECT count(*), count(DISTINCT device_key) FROM studies") == [(2, 2)]
    assert store.sql("SELECT count(*) FROM studies WHERE dlp_total_mgy_cm = 464") == [(2,)]


def test_an_object_with_two_parts(store: Store) -> None:
    one, other = ct_part(), ct_part(serial_number="S-2")
    both = incoming(one, parts=(one, other))
    (outcome,) = store.commit([both])
    assert set(outcome.part_keys) == {one.part_key, other.part_key}
    assert store.sql("SELECT len(part_keys) FROM objects") == [(2,)]
    assert statuses(store) == {"stored": 1}


def test_quarantined_objects_may_be_tried_again(store: Store) -> None:
    bad = failed(ReadError("an unknown template"), 1)
    store.commit([bad])
    part = ct_part()
    (outcome,) = store.commit([msgspec.structs.replace(bad, parts=(part,), error=None)])
    assert outcome.status is Status.STORED
    assert statuses(store) == {"stored": 1}


def test_no_file_name_is_kept(store: Store) -> None:
    store.commit([incoming(ct_part())])
    assert store.sql("SELECT sources[1].file FROM part") == [(None,)]
    (row,) = store.sql("SELECT record FROM reading")
    from dose_lib.store.reading import unpack_part

    kept = unpack_part(row[0])
    assert kept.sources[0].file is None
    assert kept.sources[0].sha256 == incoming(ct_part()).sha256


def test_a_batch_is_stored_whole_or_not_at_all(settings: Settings) -> None:
    def fails_on_one(parts: Any) -> tuple[Part, ...]:
        some = tuple(parts)
        if some[0].study_uid == "9.9":
            raise RuntimeError("a rule met what it cannot handle")
        return merge(some)

    with Store.open(settings, merge=fails_on_one, normalise=unchanged) as store:
        good, bad = incoming(ct_part(), number=1), incoming(ct_part("9.9"), number=2)
        with pytest.raises(RuntimeError):
            store.commit([good, bad])
        assert not any(store.counts().values())
        assert store.sql("SELECT count(*) FROM reading") == [(0,)]
        assert store.commit([good])[0].status is Status.STORED


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert store.commit([]) == []


def test_outcomes_come_in_the_order_of_the_batch(store: Store) -> None:
    batch = [incoming(ct_part(f"1.{n}"), number=9 - n) for n in range(9)]
    assert [o.sha256 for o in store.commit(batch)] == [i.sha256 for i in batch]


def test_what_was_committed_is_there_after_closing(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part())])
        before = tables(store)
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        assert tables(store) == before
    assert settings.store_file.stat().st_mode & 0o777 == 0o600
    assert settings.store_file.parent.stat().st_mode & 0o777 == 0o700


OBJECTS = (
    incoming(ct_part(numbers=(1,)), number=1),
    incoming(ct_part(numbers=(1, 2)), number=2),
    incoming(ct_part(numbers=(3,)), number=3),
    incoming(ct_part("1.2.4"), number=4),
    incoming(ct_part("1.2.4", serial_number="S-2", sop_instance_uid="5.5"), number=5),
    failed(NoDoseError("nothing in it"), 6),
)


@given(order=st.permutations(range(len(OBJECTS))), cuts=st.sets(st.integers(1, 5), max_size=5))
@hypothesis_settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_and_any_batches_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, order: Sequence[int], cuts: set[int]
) -> None:
    def load(batches: Sequence[Sequence[Incoming]]) -> dict[str, list[tuple[Any, ...]]]:
        home = Settings(home=tmp_path_factory.mktemp("home"))
        with Store.open(home, merge=merge, normalise=unchanged) as store:
            for batch in batches:
                store.commit(batch)
            return tables(store)

    edges = [0, *sorted(cuts), len(order)]
    shuffled = [OBJECTS[i] for i in order]
    batches = [shuffled[a:b] for a, b in itertools.pairwise(edges)]
    assert load(batches) == load([OBJECTS])


def test_a_repetition_received_earlier_counts_once(store: Store) -> None:
    """What the counters of the service say is what the ledger says.

    | committed | received | ledger then       | counted as |
    | --------- | -------- | ----------------- | ---------- |
    | first     | 9th      | stored            | stored     |
    | second    | 2nd      | stored, 9th: dup. | duplicate  |
    | third     | 1st      | stored, 2nd: dup. | duplicate  |
    | fourth    | 5th      | duplicate         | duplicate  |
    """
    counts = Counts()
    outcomes = [store.commit([incoming(ct_part(), number=n)])[0] for n in (9, 2, 1, 5)]
    for outcome in outcomes:
        counts.add(outcome)
    assert [o.status for o in outcomes] == ["stored", "stored", "stored", "duplicate"]
    assert [o.in_place_of for o in outcomes] == [
        *(None, outcomes[0].receipt_id, outcomes[1].receipt_id, None)
    ]
    assert (counts.stored, counts.duplicate) == (1, 3)
    assert store.counts()[Status.STORED] == counts.stored
    assert store.counts()[Status.DUPLICATE] == counts.duplicate
