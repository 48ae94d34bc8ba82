"""What an object said, as it is kept: JSON of the part as read, compressed.

Two things are taken out before anything is kept: the file name, which may hold a patient's
name, and numbers that are none (NaN, infinity), which would win every comparison.
"""

from __future__ import annotations

import math
import re
import zlib
from typing import Any, get_args, get_origin

import msgspec

from dose_lib.records import Part, Provenance, SourceObject
from dose_lib.store.columns import field_types

# An IEEE 754 double whose exponent bits are all set is NaN or infinite; the byte before it
# is MessagePack's mark of a double. A text may look so by chance: then one look too many.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")

_PARTS = msgspec.json.Decoder(Part)
_TRACES = msgspec.json.Decoder(tuple[Provenance, ...])


def clean_part(part: Part, sha256: str) -> Part:
    """A part fit to be kept: no file names, hash of its object, finite numbers only."""
    sources = tuple(
        msgspec.structs.replace(s, file=None, sha256=sha256)
        for s in part.sources or (SourceObject(),)
    )
    return finite_part(msgspec.structs.replace(part, sources=sources))


def finite_part(part: Part) -> Part:
    """A part whose numbers are all finite; the same one where they are."""
    return without_nan(part) if _NOT_FINITE.search(msgspec.msgpack.encode(part)) else part


def without_nan(value: Any) -> Any:
    """The same record with None where a number is not finite.

    A list that must hold numbers only is emptied if one of them is none: the rest of a list
    of coefficients means nothing without it.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, msgspec.Struct):
        types = field_types(type(value))
        changed = {n: _field(getattr(value, n), types[n]) for n in value.__struct_fields__}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(without_nan(inner) for inner in value)
    if isinstance(value, dict):
        return {name: without_nan(inner) for name, inner in value.items()}
    return value


def _field(value: Any, annotation: Any) -> Any:
    kept = without_nan(value)
    is_strict = get_origin(annotation) is tuple and get_args(annotation)[0] is float
    return () if is_strict and None in kept else kept


def pack_part(part: Part) -> bytes:
    """A part as kept in table `reading`."""
    return zlib.compress(msgspec.json.encode(part), level=1)


def unpack_part(data: bytes) -> Part:
    """The part that `pack_part` kept."""
    return _PARTS.decode(zlib.decompress(data))


def pack_trace(trace: tuple[Provenance, ...]) -> bytes:
    """Provenance as kept in table `provenance`."""
    return zlib.compress(msgspec.json.encode(trace), level=1)


def unpack_trace(data: bytes) -> tuple[Provenance, ...]:
    """The provenance that `pack_trace` kept."""
    return _TRACES.decode(zlib.decompress(data))
