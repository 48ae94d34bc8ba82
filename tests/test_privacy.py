"""The search for planted strings finds them wherever an installation could have put them."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.privacy import Planted, compress_all, find_in_bytes, find_planted

PLANTED = Planted(
    names=["Quillfeather^Ottoline", "Müllerströß^Jürgen"], ids=["PZ-778-341"], dates=["1961-03-04"]
)


@pytest.mark.parametrize(
    "text",
    [
        "x Quillfeather^Ottoline y",
        "OTTOLINE",
        "Quillfeather%5EOttoline",
        "m&uuml; Müllerströß",
        "M&#252;llerstr&#246;&#223;",
        json.dumps("Jürgen"),
        "id=pz-778-341;",
        "born 04/03/1961",
        "19610304",
        "datetime.date(1961, 3, 4)".removeprefix("datetime.date"),
        "4 March 1961".replace("4", "04", 1),
    ],
)
def test_spellings_are_found(text: str) -> None:
    assert find_in_bytes(PLANTED, text.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_are_found(encoding: str) -> None:
    hits = find_in_bytes(PLANTED, "…".encode() + "Müllerströß".encode(encoding))
    assert [h.planted for h in hits] == ["Müllerströß^Jürgen"]


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_base64_is_found_wherever_it_begins(offset: int) -> None:
    coded = base64.b64encode(b"." * offset + b"Quillfeather^Ottoline" + b"...")
    assert find_in_bytes(PLANTED, b"data " + coded)


@pytest.mark.parametrize("kind", ["gzip", "zlib", "zstd", "zip"])
def test_packed_data_is_found(kind: str) -> None:
    packed = compress_all(b"a" * 500 + b"PZ-778-341" + b"b" * 500)[kind]
    hits = find_in_bytes(PLANTED, packed)
    assert [h.planted for h in hits if kind in h.where] == ["PZ-778-341"]


def test_data_packed_twice_in_a_page_is_found() -> None:
    page = b"<img src='data:application/zip;base64," + base64.b64encode(
        zlib.compress(compress_all(b"see Quillfeather there")["zip"])
    )
    assert find_in_bytes(PLANTED, page + b"'>")


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 5000)
    assert find_planted(PLANTED, [tmp_path]) == []


def test_values_of_a_database_are_found(tmp_path: Path) -> None:
    """DuckDB packs columns in its own ways; the bytes of the file alone do not tell."""
    path = tmp_path / "store.duckdb"
    con = duckdb.connect(str(path))
    con.execute("CREATE TABLE t (a VARCHAR, b BLOB, c STRUCT(n VARCHAR)[], d DATE)")
    con.execute("INSERT INTO t SELECT 'row ' || i, NULL, NULL, NULL FROM range(10000) r(i)")
    con.execute(
        "INSERT INTO t VALUES ('x', ?, [{'n': 'Ottoline'}], '1961-03-04')",
        [zlib.compress(b'{"id": "PZ-778-341"}')],
    )
    con.close()
    hits = find_planted(PLANTED, [tmp_path])
    assert {h.planted for h in hits} == {"Quillfeather^Ottoline", "PZ-778-341", "1961-03-04"}


def test_a_database_in_use_is_searched_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    con = duckdb.connect(str(path))
    con.execute("CREATE TABLE t AS SELECT 'Ottoline' AS a")
    assert {h.planted for h in find_planted(PLANTED, [tmp_path])} == {"Quillfeather^Ottoline"}
    con.close()


def test_parquet_and_names_of_files_are_found(tmp_path: Path) -> None:
    table = pa.table({"a": ["PZ-778-341"] * 3})
    pq.write_table(table, tmp_path / "lake.parquet", compression="zstd")
    (tmp_path / "Quillfeather.txt").write_text("nothing", encoding="ascii")
    where = {h.where for h in find_planted(PLANTED, [tmp_path])}
    assert any("rows.a" in w for w in where)
    assert any(w.startswith("name of") for w in where)


def test_a_folder_may_be_left_out_but_not_be_missing(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "a").write_bytes(b"Ottoline")
    assert find_planted(PLANTED, [tmp_path])
    assert not find_planted(PLANTED, [tmp_path], skip=[tmp_path / "spool"])
    with pytest.raises(FileNotFoundError):
        find_planted(PLANTED, [tmp_path / "nowhere"])
