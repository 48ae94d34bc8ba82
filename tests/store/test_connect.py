"""connect(): an ibis backend on file or owner, whichever there is at the moment."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from ibis import _
from ibis.common.exceptions import TableNotFound

from dose_lib.errors import (
    QueryRefusedError,
    QueryTimeoutError,
    StoreError,
    StoreInUseError,
    UsageError,
)
from dose_lib.settings import Settings, load_settings
from dose_lib.store import Store
from dose_lib.store.connect import StoreBackend, connect
from dose_lib.store.link import HomeLink
from tests.store.conftest import ROOT, StartOwner
from tests.store.exams import ct_part, incoming, merge, unchanged

EXAMS = 12


def fill(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part(f"1.{n}"), number=n) for n in range(EXAMS)])


@pytest.fixture(params=["file", "served"])
def con(request: pytest.FixtureRequest, settings: Settings) -> StoreBackend:
    """The backend both ways; served by an owner in this process."""
    fill(settings)
    if request.param == "served":
        store = Store.open(settings, merge=merge, normalise=unchanged)
        request.addfinalizer(store.close)
        store.serve()
    return connect(settings=settings)


def test_tables_are_ibis_tables(con: StoreBackend) -> None:
    studies = con.table("studies")
    assert isinstance(studies, ibis.Table)
    assert studies.count().execute() == EXAMS
    assert {"studies", "events", "objects", "findings", "devices"} <= set(con.list_tables())
    assert con.list_tables(like="^stud") == ["studies"]


def test_results_come_as_pandas_and_arrow(con: StoreBackend) -> None:
    studies = con.table("studies")
    query = studies.group_by("device").agg(n=_.count(), p50=_.dlp_total_mgy_cm.median())
    frame = query.to_pandas()
    assert frame.to_dict("records") == [{"device": "CT1", "n": EXAMS, "p50": 464.0}]
    assert query.to_pyarrow().column("n").to_pylist() == [EXAMS]
    batches = studies.select("part_key").to_pyarrow_batches(chunk_size=5)
    assert [b.num_rows for b in batches] == [5, 5, 2]
    assert studies.dlp_total_mgy_cm.max().execute() == 464.0


def test_types_survive_the_way(con: StoreBackend) -> None:
    columns = ["started_at", "received_at", "protocol_names", "procedure_code", "n_events", "age_y"]
    studies = con.table("studies").select(columns)
    table = studies.to_pyarrow()
    code = pa.struct([(n, pa.string()) for n in ("value", "scheme", "meaning")])
    assert table.schema.field("started_at").type == pa.timestamp("us")
    assert table.schema.field("received_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("protocol_names").type == pa.list_(pa.string())
    assert table.schema.field("procedure_code").type == code
    assert table.schema.field("n_events").type == pa.int64()
    frame = studies.execute()
    assert frame["started_at"][0] == pd.Timestamp("2026-03-02 08:00")
    assert frame["received_at"].dt.tz is not None
    assert frame["protocol_names"][0] == ["Chest routine"]
    sources = con.table("events").sources[0].kvp_kv.name("kvp_kv")
    assert set(sources.execute()) == {120.0}


def test_sql_and_weeks(con: StoreBackend) -> None:
    assert con.sql("SELECT device, count(*) AS n FROM studies GROUP BY 1").execute()["n"][0] == 12
    weeks = con.table("studies").group_by(week=_.started_at.truncate("W")).agg(n=_.count())
    assert weeks.execute().iloc[0]["week"] == pd.Timestamp("2026-03-02")
    assert con.raw_sql("SELECT 1 AS one").fetchall() == [(1,)]
    assert con.current_database == "main"


def test_tables_in_memory_take_part(con: StoreBackend) -> None:
    levels = ibis.memtable(
        {
            "procedure_name": ["CT Chest", "O'Hara's \"head\""],
            "level": [300.0, None],
            "valid_from": [dt.date(2020, 1, 1), None],
            "at": [dt.datetime(2020, 1, 1, 5), dt.datetime(2021, 1, 1)],
        }
    )
    joined = con.table("studies").join(levels, "procedure_name")
    query = joined.group_by("procedure_name").agg(
        n=_.count(), above=(_.dlp_total_mgy_cm > _.level).sum(), since=_.valid_from.max()
    )
    row = query.execute().iloc[0]
    assert (row["n"], row["above"]) == (EXAMS, EXAMS)
    assert pd.Timestamp(row["since"]) == pd.Timestamp("2020-01-01")
    none = levels.filter(_.level > 1e6)
    assert con.table("studies").semi_join(none, "procedure_name").count().execute() == 0


def test_too_large_a_table_in_memory_is_refused(con: StoreBackend) -> None:
    many = ibis.memtable({"part_key": [str(n) for n in range(6000)]})
    with pytest.raises(UsageError, match="6000 rows does not travel"):
        con.table("studies").semi_join(many, "part_key").execute()


def test_what_would_write_is_refused(con: StoreBackend) -> None:
    for attempt in (
        lambda: con.create_table("mine", schema={"a": "int"}),
        lambda: con.drop_table("part"),
        lambda: con.create_view("mine", con.table("studies")),
        lambda: con.insert("part", {"a": [1]}),
        lambda: con.read_csv("/etc/passwd"),
        lambda: con.raw_sql("DELETE FROM part"),
        lambda: con.sql("DROP TABLE part"),
        lambda: con.sql("SELECT * FROM read_text('/etc/passwd')"),
    ):
        with pytest.raises(QueryRefusedError):
            attempt()
    assert con.table("studies").count().execute() == EXAMS


def test_mistakes_get_a_hint(con: StoreBackend) -> None:
    with pytest.raises(TableNotFound, match="did you mean 'studies'"):
        con.table("studis")
    with pytest.raises(StoreError, match="nope"):
        con.sql("SELECT nope FROM studies")
    with pytest.raises(StoreError, match="not understood"):
        con.sql("SELECT FROM WHERE")


def test_functions_of_ones_own_do_not_travel(con: StoreBackend) -> None:
    @ibis.udf.scalar.python
    def twice(x: float) -> float:
        return 2 * x

    with pytest.raises(UsageError, match="do not travel"):
        con.table("studies").select(d=twice(_.dlp_total_mgy_cm)).execute()


def test_results_can_be_written_to_files_here(con: StoreBackend, tmp_path: Path) -> None:
    studies = con.table("studies").select("part_key", "started_at", "dlp_total_mgy_cm")
    studies.to_parquet(tmp_path / "s.parquet")
    studies.to_csv(tmp_path / "s.csv")
    assert len(pd.read_parquet(tmp_path / "s.parquet")) == EXAMS
    assert len(pd.read_csv(tmp_path / "s.csv")) == EXAMS


def test_no_store_says_how_to_make_one(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"no store here yet.*dose serve.*dose ingest"):
        connect(settings=settings)
    assert not settings.store_file.exists()


def test_urls(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(settings)
    by_file = connect(f"duckdb://{settings.store_file}", settings=settings)
    assert by_file.table("studies").count().execute() == EXAMS
    assert connect(settings.home).table("studies").count().execute() == EXAMS
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        service = store.serve()
        with pytest.raises(StoreError, match="DOSE_STORE_TOKEN"):
            connect(service.endpoint.url, settings=settings)
        monkeypatch.setenv("DOSE_STORE_TOKEN", service.endpoint.token)
        by_address = connect(service.endpoint.url, settings=settings)
        assert by_address.table("studies").count().execute() == EXAMS
    with pytest.raises(UsageError, match="postgres"):
        connect("postgres://somewhere", settings=settings)


def test_a_damaged_file_says_so(settings: Settings) -> None:
    settings.store_file.parent.mkdir(parents=True)
    settings.store_file.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreError, match=r"cannot be opened|cannot be used"):
        connect(settings=settings)


def test_an_open_backend_never_shuts_the_owner_out(settings: Settings) -> None:
    """A notebook left open would stop ingestion, if it held the file."""
    fill(settings)
    con = connect(settings=settings)
    studies = con.table("studies")
    assert studies.count().execute() == EXAMS
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part("2.1"))])
    assert studies.count().execute() == EXAMS + 1


@pytest.mark.service
def test_it_survives_every_change_of_the_owner(settings: Settings, start_owner: StartOwner) -> None:
    """file → owner → owner killed, file → another owner → owner ended → file"""
    fill(settings)
    con = connect(settings=settings)
    studies = con.table("studies")
    assert studies.count().execute() == EXAMS

    first = start_owner()
    first.said()
    assert "quack:" in repr(con)
    assert studies.count().execute() == EXAMS
    first.tell("commit 3")
    assert studies.count().execute() == EXAMS + 3

    first.kill()
    assert studies.count().execute() == EXAMS + 3
    assert "quack:" not in repr(con)

    second = start_owner()
    second.said()
    second.tell("commit 2")
    assert studies.count().execute() == EXAMS + 5

    second.end()
    assert studies.count().execute() == EXAMS + 5


@pytest.mark.service
def test_a_query_waits_for_an_owner_that_is_starting(
    settings: Settings, start_owner: StartOwner
) -> None:
    fill(settings)
    con = connect(settings=settings)
    owner = start_owner("--exams=30")
    while not settings.store_file.with_suffix(".duckdb.wal").exists():
        assert owner.process.poll() is None
    assert con.table("studies").count().execute() >= EXAMS
    owner.said()


@pytest.mark.service
def test_an_owner_that_does_not_serve_is_named(settings: Settings, start_owner: StartOwner) -> None:
    owner = start_owner("--no-serve")
    pid = owner.said()["pid"]
    impatient = StoreBackend.over(HomeLink(settings, patience_s=0.3))
    with pytest.raises(StoreInUseError, match=f"process {pid} has the store open"):
        impatient.table("studies")
    with pytest.raises(StoreInUseError, match=f"process {pid}"):
        Store.open(settings, merge=merge, normalise=unchanged)


@pytest.mark.service
def test_a_query_that_takes_too_long_is_stopped(
    settings: Settings, start_owner: StartOwner
) -> None:
    start_owner("--exams=3", "--timeout=1").said()
    con = connect(settings=load_settings(settings.home, store_query_timeout_s=1))
    with pytest.raises(QueryTimeoutError, match="longer than 1 s"):
        con.sql("SELECT count(*) AS n FROM range(10000000) a, range(1000000) b").execute()
    assert con.table("studies").count().execute() == 3


def test_ctrl_c_is_heard(settings: Settings) -> None:
    """A notebook's stop button works while a query runs."""
    fill(settings)
    code = (
        "import _thread, signal, threading, time, sys\n"
        # A shell starts what it puts into the background with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from dose_lib.store.owner import Store\n"
        "from tests.store.exams import merge, unchanged\n"
        "from dose_lib import connect, load_settings\n"
        "s = load_settings(store_query_timeout_s=20)\n"
        "st = Store.open(s, merge=merge, normalise=unchanged); st.serve()\n"
        "con = connect(settings=s)\n"
        "threading.Timer(1, _thread.interrupt_main).start()\n"
        "t = time.monotonic()\n"
        "try:\n"
        "    con.raw_sql('SELECT count(*) FROM range(10000000) a, range(1000000) b')\n"
        "except KeyboardInterrupt:\n"
        "    print('heard', time.monotonic() - t < 15, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert out.stdout.strip() == "heard True", out.stderr


def test_threads_of_one_process_may_read_the_file_at_once(settings: Settings) -> None:
    """A dashboard looks for new data while its notebook runs."""
    from concurrent.futures import ThreadPoolExecutor

    Store.open(settings).close()

    def count(_: int) -> int:
        return int(connect(settings=settings).table("studies").count().execute())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count, range(12))) == [0] * 12
