"""Where a stored number came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Provenance
from dose_lib.store.reading import unpack_trace

if TYPE_CHECKING:
    from dose_lib.store.connect import StoreBackend


def trace(
    part_key: str, name: str | None = None, con: StoreBackend | None = None
) -> tuple[Provenance, ...]:
    """Object, content item, recorded value and conversion behind the values of a part.

    Parameters
    ----------
    part_key
        Of the exam part.
    name
        Quantity, such as `dlp_total_mgy_cm`, `totals.dlp_total_mgy_cm` or
        `events[3].ctdi_vol_mgy`; default: all.
    con
        Backend to ask; default `connect()`.

    Returns
    -------
    tuple of Provenance
        In the order they were read. `source` is the index in the part's `sources`.

    Raises
    ------
    UsageError
        If there is no such part, or nothing of this name was recorded in it.
    """
    if con is None:
        from dose_lib.store.connect import connect

        con = connect()
    parts, traces = con.table("part"), con.table("provenance")
    rows = parts.filter(parts.part_key == part_key).select("part_key")
    found = rows.left_join(traces, "part_key").select("trace").to_pyarrow()
    if found.num_rows == 0:
        raise UsageError(
            f"there is no exam part {part_key!r}",
            todo="Part keys are in the column part_key of `studies`",
        )
    packed = found.column("trace")[0].as_py()
    entries = unpack_trace(packed) if packed else ()
    if name is None:
        return entries
    wanted = tuple(e for e in entries if _fits(e.name, name))
    if not wanted:
        names = {e.name for e in entries} | {_bare(e.name) for e in entries}
        raise UsageError(
            f"nothing was recorded for {name!r} in this part", todo=did_you_mean(name, names)
        )
    return wanted


def _bare(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _fits(entry: str, name: str) -> bool:
    return name in (entry, _bare(entry))
