"""What needs no peer: settings, hours, pace, answers, choices, the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.errors import CollectError, SettingsError
from dose_lib.settings import Settings
from pipelines.collect.answer import (
    Answers,
    Item,
    Series,
    Study,
    Window,
    read_items,
    read_series,
    read_studies,
)
from pipelines.collect.choose import (
    choose_images,
    choose_reports,
    choose_series,
    choose_slices,
    passes,
    size_series,
)
from pipelines.collect.hours import next_opening, parse_hours
from pipelines.collect.journal import Day, Entry, Fate, Journal, alone
from pipelines.collect.pace import Pace, later, pause_s
from pipelines.collect.pacs import Pacs, Tls, WebArchive, find_archive, read_peers
from pipelines.collect.peculiarity import Traits, peculiarities, traits_of
from pipelines.collect.peer import StatusError
from pipelines.collect.query import studies_of_day

DAY = date(2026, 11, 20)
RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
GIVEN = {"name": "main", "ae_title": "PACS", "host": "10.1.0.5", "port": 104}


def pacs(**more: object) -> Pacs:
    return Pacs.model_validate(GIVEN | more)


# --- site/pacs.toml ---------------------------------------------------------------------


def test_peers_are_read_from_the_site_file(
    collecting: Settings, describe: Callable[[str], None]
) -> None:
    describe(
        '[[pacs]]\nname = "main"\nae_title = "PACS"\nhost = "10.1.0.5"\nport = 104\n'
        'quiet_hours = ["mon-fri 07:30-18:00"]\nlike = ["impax"]\n'
        '[[web]]\nname = "cloud"\nurl = "https://pacs.example.org/dicom-web/"\n'
        '[[worklist]]\nname = "ris"\nae_title = "RIS"\nhost = "10.1.0.6"\nport = 104\n'
    )
    peers = read_peers(collecting)
    assert [a.name for a in peers.archives] == ["main", "cloud"]
    assert peers.pacs[0].traits.wants_empty_modality
    assert peers.web[0].url == "https://pacs.example.org/dicom-web"
    assert find_archive(collecting, "cloud") is peers.web[0] or peers.web[0].name == "cloud"


def test_without_the_file_there_is_nothing_to_collect_from(collecting: Settings) -> None:
    assert read_peers(collecting).archives == ()
    with pytest.raises(SettingsError, match="no archive is named"):
        find_archive(collecting, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[pacs]\n", "cannot be read"),
        ("[[pac]]\nname = 'x'\n", "did you mean 'pacs'"),
        ('[[pacs]]\nname = "a"\nae_titel = "P"\nhost = "h"\nport = 1\n', "did you mean 'ae_title'"),
        ('[[pacs]]\nname = "a"\nae_title = "P"\nhost = "h"\nport = 0\n', "port"),
        ('[[pacs]]\nname = "a b"\nae_title = "P"\nhost = "h"\nport = 1\n', "name"),
        (
            '[[pacs]]\nname = "a"\nae_title = "P"\nhost = "h"\nport = 1\nquiet_hours = ["noon"]\n',
            "no time of the week",
        ),
        (
            '[[pacs]]\nname = "a"\nae_title = "P"\nhost = "h"\nport = 1\n'
            'quiet_hours = ["00:00-24:00"]\n',
            "quiet hours cover the whole week",
        ),
        (
            '[[pacs]]\nname = "a"\nae_title = "P"\nhost = "h"\nport = 1\nlike = ["orthank"]\n',
            "did you mean 'orthanc'",
        ),
        ('[[web]]\nname = "w"\nurl = "http://pacs.example.org/rs"\n', "not encrypted"),
        ('[[web]]\nname = "w"\nurl = "https://u:p@pacs.example.org/rs"\n', "password_file"),
        ('[[web]]\nname = "w"\nurl = "https://p/rs"\nuser = "u"\n', "belong together"),
        (
            '[[web]]\nname = "a"\nurl = "https://p/rs"\n'
            '[[worklist]]\nname = "a"\nae_title = "R"\nhost = "h"\nport = 1\n',
            "two tables have the name 'a'",
        ),
    ],
)
def test_what_cannot_be_used_is_said(
    collecting: Settings, describe: Callable[[str], None], text: str, says: str
) -> None:
    describe(text)
    with pytest.raises(SettingsError) as caught:
        read_peers(collecting)
    assert says in str(caught.value)
    assert "pacs.toml" in str(caught.value) or "like" in str(caught.value)


def test_every_peculiarity_names_its_origin_and_changes_something() -> None:
    for one in peculiarities():
        assert len(one.origin) > 10
        assert one.title
        assert one.name == "orthanc" or traits_of([one.name]) != Traits()


def test_the_page_lists_every_key_and_peculiarity() -> None:
    page = (Path(__file__).parents[2] / "docs" / "collecting.md").read_text()
    for kind in (Pacs, WebArchive, Tls):
        for name, field in kind.model_fields.items():
            assert f"| `{name}` |" in page
            assert str(field.description) in page, name
    for one in peculiarities():
        assert f"| `{one.name}` | {one.title} | {one.origin} |" in page


# --- quiet hours and pace ---------------------------------------------------------------

WEDNESDAY = datetime(2026, 11, 18, 12, 0)


@pytest.mark.parametrize(
    ("text", "moment", "quiet"),
    [
        ("07:30-18:00", WEDNESDAY, True),
        ("07:30-12:00", WEDNESDAY, False),
        ("mon-fri 07:30-18:00", WEDNESDAY, True),
        ("sat-sun 00:00-24:00", WEDNESDAY, False),
        ("fri-mon 00:00-24:00", WEDNESDAY + timedelta(days=4), True),
        ("wed 22:00-13:00", WEDNESDAY, False),  # wednesday's begins tonight
        ("tue 22:00-13:00", WEDNESDAY, True),  # tuesday's ends today at one
        ("wed 12:00-24:00", WEDNESDAY + timedelta(hours=11, minutes=59), True),
    ],
)
def test_quiet_hours(text: str, moment: datetime, quiet: bool) -> None:
    assert parse_hours(text).covers(moment) is quiet


def test_the_end_of_quiet_hours_is_found_over_several() -> None:
    hours = (parse_hours("mon-fri 07:30-18:00"), parse_hours("18:00-20:15"))
    assert next_opening(hours, WEDNESDAY) == WEDNESDAY.replace(hour=20, minute=15)
    assert next_opening((), WEDNESDAY) == WEDNESDAY
    with pytest.raises(ValueError, match="whole week"):
        next_opening((parse_hours("00:00-24:00"),), WEDNESDAY)


def test_pace_spreads_studies_over_a_minute() -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(120, sleep=sleep, clock=lambda: now[0])
    for _ in range(5):
        pace.wait()
    assert slept == pytest.approx([0.5] * 4)
    now[0] += 100  # a long study: the next comes at once, and nothing is made up for
    pace.wait()
    assert len(slept) == 4


def test_pauses_grow_and_end_somewhere() -> None:
    assert all(54 <= pause_s(n) <= 66 for n in (8, 9))
    assert pause_s(1) < pause_s(3) < pause_s(5)
    assert later(1) == timedelta(minutes=10)
    assert later(100) == timedelta(hours=24)


# --- answers ----------------------------------------------------------------------------


def study(uid: str, day: str = "20261120", **more: list[str]) -> dict[str, list[str]]:
    return {"StudyInstanceUID": [uid], "StudyDate": [day], **more}


def test_a_study_answered_once_a_modality_is_one_study() -> None:
    given = [
        study("1.2", ModalitiesInStudy=["CT"]),
        study("1.2", ModalitiesInStudy=["PT", "CT"], NumberOfStudyRelatedInstances=["7"]),
    ]
    found = read_studies(given, "studies", DAY)
    assert found.rows == [Study(uid="1.2", day=DAY, modalities=("CT", "PT"), n_objects=7)]
    assert found.n_read == 2
    assert not found.complaints


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "cannot be decoded"),
        ({}, "no StudyInstanceUID"),
        ({"StudyInstanceUID": [""]}, "no StudyInstanceUID"),
        (study("not a uid"), "no UID"),
        (study("1." + "2" * 70), "no UID"),
        (study("1.2.3", "20251120"), "the day is ignored"),
    ],
)
def test_an_answer_that_cannot_be_used_is_complained_about(
    answer: dict[str, list[str]] | None, says: str
) -> None:
    found = read_studies([study("1.9"), answer], "studies of a day", DAY)
    assert [s.uid for s in found.rows] == ["1.9"]
    assert len(found.complaints) == 1
    assert says in found.complaints[0].seen
    assert found.complaints[0].asked == "studies of a day"


def test_series_and_objects_of_another_parent_are_complained_about() -> None:
    series = [
        {"SeriesInstanceUID": ["1.1"], "StudyInstanceUID": ["1"], "Modality": ["SR"]},
        {"SeriesInstanceUID": ["1.2"], "StudyInstanceUID": ["9"], "Modality": ["SR"]},
    ]
    found = read_series(series, "series", "1")
    assert [s.uid for s in found.rows] == ["1.1"]
    assert "another StudyInstanceUID" in found.complaints[0].seen
    items = [{"SOPInstanceUID": ["1.1.1"], "SeriesInstanceUID": ["8"]}]
    assert read_items(items, "objects", "1.1").complaints


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["StudyInstanceUID", "StudyDate"]), st.lists(st.text()))
    )
)
def test_whatever_is_answered_is_a_row_or_a_complaint(answers: list[dict[str, list[str]]]) -> None:
    found = read_studies(answers, "x", DAY)
    assert found.n_read == len(answers)
    assert bool(found.rows or found.complaints) == bool(answers)


# --- days whose answers are cut ---------------------------------------------------------


class Archive:
    """Studies at minutes of a day, and how many the archive answers at most."""

    def __init__(self, n: int, limit: int, *, ignores_time: bool = False) -> None:
        self.times = {f"1.{k}": (k * 7) % 1440 for k in range(n)}
        self.limit, self.ignores_time, self.n_asked = limit, ignores_time, 0

    def ask(self, window: Window, modality: str | None) -> Answers[Study]:
        self.n_asked += 1
        first, last = (int(c[:2]) * 60 + int(c[2:]) for c in (window.start, window.end))
        if self.ignores_time:
            first, last = 0, 1440
        rows = [
            Study(uid=u, day=DAY, modalities=("CT" if int(u[2:]) % 2 else "MG",))
            for u, at in self.times.items()
            if first <= at <= last
        ]
        rows = [r for r in rows if modality is None or modality in r.modalities]
        return Answers(rows=rows[: self.limit], n_read=min(len(rows), self.limit))


@pytest.mark.parametrize("limit", [100, 500])
def test_a_day_beyond_the_limit_is_asked_for_in_parts(limit: int) -> None:
    archive = Archive(1234, limit)
    found = studies_of_day(archive.ask, DAY, pacs())
    assert {s.uid for s in found.rows} == set(archive.times)
    assert not found.is_cut
    assert archive.n_asked < 60


def test_a_day_of_exactly_a_hundred_is_no_limit() -> None:
    archive = Archive(100, 10_000)
    found = studies_of_day(archive.ask, DAY, pacs())
    assert len(found.rows) == 100
    assert not found.is_cut
    assert not found.complaints


def test_an_archive_that_ignores_the_time_is_asked_by_modality() -> None:
    archive = Archive(150, 100, ignores_time=True)
    found = studies_of_day(archive.ask, DAY, pacs(like=["limit-100"]))
    assert len(found.rows) == 150
    assert not found.is_cut


def test_what_stays_cut_is_said() -> None:
    archive = Archive(400, 100, ignores_time=True)
    found = studies_of_day(archive.ask, DAY, pacs(like=["limit-100"]))
    assert found.is_cut
    assert any("100 answers and no more" in c.seen for c in found.complaints)


def test_out_of_resources_is_a_limit() -> None:
    archive = Archive(300, 10_000)

    def ask(window: Window, modality: str | None) -> Answers[Study]:
        found = archive.ask(window, modality)
        if len(found.rows) > 120:
            raise StatusError("too many", 0xA700)
        return found

    assert len(studies_of_day(ask, DAY, pacs()).rows) == 300


# --- what is chosen ---------------------------------------------------------------------


def test_dose_reports_win_over_images() -> None:
    chosen, _ = choose_series(
        [Series(uid="1", modality="CT"), Series(uid="2", modality="SR")], pacs()
    )
    assert [s.uid for s in chosen] == ["2"]


def test_images_are_left_where_they_are_unless_allowed() -> None:
    series = [Series(uid="1", modality="MG", n_objects=4), Series(uid="2", modality="US")]
    assert choose_series(series, pacs())[1] == "no structured report in the study (MG, US)"
    chosen, _ = choose_series(series, pacs(images="without-report"))
    assert [s.uid for s in chosen] == ["1"]


@pytest.mark.parametrize(
    ("item", "series", "general", "taken"),
    [
        (Item(uid="1", sop_class=RDSR), Series(uid="s"), "none", True),
        (Item(uid="1", sop_class=ENHANCED_SR), Series(uid="s", number=997), "hinted", True),
        (Item(uid="1", sop_class=ENHANCED_SR), Series(uid="s", number=997), "none", False),
        (Item(uid="1", sop_class=ENHANCED_SR), Series(uid="s", number=3), "hinted", False),
        (Item(uid="1", sop_class=ENHANCED_SR), Series(uid="s", number=3), "all", True),
        (
            Item(uid="1", sop_class=ENHANCED_SR, title="DCM:113701"),
            Series(uid="s", number=3),
            "none",
            True,
        ),
        (
            Item(uid="1", sop_class=ENHANCED_SR, title="LN:18748-4"),  # a diagnostic report
            Series(uid="s", number=997),
            "hinted",
            False,
        ),
        (Item(uid="1"), Series(uid="s", modality="SR", n_objects=2), "hinted", True),
        (Item(uid="1"), Series(uid="s", modality="SR", n_objects=200), "hinted", False),
        (Item(uid="1", sop_class="1.2.840.10008.5.1.4.1.1.88.59"), Series(uid="s"), "all", False),
    ],
)
def test_reports(item: Item, series: Series, general: str, taken: bool) -> None:
    choice = choose_reports(series, [item], pacs(general_reports=general))
    assert bool(choice.wanted) is taken
    assert bool(choice.reason) is not taken


def test_images_are_chosen_by_what_their_headers_tell() -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    many = [Item(uid=f"1.{n}", sop_class=ct, number=n) for n in (3, 1, 2)]
    one = choose_images(Series(uid="s", modality="CT"), many)
    assert [w.object_uid for w in one.wanted] == ["1.1"]
    mg = [Item(uid=f"2.{n}", sop_class="1.2.840.10008.5.1.4.1.1.1.2") for n in range(4)]
    assert len(choose_images(Series(uid="s", modality="MG"), mg).wanted) == 4
    capture = Item(uid="3", sop_class="1.2.840.10008.5.1.4.1.1.7", image_type=("DOSE_INFO",))
    assert choose_images(Series(uid="s", modality="CT"), [capture]).wanted
    plain = Item(uid="3", sop_class="1.2.840.10008.5.1.4.1.1.7")
    assert choose_images(Series(uid="s", modality="CT"), [plain]).reason


def test_images_for_the_size_are_few_and_spread() -> None:
    """Of each scan some of the images that are measured; none of what shows no slices."""
    ct = "1.2.840.10008.5.1.4.1.1.2"
    scan = Series(uid="s", modality="CT", number=3, n_objects=400)
    items = [Item(uid=f"1.{n}", sop_class=ct, number=n) for n in range(400, 0, -1)]
    chosen = [int((w.object_uid or "").split(".")[1]) for w in choose_slices(scan, items, 5).wanted]
    assert chosen == list(range(10, 400, 20))
    assert all(w.is_for_size for w in choose_slices(scan, items, 5).wanted)
    assert not choose_slices(scan, items, 0).wanted
    assert len(choose_slices(scan, items[-12:], 5).wanted) == 2
    others = [
        Series(uid="1", modality="CT", number=1, n_objects=2, description="Topogram"),
        Series(uid="2", modality="CT", number=4, n_objects=90, description="Abd COR 3mm"),
        Series(uid="3", modality="SR", n_objects=1),
        Series(uid="4", modality="CT", number=2, n_objects=2),
    ]
    assert size_series([*others, scan]) == [scan]


def test_a_study_is_passed_over_only_for_what_the_archive_has_said() -> None:
    assert passes(Study(uid="1"), pacs()) is None
    assert passes(Study(uid="1", modalities=("CT", "SR")), pacs()) is None
    assert "US" in (passes(Study(uid="1", modalities=("US",)), pacs()) or "")
    assert "no structured report" in (passes(Study(uid="1", modalities=("CT",)), pacs()) or "")
    allowed = pacs(images="without-report")
    assert passes(Study(uid="1", modalities=("CT",)), allowed) is None


# --- the journal ------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(uid: str, outcome: Fate = Fate.TAKEN, **more: object) -> Entry:
    given: dict[str, object] = {"pacs": "main", "day": DAY, "settled_at": NOW} | more
    return Entry(study_uid=uid, outcome=outcome, **given)  # type: ignore[arg-type]


def test_the_journal_keeps_the_latest_word_on_each_study(settings: Settings) -> None:
    with Journal(settings) as journal:
        journal.settle([entry("1.1", Fate.FAILED, reason="why", retry_at=NOW), entry("1.2")])
        journal.settle([entry("1.1", modalities=("CT", "SR"), n_taken=1)])
        journal.settle_day(
            Day(pacs="main", day=DAY, is_complete=True, n_studies=2, n_taken=1, settled_at=NOW)
        )
    with Journal(settings) as journal:
        known = journal.known("main", ["1.1", "1.2", "1.3"])
        assert known["1.1"] == entry("1.1", modalities=("CT", "SR"), n_taken=1)
        assert set(known) == {"1.1", "1.2"}
        assert journal.counts("main")[Fate.TAKEN] == 2
        assert journal.counts("other")[Fate.TAKEN] == 0
        assert journal.entries("main", DAY, DAY, (Fate.FAILED,)) == []
        assert journal.days("main", DAY, DAY)[DAY].is_complete
    assert (settings.collect_dir / "journal.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_journal_is_said(settings: Settings) -> None:
    settings.collect_dir.mkdir(parents=True)
    (settings.collect_dir / "journal.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(CollectError, match="cannot be used"):
        Journal(settings)


def test_one_collection_at_a_time(settings: Settings) -> None:
    with (
        alone(settings, "main"),
        pytest.raises(CollectError, match="another collection"),
        alone(settings, "main"),
    ):
        pass
    with alone(settings, "main"):
        pass
