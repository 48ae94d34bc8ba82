"""The served store under attack, by a process that holds the token.

The token alone gives a client of this protocol full control: it could read and write files
and drop tables (measured, DESIGN §5). So every line of the lock-down is attacked here with
DuckDB's own client, not with ours, which would refuse half of it by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from dose_lib.errors import PortInUseError, QueryRefusedError, ServiceError, StoreError
from dose_lib.settings import Settings, load_settings
from dose_lib.store import Store
from dose_lib.store.connect import StoreBackend, connect
from dose_lib.store.endpoint import Endpoint, free_port, read_endpoint, store_endpoint_file
from dose_lib.store.engine import load_quack
from dose_lib.store.wire import OwnerGoneError, fetch
from tests.store.conftest import ROOT, Owner
from tests.store.exams import merge, unchanged

pytestmark = pytest.mark.service

Attack = Callable[[str], Any]
SECRET = "patient-file-content"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Owner, Settings]]:
    """An owner in a process of its own, with a short limit and little memory."""
    settings = Settings(home=tmp_path_factory.mktemp("home") / "home")
    owner = Owner(settings.home, "--exams=5", "--timeout=2", "--memory=400MB")
    try:
        owner.said()
        yield owner, settings
        assert owner.process.poll() is None, "the owner did not survive the attacks"
    finally:
        owner.kill()
        for pipe in (owner.process.stdin, owner.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def endpoint(served: tuple[Owner, Settings]) -> Endpoint:
    found = read_endpoint(store_endpoint_file(served[1]))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB's own client."""
    with duckdb.connect(":memory:") as con:
        load_quack(con)
        yield con


@pytest.fixture
def attack(endpoint: Endpoint, client: duckdb.DuckDBPyConnection) -> Attack:
    """Runs SQL on the owner as any client with the token can."""

    def run(sql: str, token: str = endpoint.token) -> Any:
        """The answer; an error that the owner put into its answer is raised."""
        rows = client.execute(
            "SELECT * FROM quack_query(?, ?, token := ?)", [endpoint.url, sql, token]
        ).fetchall()
        assert len(rows) == 1
        if rows[0][0]["failure"] is not None:
            raise duckdb.PermissionException(rows[0][0]["failure"])
        return rows[0][0]["stream"]

    return run


@pytest.fixture(scope="module")
def reader(served: tuple[Owner, Settings]) -> StoreBackend:
    """An honest reader beside the attacker."""
    return connect(settings=served[1])


@pytest.fixture(autouse=True)
def nothing_is_harmed(served: tuple[Owner, Settings], reader: StoreBackend) -> Iterator[None]:
    """After every attack the owner lives, answers, writes, and has what it had."""
    owner, con = served[0], reader
    before = con.sql("SELECT count(*) AS n, sum(dlp_total_mgy_cm) AS dlp FROM studies").execute()
    yield
    after = con.sql("SELECT count(*) AS n, sum(dlp_total_mgy_cm) AS dlp FROM studies").execute()
    assert after.equals(before)
    owner.tell("commit")
    assert con.table("studies").count().execute() == before["n"][0] + 1


def test_a_plain_select_passes(attack: Attack) -> None:
    assert attack("SELECT 1")
    assert attack("WITH t AS (SELECT * FROM studies) SELECT device, count(*) FROM t GROUP BY 1")
    assert attack("FROM events ORDER BY ALL LIMIT 3 -- the last word; really")
    assert attack("SELECT 'it''s; DROP TABLE part' AS harmless")
    assert attack("DESCRIBE studies")


STATEMENTS = [
    "INSERT INTO object SELECT * FROM object",
    "UPDATE part SET dlp_total_mgy_cm = 0",
    "DELETE FROM part",
    "TRUNCATE part",
    "MERGE INTO part USING object ON false WHEN NOT MATCHED THEN DO NOTHING",
    "DROP TABLE part",
    "DROP VIEW studies",
    "ALTER TABLE part ADD COLUMN x INTEGER",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW studies AS SELECT 1",
    "CREATE OR REPLACE MACRO dose_admits(a, b) AS true",
    "CREATE OR REPLACE MACRO main.dose_admits(a, b) AS true",
    "CREATE SECRET (TYPE http, BEARER_TOKEN 'x')",
    "CREATE SEQUENCE s",
    "CREATE TYPE t AS ENUM ('a')",
    "CREATE SCHEMA s",
    "COMMENT ON TABLE part IS 'x'",
    "COPY part TO '{file}'",
    "COPY (SELECT 1) TO '{file}'",
    "COPY part FROM '{secret}'",
    "COPY FROM DATABASE memory TO doseloop",
    "EXPORT DATABASE '{file}'",
    "IMPORT DATABASE '{file}'",
    "ATTACH '{file}' AS other",
    "ATTACH ':memory:' AS other",
    "ATTACH 'quack:localhost:1' AS other",
    "DETACH doseloop",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{secret}'",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET GLOBAL quack_authorization_function = 'quack_nop_authorization'",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "SET VARIABLE x = 1",
    "RESET quack_authorization_function",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_logging",
    "PRAGMA force_checkpoint",
    "CALL quack_stop('quack:localhost')",
    "CALL pragma_version()",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "ABORT",
    "PREPARE p AS DELETE FROM part",
    "EXECUTE p",
    "DEALLOCATE p",
    "EXPLAIN ANALYZE DELETE FROM part",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SELECT 1; DROP TABLE part",
    "SELECT 1; SELECT 2",
    "SELECT 1;; DELETE FROM part",
    "; DELETE FROM part",
    "DELETE FROM part; SELECT 1",
    "DELETE FROM part RETURNING *",
    "INSERT INTO part SELECT * FROM part RETURNING part_key",
    "WITH gone AS (DELETE FROM part RETURNING *) SELECT * FROM gone",
    "WITH t AS (SELECT 1) DELETE FROM part",
    "SELECT * FROM (DELETE FROM part RETURNING *)",
    "SELECT 1 INTO mine",
    "PIVOT part ON modality USING count(*)",
    "",
    " ",
    ";",
    "--",
    "/* */",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_anything_but_one_select_is_refused(attack: Attack, tmp_path: Path, sql: str) -> None:
    secret, file = tmp_path / "secret.csv", tmp_path / "written"
    secret.write_text(SECRET)
    with pytest.raises(duckdb.Error, match=r"Authorization failed|refused"):
        attack(sql.format(secret=secret, file=file))
    assert not file.exists()


TRICKS = [
    "select/**/1;/**/drop/**/table/**/part",
    "SELECT 1 /* ; */ ; DROP TABLE part --",
    "SELECT 1 -- \n; DROP TABLE part",
    "SELECT 'x' '; DROP TABLE part; --",
    "SELECT '') AS answer; DROP TABLE part; SELECT dose_answer('SELECT 1",
    "SELECT ''); DROP TABLE part; --",
    "SELECT $$a$$; DROP TABLE part",
    "SELECT E'\\''; DROP TABLE part; --'",
    "SELECT \\'; DROP TABLE part; --",
    "SELECT 1\x00; DROP TABLE part",
    "SELECT 1\u2028; DROP TABLE part",
    "SELECT 1\uff1b DROP TABLE part",
    "\ufeffDROP TABLE part",
    "ＤＲＯＰ TABLE part",
    "SELECT 1\r; DROP TABLE part",
    "SELECT 1 UNION ALL DELETE FROM part",
    "VALUES (1); DELETE FROM part",
]


@pytest.mark.parametrize("sql", TRICKS)
def test_comments_quotes_and_unicode_do_not_help(attack: Attack, sql: str) -> None:
    with pytest.raises((duckdb.Error, UnicodeError)):
        attack(sql)


FUNCTIONS = [
    "SELECT * FROM quack_stop('quack:localhost:{port}')",
    "SELECT * FROM quack_serve('quack:localhost:{other}')",
    "SELECT * FROM quack_server_list()",
    "SELECT * FROM quack_active_connections()",
    "SELECT * FROM quack_clear_cache()",
    "SELECT * FROM quack_query('quack:localhost:{port}', 'SELECT 1', token := '{token}')",
    "SELECT * FROM quack_query_by_name('x', 'SELECT 1')",
    "SELECT quack_check_token('a', 'b', 'c')",
    "SELECT quack_nop_authorization('a', 'b')",
    "SELECT * FROM quack_identify(name := 'x')",
    "SELECT * FROM whoami()",
    "SELECT dose_answer('DELETE FROM part')",
    "SELECT dose_answer('SELECT 1')",
    "SELECT main.dose_admits('a', 'b')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('part')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM read_duckdb('{secret}', table_name := 'x')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    'WITH "{secret}" AS (SELECT 1) SELECT * FROM "{secret}"',
    "SELECT * FROM main.'{secret}'",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM duckdb_databases",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM system.main.duckdb_logs",
    "SELECT * FROM pragma_storage_info('part')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM arrow_scan_dumb(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM seq_scan()",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM repeat_row(1, num_rows = 10)",
    "SELECT * FROM which_secret('x', 'http')",
    "SELECT nextval('s')",
    "SELECT \"NextVal\"('s')",
    "SELECT main.nextval('s')",
    "SELECT ('s').nextval()",
    "SELECT currval('s')",
    "SELECT setseed(0.5)",
    "SELECT getvariable('x')",
    "SELECT current_setting('secret_directory')",
    "SELECT current_query()",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100000)",
    "SELECT list_transform([1], lambda x: nextval('s'))",
    "SELECT list_transform(['x'], lambda x: write_log(x))",
    "SELECT * FROM studies WHERE exists (FROM quack_stop('quack:localhost:{port}'))",
    "SELECT (SELECT max(content) FROM read_text('{secret}'))",
    "SELECT * FROM range(3) t(i), LATERAL (SELECT * FROM read_text('{secret}'))",
    "WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT 1 FROM read_text('{secret}')) FROM t",
    "SELECT count(*) FILTER (write_log('x') IS NULL) FROM studies",
    "SELECT sum(1) OVER (ORDER BY nextval('s')) FROM studies",
    "SELECT * FROM studies ORDER BY write_log(device)",
    "SELECT * FROM studies LIMIT (SELECT nextval('s'))",
    "SELECT COLUMNS(c -> write_log(c) IS NULL) FROM studies",
    "SELECT * REPLACE (write_log('x') AS device) FROM studies",
    "VALUES (write_log('x'))",
    "DESCRIBE SELECT * FROM read_csv('{secret}')",
    "SUMMARIZE SELECT * FROM read_csv('{secret}')",
    "SELECT no_such_function(1)",
]


@pytest.mark.parametrize("sql", FUNCTIONS)
def test_functions_and_tables_off_the_list_are_refused(
    attack: Attack, endpoint: Endpoint, tmp_path: Path, sql: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(SECRET)
    port = endpoint.url.rsplit(":", 1)[1]
    text = sql.format(secret=secret, port=port, other=1 + int(port), token=endpoint.token)
    with pytest.raises(duckdb.Error, match=r"refused|no table|Authorization failed") as seen:
        attack(text)
    assert SECRET not in str(seen.value)


def test_the_wrong_token_and_none_are_refused(attack: Attack, endpoint: Endpoint) -> None:
    for token in ("wrong", endpoint.token[:-1], endpoint.token + "x", "    ", "' OR true --"):
        with pytest.raises(duckdb.Error, match="Authentication failed"):
            attack("SELECT 1", token)
    with duckdb.connect(":memory:") as con:
        load_quack(con)
        with pytest.raises(duckdb.Error, match=r"token|Authentication"):
            con.execute("SELECT * FROM quack_query(?, 'SELECT 1')", [endpoint.url])
        with pytest.raises(OwnerGoneError):
            fetch(con, Endpoint(endpoint.url, "wrong", 0), "SELECT 1", 5)


def test_an_attached_catalogue_gives_nothing(endpoint: Endpoint) -> None:
    """A client's ROLLBACK would not undo what it wrote through an attached catalogue."""
    with duckdb.connect(":memory:") as con:
        load_quack(con)
        con.execute(f"CREATE SECRET (TYPE quack, TOKEN '{endpoint.token}')")
        for attempt in (
            f"ATTACH '{endpoint.url}' AS remote; FROM remote.main.part",
            f"ATTACH IF NOT EXISTS '{endpoint.url}' AS remote; INSERT INTO remote.main.object"
            " SELECT * FROM remote.main.object",
            f"ATTACH IF NOT EXISTS '{endpoint.url}' AS remote; CREATE TABLE remote.main.x (a INT)",
            f"ATTACH IF NOT EXISTS '{endpoint.url}' AS remote; BEGIN; DELETE FROM remote.main.part;"
            " ROLLBACK",
            f"ATTACH IF NOT EXISTS '{endpoint.url}' AS remote; DROP TABLE remote.main.part",
        ):
            with pytest.raises(duckdb.Error):
                con.execute(attempt)


def smuggle(url: str, token: str) -> str:
    """What the smuggler says; see its module."""
    out = subprocess.run(
        [sys.executable, "-m", "tests.store.smuggler", url, token],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    return out.stdout + out.stderr


def test_rows_pushed_past_the_catalogue_are_refused(endpoint: Endpoint) -> None:
    """An INSERT travels as rows, not as SQL, so that no check of SQL sees it.

    A client that knows the tables from elsewhere (here: a decoy server without any lock, to
    which a proxy sends its questions) pushes its rows to the real server.
    """
    assert "pushed: refused (Authorization failed)" in smuggle(endpoint.url, endpoint.token)


def test_the_smuggler_gets_through_where_nothing_is_locked() -> None:
    """Else its being refused above would prove nothing."""
    with duckdb.connect(":memory:") as con:
        load_quack(con)
        con.execute("CREATE TABLE object (sha256 VARCHAR, status VARCHAR)")
        url = f"quack:localhost:{free_port(0, 'the test')}"
        con.execute("CALL quack_serve(?, token = 'an-open-door')", [url])
        assert "pushed: accepted" in smuggle(url, "an-open-door")
        assert con.execute("FROM object").fetchall() == [("smuggled", "stored")]
        con.execute("CALL quack_stop(?)", [url])


def owner_memory(served: tuple[Owner, Settings]) -> int:
    return int(psutil.Process(served[0].process.pid).memory_info().rss)


# What the owner may grow to: its own, 4 times its 400 MB, 1 GB of headroom, some greedy queries.
MOST_BYTES = 5_000_000_000
# 30 MB a row, and DuckDB makes 2,048 rows in one step.
GREEDY = "SELECT list_transform(range(3000), lambda x: repeat('x', 10000)) FROM range(100000)"
BOMBS = [
    "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "SELECT count(DISTINCT a.part_key || b.range) FROM studies a, range(2000000000) b",
    "SELECT list(range) FROM range(2000000000)",
    "SELECT string_agg(range::VARCHAR, ',') FROM range(2000000000)",
    "SELECT repeat('x', 2000000000), repeat('y', 2000000000)",
    "SELECT length(repeat(repeat('x', 100000000), 100))",
    "SELECT unnest(range(3000000000))",
    "SELECT range(range * 1000000) FROM range(3000)",
    "SELECT generate_series(0, 1000 * 1000 * 1000)",
    "SELECT generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01', INTERVAL 1 second)",
    "SELECT list_resize([1], 2000000000)",
    "SELECT rpad('x', '2000000000'::INTEGER, 'y')",
    "SELECT lpad('x', (SELECT 2000000000), 'y')",
    "SELECT printf('%2000000000d', 1)",
    "SELECT format('{:>2000000000}', 'x')",
    "SELECT ('x').repeat(2000000000)",
    GREEDY,
    "SELECT range, repeat('x', 1000) FROM range(100000000)",
    "SELECT * FROM range(1000000000) ORDER BY hash(range)",
    "SELECT sum(x) FROM (SELECT unnest(generate_series(1, 1000000)) x FROM range(1000000))",
    "SELECT regexp_matches(repeat('a', 1000000), '(a*)*b') FROM range(1000000)",
    "SELECT list_sum(list_transform(range(100000), lambda x: list_sum(range(x)))) FROM range(1000)",
]


@pytest.mark.slow
@pytest.mark.parametrize("sql", BOMBS)
def test_time_and_memory_are_limited(
    attack: Attack, served: tuple[Owner, Settings], sql: str
) -> None:
    started = time.monotonic()
    with pytest.raises(duckdb.Error, match=r"timeout|memory|larger than|refused"):
        attack(sql)
    assert time.monotonic() - started < 30
    assert owner_memory(served) < MOST_BYTES


@pytest.mark.slow
def test_what_queries_took_does_not_add_up(attack: Attack, served: tuple[Owner, Settings]) -> None:
    for _ in range(4):
        with pytest.raises(duckdb.Error, match="memory"):
            attack(GREEDY)
        assert attack("SELECT count(*) FROM studies")
    assert owner_memory(served) < MOST_BYTES


def test_a_very_long_query_is_refused(attack: Attack) -> None:
    with pytest.raises(duckdb.Error, match="1000000 at most"):
        attack("SELECT '" + "x" * 1_100_000 + "'")
    with pytest.raises(duckdb.Error):
        attack("SELECT " + "(" * 200_000 + "1" + ")" * 200_000)
    with pytest.raises(duckdb.Error):
        attack("SELECT " + "NOT " * 200_000 + "true")
    with pytest.raises(duckdb.Error, match="nested this deep"):
        attack("SELECT " + " + ".join(["1"] * 900))
    assert attack("SELECT " + " + ".join(["1"] * 200))


def test_nothing_but_loopback_listens(endpoint: Endpoint) -> None:
    port = int(endpoint.url.rsplit(":", 1)[1])
    listeners = {
        c.laddr.ip
        for c in psutil.Process(endpoint.pid).net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert listeners <= {"127.0.0.1", "::1"}
    assert port in {
        c.laddr.port for c in psutil.Process(endpoint.pid).net_connections("inet") if c.laddr
    }


def test_the_token_is_private_and_new_at_each_start(settings: Settings) -> None:
    tokens = []
    for _ in range(2):
        with Store.open(settings, merge=merge, normalise=unchanged) as store:
            service = store.serve()
            file = store_endpoint_file(settings)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert service.endpoint.token not in repr(service.endpoint)
            tokens.append(service.endpoint.token)
        assert not file.exists()
    assert len(set(tokens)) == 2
    assert all(len(t) >= 40 for t in tokens)


def test_the_owner_still_writes_after_the_lock(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.serve()
        with pytest.raises(duckdb.Error, match="locked"):
            store._con.execute("SET memory_limit = '1TB'")
        with pytest.raises(duckdb.Error, match="disabled"):
            store._con.execute("COPY (SELECT 1) TO '/tmp/never'")
        store.checkpoint()


def test_a_port_where_one_answers_is_refused(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        busy = load_settings(settings.home, store_port=port)
        with (
            Store.open(busy, merge=merge, normalise=unchanged) as store,
            pytest.raises(PortInUseError, match=f"answers on port {port}"),
        ):
            store.serve()


def test_a_second_server_on_the_port_is_refused(
    served: tuple[Owner, Settings], endpoint: Endpoint, settings: Settings
) -> None:
    """Two servers can bind one port without an error; the second must not start."""
    port = int(endpoint.url.rsplit(":", 1)[1])
    same = load_settings(settings.home, store_port=port)
    with Store.open(same, merge=merge, normalise=unchanged) as store:
        with pytest.raises(PortInUseError):
            store.serve()
        assert read_endpoint(store_endpoint_file(settings)) is None


def test_a_store_is_served_once(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.serve()
        with pytest.raises(ServiceError, match="served already"):
            store.serve()


def test_the_file_obeys_the_same_rules(settings: Settings) -> None:
    """Without an owner the same is asked of the file, and the same is refused."""
    with Store.open(settings, merge=merge, normalise=unchanged):
        pass
    con = connect(settings=settings)
    for sql in (
        "SELECT * FROM read_text('/etc/passwd')",
        "DELETE FROM part",
        "SELECT nextval('s')",
    ):
        with pytest.raises(QueryRefusedError):
            con.query(sql)
    with pytest.raises(StoreError):
        con.query("SELECT 1; SELECT 2")


def test_a_client_that_dies_in_a_query_leaves_no_query_behind(
    served: tuple[Owner, Settings], endpoint: Endpoint
) -> None:
    """In 1.5.5 the server would go on with it for ever (duckdb-quack issue 257)."""
    code = (
        "import sys, duckdb\n"
        "from dose_lib.store.engine import load_quack\n"
        "con = duckdb.connect(); load_quack(con); print('go', flush=True)\n"
        "con.execute('SELECT * FROM quack_query(?, ?, token := ?)', sys.argv[1:])\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code, endpoint.url, BOMBS[0], endpoint.token],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert client.stdout is not None
    client.stdout.readline()
    time.sleep(0.5)
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    client.stdout.close()
    time.sleep(2.5)
    process = psutil.Process(served[0].process.pid)
    process.cpu_percent()
    time.sleep(0.5)
    assert process.cpu_percent() < 50
