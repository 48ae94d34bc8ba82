"""Names that wait, what a decision would do, and what it does; nothing is lost on the way."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import dose_lib
from dose_lib.compare import compare_practice
from dose_lib.errors import UsageError
from dose_lib.mapping import (
    accept_name,
    documentation_mismatches,
    effect_of,
    find_doubtful,
    find_waiting,
    learn_names,
    name_history,
    standing_names,
    undo_name,
    waiting_names,
)
from dose_lib.mapping.read import read_parts, site_facts
from dose_lib.normalise import name_part
from dose_lib.records import Code
from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.mapping.department import HEAD, KNOWN_DLP, ODD, ODD_DLP, department, exam, fill

WHY = {"author": "mp", "because": "asked the lead radiographer"}


@pytest.fixture
def con(settings: Settings) -> Any:
    """The store of the department."""
    fill(settings, department())
    return dose_lib.connect(settings=settings)


def names(con: Any) -> dict[str | None, int]:
    """Exams by procedure."""
    table = con.table("studies")
    rows = table.filter(table.is_patient).group_by("procedure_name").agg(n=lambda t: t.count())
    return {r["procedure_name"]: r["n"] for r in rows.to_pyarrow().to_pylist()}


def test_what_waits_is_said_once_with_what_it_may_mean(con: Any, settings: Settings) -> None:
    (name,) = find_waiting(con, settings=settings)
    assert (name.subject, name.text, name.modality, name.n_exams) == (
        "spezial zwickel", ODD, "CT", 25,
    )  # fmt: skip
    assert name.regions == ("chest",)
    assert name.best is not None
    assert name.best.procedure_name == "CT Chest"
    assert name.best.confidence < 0.5, "irradiated there is no proof"
    assert "irradiated: chest" in name.best.evidence
    table = waiting_names(con, settings=settings)
    assert table.loc[0, "perhaps"] == "CT Chest"


def test_parts_are_named_from_the_tables_as_they_were_from_the_objects(
    con: Any, settings: Settings
) -> None:
    stored = con.table("part").select("part_key", "procedure_name", "body_region", "contrast")
    rows = {r["part_key"]: r for r in stored.to_pyarrow().to_pylist()}
    site = site_facts(con, settings)
    for part in read_parts(con, list(rows)):
        told, row = name_part(part, site), rows[part.part_key]
        assert (told.procedure_name, told.body_region) == (
            row["procedure_name"], row["body_region"],
        )  # fmt: skip


def test_the_effect_is_that_of_the_decision(con: Any, settings: Settings) -> None:
    """The ratio shown before is the one after: by an independent median of the same exams."""
    effect = effect_of(con, ODD, "CT Chest", modality="CT", settings=settings)
    assert (effect.n_concerned, effect.n_moved, effect.n_disagree) == (25, 25, 0)
    assert names(con) == {"CT Chest": 30, None: 25}, "nothing is written by looking"
    (ratio,) = [r for r in effect.ratios if r.quantity == "dlp" and r.level == "LOCAL 2026"]
    assert ratio.before == pytest.approx(np.median(KNOWN_DLP) / 610.0, rel=1e-12)
    assert ratio.after == pytest.approx(np.median(KNOWN_DLP + ODD_DLP) / 610.0, rel=1e-12)
    assert (ratio.n_before, ratio.n_after) == (30, 55)
    assert effect.in_words().startswith("moves 25 of 25 exams; ratio to DRL 0.61 (n = 30) → 0.71")
    accept_name(ODD, "CT Chest", modality="CT", settings=settings, **WHY)
    assert names(con) == {"CT Chest": 55}
    found = compare_practice(con, procedure_name="CT Chest", kind="local", settings=settings)
    (verdict,) = [v for v in found.verdicts if v.quantity == "dlp"]
    assert verdict.ratio == pytest.approx(ratio.after, rel=1e-12)


def test_what_was_irradiated_elsewhere_gets_no_name(settings: Settings) -> None:
    fill(settings, [exam(i, ODD, 100.0, region=HEAD) for i in range(3)])
    con = dose_lib.connect(settings=settings)
    effect = effect_of(con, ODD, "CT Chest", modality="CT", settings=settings)
    assert (effect.n_concerned, effect.n_moved, effect.n_disagree) == (3, 0, 3)
    assert "3 were irradiated elsewhere" in effect.in_words()


@pytest.mark.parametrize(
    ("procedure", "modality", "said"),
    [("CT Chset", "CT", "CT Chest"), ("PCI", "CT", "XA"), ("CT Chest", "CX", "CT")],
)
def test_a_wrong_procedure_is_refused(
    con: Any, settings: Settings, procedure: str, modality: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        effect_of(con, ODD, procedure, modality=modality, settings=settings)


def test_decisions_are_taken_back_one_by_one(con: Any, settings: Settings) -> None:
    for procedure in ("CTPA", "CT Chest", "CTPA"):
        accept_name(ODD, procedure, modality="CT", settings=settings, **WHY)
    undo_name(con, ODD, settings=settings, **WHY)
    assert names(con) == {"CT Chest": 55}
    undo_name(con, ODD, settings=settings, **WHY)
    assert names(con) == {"CT Chest": 30, "CTPA": 25}
    undo_name(con, ODD, settings=settings, **WHY)
    assert names(con) == {"CT Chest": 30, None: 25}
    assert standing_names(con, settings=settings) == ()
    with pytest.raises(UsageError, match="no decision about"):
        undo_name(con, ODD, settings=settings, **WHY)
    told = name_history(con, ODD)
    assert list(told["decided"])[::-1] == ["CTPA", "CT Chest", "CTPA", "CT Chest", "CTPA",
                                           "taken back"]  # fmt: skip
    assert set(told["n_renamed"]) == {25}
    assert set(told["author"]) == {"mp"}


def test_old_results_can_be_given_again(con: Any, settings: Settings) -> None:
    before = datetime.now(UTC)
    scope = {"procedure_name": "CT Chest", "kind": "local", "settings": settings,
             "quantities": ["dlp"]}  # fmt: skip
    was = compare_practice(con, **scope).verdicts[0].figures
    accept_name(ODD, "CT Chest", modality="CT", settings=settings, **WHY)
    now = compare_practice(con, **scope).verdicts[0].figures
    assert (was.n, now.n) == (30, 55)
    assert compare_practice(con, as_of=before, **scope).verdicts[0].figures == was
    assert standing_names(con, as_of=before, settings=settings) == ()
    later = datetime.now(UTC) + timedelta(days=1)
    (standing,) = standing_names(con, as_of=later, settings=settings)
    assert (standing.procedure_name, standing.author, standing.because) == (
        "CT Chest", "mp", WHY["because"],
    )  # fmt: skip


def test_no_procedure_on_purpose_waits_no_more(con: Any, settings: Settings) -> None:
    accept_name(ODD, None, modality="CT", settings=settings, **WHY)
    assert find_waiting(con, settings=settings) == ()
    assert names(con) == {"CT Chest": 30, None: 25}


def test_spellings_of_an_accepted_name_are_learned(settings: Settings) -> None:
    odd = [exam(100 + i, ODD, 500.0) for i in range(5)]
    spelt = [exam(120, "SPEZIAL-ZWICKEL (Adult)", 500.0), exam(121, "Zwickel Spezial", 500.0)]
    others = [exam(130, "Spezial Zwickel 2", 500.0), exam(131, "Spezial Zwikel", 500.0)]
    fill(settings, [*odd, *spelt, *others])
    con = dose_lib.connect(settings=settings)
    assert learn_names(con, settings=settings) == (), "nothing is known yet"
    accept_name(ODD, "CT Chest", modality="CT", settings=settings, **WHY)
    planned = learn_names(con, settings=settings, dry_run=True)
    assert {d.subject for d in planned} == {"spezial-zwickel (adult)", "zwickel spezial"}
    assert names(con) == {"CT Chest": 5, None: 4}
    learn_names(con, settings=settings)
    assert names(con) == {"CT Chest": 7, None: 2}, (
        "a number may matter, and a slip of so short a name may be none"
    )
    told = name_history(con, "Zwickel Spezial").iloc[0]
    assert told["author"] == "DoseLoop"
    assert "like 'Spezial Zwickel'" in told["because"]
    undo_name(con, "Zwickel Spezial", settings=settings, **WHY)
    assert names(con) == {"CT Chest": 6, None: 3}
    assert learn_names(con, settings=settings) == (), "what a person took back is not learned again"


def test_a_text_with_unknown_words_waits_until_another_confirms_it(settings: Settings) -> None:
    text = "Thorax low dose Okapi"
    parts = [exam(1, text, 100.0), exam(2, text, 100.0, protocol="Chest LD")]
    fill(settings, parts)
    con = dose_lib.connect(settings=settings)
    assert names(con) == {"CT Chest Low Dose": 1, None: 1}
    columns = ("procedure_rule", "procedure_confidence", "procedure_evidence")
    rows = con.table("studies").order_by("study_uid").select(*columns).to_pyarrow().to_pylist()
    assert [r["procedure_rule"] for r in rows] == ["waiting", "words"]
    assert rows[0]["procedure_evidence"].startswith("perhaps CT Chest Low Dose (0.90)")
    assert rows[1]["procedure_confidence"] == 0.97
    assert "confirmed by protocol_names 'Chest LD'" in rows[1]["procedure_evidence"]


def test_a_name_that_means_something_else_here_is_doubtful(settings: Settings) -> None:
    """ "Acute abdomen" is scanned to the pelvis each time: the name should say so."""
    both = Code("818983003", "SCT", "Abdomen and pelvis")
    long = {"region": both, "protocol": "P 9"}
    exams = [exam(i, "CT Abdomen/Pelvis", 400.0, **long) for i in range(6)]
    exams += [exam(20 + i, "Acute abdomen", 500.0, **long) for i in range(7)]
    exams += [exam(40, "CT abdomen", 500.0, **long)]  # once is no habit
    fill(settings, exams)
    con = dose_lib.connect(settings=settings)
    assert find_waiting(con, settings=settings) == ()
    (name,) = find_doubtful(con, settings=settings)
    assert (name.text, name.n_exams, name.regions) == ("Acute abdomen", 7, ("abdomen-pelvis",))
    assert name.best is not None
    assert name.best.procedure_name == "CT Abdomen Pelvis"
    assert "100 % of what is done in abdomen-pelvis" in name.best.evidence
    accept_name("Acute abdomen", "CT Abdomen Pelvis", modality="CT", settings=settings, **WHY)
    assert find_doubtful(con, settings=settings) == ()
    table = documentation_mismatches(con)
    assert list(table["name"]) == ["CT abdomen"]


def test_beside_a_running_owner(settings: Settings) -> None:
    """The same through the served store and its door, as a notebook and the command do it."""
    fill(settings, department())
    with Store.open(settings) as store:
        store.serve()
        con = dose_lib.connect(settings=settings)
        (name,) = find_waiting(con, settings=settings)
        effect = effect_of(con, name.subject, "CT Chest", modality="CT", settings=settings)
        assert effect.n_moved == 25
        accept_name(ODD, "CT Chest", modality="CT", settings=settings, **WHY)
        deadline = time.monotonic() + 60
        while names(con) != {"CT Chest": 55}:
            assert time.monotonic() < deadline, "the owner does not name them anew"
            time.sleep(0.2)
        assert find_waiting(con, settings=settings) == ()
        told = name_history(con, ODD)
        assert list(told["decided"]) == ["CT Chest"]


def test_the_longest_query_is_one_the_owner_takes(con: Any, settings: Settings) -> None:
    from dose_lib.mapping.effect import _MOST, Renamed
    from dose_lib.store.guard import MAX_QUERY_BYTES

    part = next(iter(read_parts(con, con.table("part").part_key.to_pyarrow().to_pylist()[:1])))
    naming = name_part(part, site_facts(con, settings))
    keys = {f"{n:0{len(part.part_key)}d}": naming for n in range(_MOST)}
    query = Renamed(con, keys).table("studies").compile()
    assert len(query) < 0.8 * MAX_QUERY_BYTES
