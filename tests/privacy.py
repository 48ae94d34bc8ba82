"""Searching everything an installation writes for strings that were planted in its input.

`find_planted(planted, folders)` reads every file below the folders: its name, its raw bytes,
what is compressed in it (gzip, zlib, zstd, zip, PDF, base64), and for DuckDB and Parquet
files, whose columns are stored in pieces, every value of every table. It returns where a
planted string was found, in whatever encoding or spelling it got there.

    planted = Planted(names=["Quillfeather^Ottoline"], ids=["PZ-778-341"], dates=["1961-03-04"])
    assert not find_planted(planted, [settings.store_file.parent, settings.logs_dir])

A test that trusts this must plant strings that stand nowhere by chance, and must show once
that the same search finds them where they are meant to be (spool, archive).
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import duckdb
import zstandard

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
_LARGEST = 200_000_000  # bytes of one piece of unpacked data
_DEEPEST = 4
_SHORTEST = 8  # bytes of unpacked data worth a look
_CHUNK = 16_384
_ZLIB = re.compile(rb"x[\x01\x5e\x9c\xda]")
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd")
_BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")


class Hit(NamedTuple):
    """A planted string that was found."""

    planted: str
    form: str
    where: str


class Planted:
    """Strings that must not be found, in all spellings they may take.

    Parameters
    ----------
    names
        DICOM person names (`Family^Given`); each family and given name is searched alone too.
    ids
        Numbers and other strings.
    dates
        Birth dates, ISO 8601.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        ids: Iterable[str] = (),
        dates: Iterable[str] = (),
    ) -> None:
        spellings: dict[str, set[str]] = {}
        for name in names:
            parts = [p for p in re.split(r"[\^=\s]+", name) if len(p) >= 4]
            spellings[name] = {name, *parts}
        for one in ids:
            spellings[one] = {one}
        for one in dates:
            spellings[one] = _spellings_of_date(date.fromisoformat(one))
        self._forms = {
            form.lower(): (planted, text)
            for planted, texts in spellings.items()
            for text in texts
            for form in _encoded(text)
        }
        if not self._forms:
            raise ValueError("nothing is planted")

    def search(self, data: bytes, where: str) -> list[Hit]:
        """Hits in plain bytes, each planted string once; case is ignored."""
        lower = data.lower()
        found = {self._forms[form] for form in self._forms if form in lower}
        return [Hit(planted, text, where) for planted, text in sorted(found)]


def find_in_bytes(
    planted: Planted, data: bytes, where: str = "bytes", *, depth: int = 0
) -> list[Hit]:
    """Hits in bytes (a page, metrics, a message) and in what is packed in them."""
    hits = planted.search(data, where)
    if depth < _DEEPEST:
        for kind, inner in _unpacked(data):
            hits += find_in_bytes(planted, inner, f"{where} > {kind}", depth=depth + 1)
    return hits


def find_planted(
    planted: Planted,
    folders: Iterable[Path],
    *,
    skip: Iterable[Path] = (),
    keys: Mapping[Path, str] | None = None,
) -> list[Hit]:
    """Hits in all files below some folders, and in the names of the files.

    Parameters
    ----------
    planted
        What to look for.
    folders
        Folders or files.
    skip
        Folders that may hold it (spool, archive).
    keys
        Encryption keys of DuckDB files, to look inside those as well.
    """
    hits: list[Hit] = []
    left_out = [p.resolve() for p in skip]
    for folder in folders:
        if not folder.exists():
            raise FileNotFoundError(f"{folder}: a search of nothing finds nothing")
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            if any(path.resolve().is_relative_to(s) for s in left_out):
                continue
            hits += planted.search(str(path.name).encode(), f"name of {path}")
            if path.is_file():
                hits += _search_file(planted, path, (keys or {}).get(path))
    return hits


def _search_file(planted: Planted, path: Path, key: str | None) -> list[Hit]:
    hits = find_in_bytes(planted, path.read_bytes(), str(path))
    if path.suffix in (".duckdb", ".parquet"):
        for place, value in _values(path, key):
            hits += find_in_bytes(planted, value, f"{path} > {place}")
    if path.suffix == ".pdf":
        hits += planted.search(_pdf_text(path).encode(), f"{path} > text")
    return hits


def _spellings_of_date(day: date) -> set[str]:
    """A date as DICOM, ISO, by day and by month first, and as Python shows it."""
    d, m, y = f"{day.day:02d}", f"{day.month:02d}", f"{day.year:04d}"
    forms = {f"{y}{m}{d}", repr(day).removeprefix("datetime.date")}
    for mark in "-/. ":
        forms |= {mark.join((y, m, d)), mark.join((d, m, y)), mark.join((m, d, y))}
    return forms | {day.strftime("%d %B %Y"), day.strftime("%d %b %Y"), day.strftime("%B %d, %Y")}


def _encoded(text: str) -> set[bytes]:
    """A string as bytes, in every encoding and escape it may have got."""
    written = {
        text,
        text.replace("^", " "),
        html.escape(text),
        text.encode("ascii", "xmlcharrefreplace").decode(),
        json.dumps(text)[1:-1],
        quote(text),
        quote(text, safe=""),
        text.encode("unicode_escape").decode(),
    }
    forms: set[bytes] = set()
    for one in written:
        for encoding in _ENCODINGS:
            try:
                forms.add(one.encode(encoding))
            except UnicodeEncodeError:
                continue
    raw = text.encode()
    if len(raw) >= 9:
        forms |= set(_base64_forms(raw))
    return forms | {raw.hex().encode()}


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """The middle of a string in base64, for each of the three places it may begin at."""
    for start in range(3):
        coded = base64.b64encode(b"\0" * start + raw)
        first = (4 * start + 2) // 3 + (1 if start else 0)
        yield coded[first : len(coded) - 4]


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:4] == b"PK\x03\x04":
        yield from _unzipped(data)
        return
    view = memoryview(data)
    for kind, start, unpack in (
        *((f"gzip@{m.start()}", m.start(), _inflater(31)) for m in _GZIP.finditer(data)),
        *((f"zlib@{m.start()}", m.start(), _inflater(15)) for m in _ZLIB.finditer(data)),
        *((f"zstd@{m.start()}", m.start(), _unzstd) for m in _ZSTD.finditer(data)),
    ):
        if len(inner := unpack(view[start:])) > _SHORTEST:
            yield kind, inner
    for match in _BASE64.finditer(data):
        try:
            yield f"base64@{match.start()}", base64.b64decode(match.group(1), validate=False)
        except ValueError:
            continue


def _inflater(bits: int) -> Callable[[memoryview], bytes]:
    """Unpacks the deflate stream at the start of a view; nothing if there is none."""

    def inflate(view: memoryview) -> bytes:
        reader, found, size = zlib.decompressobj(bits), [], 0
        for start in range(0, len(view), _CHUNK):  # small steps: most places are no stream
            try:
                found.append(reader.decompress(view[start : start + _CHUNK]))
            except zlib.error:
                break
            size += len(found[-1])
            if reader.eof or size > _LARGEST:
                break
        return b"".join(found)

    return inflate


def _unzstd(view: memoryview) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(view)
    except zstandard.ZstdError:
        return b""


def _unzipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield f"zip:{name}", name.encode() + b"\n" + archive.read(name)
    except zipfile.BadZipFile:
        return


def _values(path: Path, key: str | None) -> Iterator[tuple[str, bytes]]:
    """Every column of every table, as bytes; the file is copied, so that it may be in use."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for source in (path, path.with_name(path.name + ".wal")):
            if source.exists():
                shutil.copyfile(source, copy.with_name(source.name))
        con = duckdb.connect()
        if path.suffix == ".parquet":
            con.execute(f"CREATE VIEW rows AS FROM read_parquet('{copy}')")
        elif not _attach(con, copy, key):
            return
        yield from _columns(con)
        con.close()


def _attach(con: duckdb.DuckDBPyConnection, path: Path, key: str | None) -> bool:
    """Open a DuckDB file; False for one that is encrypted and whose key is not given."""
    try:
        if key is None:
            con.execute(f"ATTACH '{path}' AS looked_at")
        else:
            con.execute(f"ATTACH '{path}' AS looked_at (ENCRYPTION_KEY ?, READ_ONLY)", [key])
    except duckdb.CatalogException as error:
        if "encrypted" in str(error) and key is None:
            return False
        raise
    con.execute("USE looked_at")
    return True


def _columns(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, bytes]]:
    tables = con.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables()"
        " UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()"
        " WHERE view_name = 'rows' AND NOT internal"
    ).fetchall()
    for database, schema, table in tables:
        for column, kind, *_ in con.execute(
            f'DESCRIBE "{database}"."{schema}"."{table}"'
        ).fetchall():
            is_blob = kind == "BLOB"
            shown = f'"{column}"' if is_blob else f'CAST("{column}" AS VARCHAR)'
            values = con.execute(
                f'SELECT {shown} FROM "{database}"."{schema}"."{table}"'
                f' WHERE "{column}" IS NOT NULL'
            )
            while batch := values.fetchmany(10_000):
                found: list[Any] = [v for (v,) in batch]
                if is_blob:
                    yield from ((f"{table}.{column}", bytes(v)) for v in found)
                else:
                    yield f"{table}.{column}", "\n".join(found).encode()


def _pdf_text(path: Path) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def compress_all(data: bytes) -> dict[str, bytes]:
    """`data` as every packer writes it that this search opens; for its own test."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return {
        "gzip": gzip.compress(data),
        "zlib": b"head" + zlib.compress(data) + b"tail",
        "zstd": b"head" + zstandard.compress(data),
        "zip": packed.getvalue(),
    }
