"""Which level counts for an exam, and who has to sign it off first."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from dose_lib.errors import LevelError, UsageError
from dose_lib.records import Phantom
from dose_lib.reference import (
    Confidence,
    Kind,
    Level,
    Per,
    PhantomBasis,
    Quantity,
    Reason,
    SignOff,
    apply_sign_offs,
    load_levels,
    narrow_levels,
    pick_level,
    published_levels,
    sign_off,
    sign_offs,
    unusable,
)
from dose_lib.settings import Settings

TODAY = date(2026, 11, 22)
HEADER = "drl_set,year,modality,procedure,population,size_basis,size_min,size_max,size_unit,"
HEADER += "phantom,quantity,statistic,value,unit,per"


def gb(name: str, quantity: str, kind: str = "national") -> tuple[Level, ...]:
    return narrow_levels(
        published_levels(), procedure_name=name, quantity=quantity, kind=kind, country="GB"
    ).levels


def site_file(settings: Settings, *lines: str, header: str = HEADER) -> None:
    folder = settings.site_dir / "drl"
    folder.mkdir(parents=True)
    (folder / "local.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def test_each_set_of_the_library_is_there() -> None:
    assert len(published_levels()) == 708
    assert len({x.set_id for x in published_levels()}) == 29


def test_a_verified_value_with_a_conventional_phantom_waits_for_sign_off() -> None:
    (level,) = gb("CT Chest", "dlp")
    assert (level.value, level.unit, level.phantom) == (290, "mGy.cm", "32cm")
    choice = pick_level([level], on=TODAY, age_y=60)
    assert choice.reason is Reason.NOT_SIGNED_OFF
    assert "by convention" in (choice.text or "")


def test_a_sign_off_makes_it_usable_and_says_who() -> None:
    decision = sign_off(published_levels(), "GB-UKHSA-NDRL", author="medical physics")
    signed = apply_sign_offs(gb("CT Chest", "dlp"), sign_offs([decision]))
    choice = pick_level(signed, on=TODAY, age_y=60)
    assert choice.reason is None
    assert choice.level is not None
    assert choice.level.signed_by == "medical physics"
    assert choice.level.phantom_basis is PhantomBasis.SIGN_OFF


def test_a_sign_off_survives_json() -> None:
    decision = sign_off(published_levels(), "GB-UKHSA-NDRL", author="a")
    back = msgspec.json.decode(msgspec.json.encode(decision), type=type(decision))
    assert sign_offs([back]) == sign_offs([decision])


def test_a_sign_off_taken_back_counts_no_more() -> None:
    made = [
        sign_off(published_levels(), "GB-UKHSA-NDRL", author="a"),
        sign_off(published_levels(), "GB-UKHSA-NDRL", author="b", is_revoked=True),
    ]
    (level,) = apply_sign_offs(gb("CT Chest", "dlp"), sign_offs(made))
    assert not level.is_signed_off


def test_a_sign_off_is_of_a_value() -> None:
    (level,) = gb("CT Chest", "dlp")
    stale = SignOff(level.row_id, 300.0, None, "a")
    assert not apply_sign_offs([level], [stale])[0].is_signed_off


def test_a_sign_off_may_name_the_phantom_a_source_does_not() -> None:
    (level,) = gb("CT Cervical Spine", "dlp")
    assert level.phantom is None
    barred = unusable(level)
    assert barred is not None
    assert barred.reason is Reason.LEVEL_PHANTOM
    decision = sign_off(
        published_levels(), "GB-UKHSA-NDRL", author="a", rows=[level.row_id], phantom="16cm"
    )
    (signed,) = apply_sign_offs([level], sign_offs([decision]))
    assert signed.phantom is Phantom.HEAD_16CM
    assert unusable(signed) is None


def test_unknown_sets_and_rows_are_refused() -> None:
    with pytest.raises(LevelError, match="GB-UKHSA-NDRL"):
        sign_off(published_levels(), "GB-UKHSA-NDLR", author="a")
    with pytest.raises(LevelError, match="no row"):
        sign_off(published_levels(), "GB-UKHSA-NDRL", author="a", rows=["x"])


@pytest.mark.parametrize(
    ("on", "value"),
    [
        (date(2012, 12, 31), None),  # 2012 edition: day not known, so not in its own year
        (date(2013, 1, 1), 450.0),
        (date(2017, 12, 31), 450.0),
        (date(2018, 6, 1), None),  # replaced some day of 2018
        (date(2019, 1, 1), 390.0),
        (date(2025, 6, 30), 390.0),
        (date(2025, 7, 1), None),  # superseded, successor not held
    ],
)
def test_the_edition_in_force_counts(on: date, value: float | None) -> None:
    levels = narrow_levels(
        published_levels(), procedure_name="CT Chest", quantity="dlp", kind="national",
        country="AU",
    ).levels  # fmt: skip
    choice = pick_level(levels, on=on, age_y=60)
    assert (choice.level and choice.level.value) == value
    if value is None:
        assert choice.reason is Reason.NOT_IN_FORCE


@pytest.mark.parametrize(
    ("weight", "value"),
    [
        (0.9, 1.4), (4.999, 1.4), (5, 1.8), (14.999, 1.8), (15, 2.7), (29.999, 2.7), (30, 3.7),
        (49.999, 3.7), (50, 5.4), (79.999, 5.4), (80, None), (None, None),
    ],
)  # fmt: skip
def test_bands_hold_their_lower_end_and_not_their_upper(
    weight: float | None, value: float | None
) -> None:
    levels = gb("CT Chest", "ctdi_vol", "european")
    choice = pick_level(levels, on=TODAY, age_y=8, weight_kg=weight, must_be_usable=False)
    assert (choice.level and choice.level.value) == value
    if value is None:
        expected = Reason.SIZE_UNKNOWN if weight is None else Reason.SIZE_OUTSIDE
        assert choice.reason is expected


@pytest.mark.parametrize(
    ("age", "value"),
    [(0, 24), (0.2499, 24), (0.25, 28), (0.999, 28), (1, 40), (5.99, 40), (6, 50), (15.99, 50),
     (16, 48), (None, None)],  # 16: an adult, whose European level is that of stroke
)  # fmt: skip
def test_heads_of_children_go_by_age(age: float | None, value: float | None) -> None:
    levels = gb("CT Head", "ctdi_vol", "european")
    choice = pick_level(levels, on=TODAY, age_y=age, must_be_usable=False)
    assert (choice.level and choice.level.value) == value
    if age is None:
        assert choice.reason is Reason.AGE_UNKNOWN


def test_a_nominal_size_names_no_band() -> None:
    levels = narrow_levels(
        published_levels(), procedure_name="CT Chest", quantity="dlp", kind="national",
        country="FR",
    ).levels  # fmt: skip
    nominal = [x for x in levels if x.population == "paediatric"]
    assert all(x.is_nominal_size for x in nominal)
    barred = unusable(nominal[0])
    assert barred is not None
    assert barred.reason is Reason.NOMINAL_SIZE


def test_several_levels_for_one_procedure_must_be_told_apart() -> None:
    def american(**said: str) -> object:
        return narrow_levels(
            published_levels(), procedure_name="CT Abdomen Pelvis", quantity="dlp",
            kind="national", country="US", **said,
        )  # fmt: skip

    unsaid = american()
    assert unsaid.reason is Reason.AMBIGUOUS  # type: ignore[attr-defined]
    assert "with contrast, without contrast" in unsaid.text  # type: ignore[attr-defined]
    assert {x.value for x in american(contrast="with").levels if x.population == "adult"} == {755}  # type: ignore[attr-defined]
    colic = narrow_levels(
        published_levels(), procedure_name="CT Abdomen Pelvis", quantity="ctdi_vol",
        kind="european", country="GB", indication="Appendicitis",
    )  # fmt: skip
    assert [x.value for x in colic.levels] == [9]


def test_no_level_says_so() -> None:
    found = narrow_levels(
        published_levels(), procedure_name="CT Knee", quantity="dlp", kind="drl", country="GB"
    )
    assert found.reason is Reason.NO_LEVEL
    assert "local or national or european" in (found.text or "")
    parts = narrow_levels(
        published_levels(), procedure_name="CT Head", quantity="ctdi_vol", kind="study",
        country="IE",
    )  # fmt: skip
    assert all("part" not in (x.detail or "") for x in parts.levels)


def test_a_site_brings_its_own_levels(settings: Settings) -> None:
    site_file(
        settings,
        "OURS,2026,CT,CT Chest,adult,,,,,32cm,DLP,p75,240,mGy.cm,exam",
        "OURS,2026,CT,CT Head,paediatric,age,12,72,month,16cm,CTDIvol,p75,30,mGy,scan",
    )
    own = [x for x in load_levels(settings) if x.origin == "site"]
    assert [(x.value, x.kind, x.country) for x in own] == [
        (240, Kind.LOCAL, "GB"), (30, Kind.LOCAL, "GB"),
    ]  # fmt: skip
    assert (own[1].size_min, own[1].size_max, own[1].size_unit) == (1, 6, "a")
    assert unusable(own[0]) is None, "the site's own rows need no sign-off"


def test_the_drl_is_local_where_there_is_one(settings: Settings) -> None:
    site_file(settings, "OURS,2026,CT,CT Chest,adult,,,,,32cm,DLP,p75,240,mGy.cm,exam")
    found = narrow_levels(
        load_levels(settings), procedure_name="CT Chest", quantity="dlp", kind="drl", country="GB"
    ).levels
    assert {x.kind for x in found if x.population == "adult"} == {Kind.LOCAL}
    assert {x.kind for x in found if x.population == "paediatric"} == {Kind.EUROPEAN}


def test_an_expired_local_level_makes_room_for_the_national_one(settings: Settings) -> None:
    site_file(
        settings,
        "OURS,2020,CT,CT Chest,adult,32cm,DLP,240,mGy.cm,exam,2020-12-31",
        header="drl_set,year,modality,procedure,population,phantom,quantity,value,unit,per,valid_to",
    )
    found = narrow_levels(
        load_levels(settings), procedure_name="CT Chest", quantity="dlp", kind="drl",
        country="GB", start=date(2026, 1, 1), end=TODAY,
    ).levels  # fmt: skip
    assert {x.kind for x in found if x.population == "adult"} == {Kind.NATIONAL}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("X,2026,CT,CT Chset,adult,,,,,32cm,DLP,p75,240,mGy.cm,exam", "line 2, column procedure"),
        ("X,2026,CT,CT Chest,adult,,,,,32cm,DLP,p75,abc,mGy.cm,exam", "column value: 'abc'"),
        ("X,2026,CT,CT Chest,adult,,,,,32cm,DLP,p75,240,mGy,exam", "column unit: 'mGy'"),
        ("X,20x6,CT,CT Chest,adult,,,,,32cm,DLP,p75,240,mGy.cm,exam", "column year: '20x6'"),
        ("X,2026,CT,CT Chest,adult,weight,,,kg,32cm,DLP,p75,240,mGy.cm,exam", "column size_min"),
        ("X,2026,CT,CT Chest,adult,weight,9,5,kg,32cm,DLP,p75,240,mGy.cm,exam", "column size_max"),
        ("X,2026,CT,CT Chest,adult,,9,,,32cm,DLP,p75,240,mGy.cm,exam", "column size_min: '9'"),
        ("X,2026,CT,CT Chest", "4 cells"),
    ],
)  # fmt: skip
def test_a_wrong_line_of_the_site_is_refused_with_its_place(
    settings: Settings, line: str, says: str
) -> None:
    site_file(settings, line)
    with pytest.raises(LevelError) as caught:
        load_levels(settings)
    assert says in str(caught.value)
    assert "local.csv" in str(caught.value)


def test_a_row_said_twice_is_refused(settings: Settings) -> None:
    line = "X,2026,CT,CT Chest,adult,,,,,32cm,DLP,p75,240,mGy.cm,exam"
    site_file(settings, line, line)
    with pytest.raises(LevelError, match="each row once"):
        load_levels(settings)


def test_a_level_in_words() -> None:
    level = Level(
        set_id="S", edition="1", row_id="r", kind=Kind.LOCAL, modality="CT", value=5.5,
        quantity=Quantity.CTDI_VOL, unit="mGy", per=Per.SCAN, phantom=Phantom.BODY_32CM,
        procedure_name="CT Chest", population="paediatric", size_basis="weight", size_min=5.0,
        size_max=15.0, size_unit="kg", confidence=Confidence.MEMORY,
    )  # fmt: skip
    words = level.in_words()
    for part in ("5.5 mGy", "32cm phantom", "per scan", "S 1", "CT Chest", "5 to under 15 kg"):
        assert part in words
    assert "from memory" in (level.sign_off_reason or "")


def test_a_site_may_say_that_a_row_is_for_more(settings: Settings) -> None:
    """RP 185 says "abdomen"; the site uses it for abdomen with pelvis, too, and signs that."""
    levels = published_levels()
    row = next(
        x.row_id
        for x in levels
        if x.set_id == "EU-RP185-2018" and x.procedure_name == "CT Abdomen" and x.size_min == 15
    )
    decision = sign_off(
        levels,
        "EU-RP185-2018",
        author="mp",
        rows=[row],
        phantom="32cm",
        also_for=["CT Abdomen Pelvis"],
    )
    signed = apply_sign_offs(levels, sign_offs([decision]))
    own, more = (x for x in signed if x.row_id.startswith(row))
    assert own.procedure_name == "CT Abdomen"
    assert (more.procedure_name, more.body_region) == ("CT Abdomen Pelvis", "abdomen-pelvis")
    assert more.value == own.value
    assert more.is_signed_off
    assert "site's decision" in (more.note or "")
    back = sign_off(levels, "EU-RP185-2018", author="mp", rows=[row], is_revoked=True)
    assert len(apply_sign_offs(levels, sign_offs([decision, back]))) == len(levels)


def test_a_row_cannot_be_for_an_unknown_procedure() -> None:
    with pytest.raises(UsageError, match="CT Abdomen"):
        sign_off(published_levels(), "EU-RP185-2018", author="mp", also_for=["CT Abdomne"])
