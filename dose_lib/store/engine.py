"""Opening DuckDB files, and its errors in our words."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import duckdb

from dose_lib.errors import SettingsError, StoreError, StoreInUseError

_BLOCK_BYTES = 16_384
_HOLDER = re.compile(r"held in .*?\(PID (\d+)\)")


def open_file(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to a store file, with times in UTC.

    Raises
    ------
    StoreInUseError
        If another process has the file open for writing (or, for a writer, at all).
    StoreError
        If the file is missing (for a reader), damaged or of a newer DuckDB.
    """
    if read_only and not path.exists():
        raise missing(path)
    try:
        if not path.exists():
            _make(path)
        con = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        raise _opening_error(path, error) from None
    except (duckdb.Error, RuntimeError) as error:
        raise StoreError(
            f"the store file cannot be used ({_first_line(error)})",
            expected="a DuckDB file made by DoseLoop",
            where=str(path),
            todo="Restore it (`dose restore`) or make it again (`dose rebuild`)",
        ) from None
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET python_enable_replacements = false")
    return con


def _make(path: Path) -> None:
    """An empty file of small blocks.

    A writer holds a block for each of some 500 columns. With DuckDB's 256 KB the owner took
    441 MB after 600 reports, with 16 KB 253 MB; queries are as fast, large files a half larger.
    """
    with duckdb.connect(":memory:") as con:
        quoted = str(path).replace("'", "''")
        con.execute(f"ATTACH '{quoted}' AS fresh (BLOCK_SIZE {_BLOCK_BYTES})")


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{u}i": 1024**n for n, u in enumerate("kmgt", start=1)}


def memory_bytes(text: str) -> int:
    """Bytes of a size as DuckDB takes it: 512MB, 2 GiB.

    Raises
    ------
    SettingsError
        If it is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b\s*", text, re.IGNORECASE)
    if match is None or match.group(2).lower() not in _UNITS:
        raise SettingsError(f"store_memory = {text!r} is no size", expected="such as 2GB or 512MB")
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()])


def missing(path: Path) -> StoreError:
    """The error for a store that was never made."""
    return StoreError(
        "there is no store here yet",
        where=str(path),
        todo="Start the service (`dose serve`) or take in files (`dose ingest PATH`)",
    )


def _opening_error(path: Path, error: duckdb.IOException) -> StoreError:
    text = str(error)
    if "lock" in text.lower():
        holder = _HOLDER.search(text)
        who = f"process {holder.group(1)}" if holder else "another process"
        return StoreInUseError(
            f"{who} has the store open and does not serve it",
            where=str(path),
            todo="Wait until it ends, or start the service (`dose serve`), which lets all read",
        )
    return StoreError(
        f"the store file cannot be opened ({_first_line(error)})",
        where=str(path),
        todo="Check the file and its folder; if it is damaged, restore it (`dose restore`) or make"
        " it again from the archive (`dose rebuild`)",
    )


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def load_quack(con: duckdb.DuckDBPyConnection) -> None:
    """Load the client/server extension from its wheels; nothing is downloaded.

    Raises
    ------
    StoreError
        If the wheels `duckdb-extension-quack` and `duckdb-extension-httpfs` of this very
        DuckDB version are not installed.
    """
    for name in ("httpfs", "quack"):
        con.execute(f"LOAD '{_extension_file(name)}'")


def _extension_file(name: str) -> Path:
    package = f"duckdb_extension_{name}"
    try:
        module = import_module(package)
    except ImportError:
        found = Path("missing")
    else:
        folder = Path(next(iter(module.__path__)))
        found = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not found.is_file() or "'" in str(found):
        wheel = f"duckdb-extension-{name}"
        raise StoreError(
            f"DuckDB's extension {name} is not installed for DuckDB {duckdb.__version__}",
            expected=f"{wheel}=={duckdb.__version__}",
            todo=f"pip install {wheel}=={duckdb.__version__}",
        )
    return found
