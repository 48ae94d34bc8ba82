"""Texts, numbers and times as DICOM objects carry them, in all the ways that arrive.

Character sets are declared, misdeclared, misspelt or missing; numbers come with commas,
slashes and units; times with and without zone. Each function reads what can be read and
returns None for what cannot: the caller leaves the issue.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

# Defined terms of (0008,0005) with spelling folded away (PS3.3 C.12.1.1.2) -> Python codec.
_CODECS = {
    "6": "ascii",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "144": "iso8859_5",
    "127": "iso8859_6",
    "126": "iso8859_7",
    "138": "iso8859_8",
    "148": "iso8859_9",
    "203": "iso8859_15",
    "166": "cp874",
    "13": "shift_jis",
    "87": "iso2022_jp",
    "159": "iso2022_jp_2",
    "149": "euc_kr",
    "58": "gb2312",
    "192": "utf_8",
}
_NAMED = {
    "GB18030": "gb18030",
    "GBK": "gbk",
    "UTF8": "utf_8",
    "LATIN1": "latin_1",
    "ISO88591": "latin_1",
    "ISO885915": "iso8859_15",
    "ASCII": "ascii",
}
# Escape sequences of ISO 2022 (PS3.5 6.1.2.5) -> codec of the bytes that follow.
_ESCAPES = {
    b"\x1b(B": "ascii",
    b"\x1b-A": "latin_1",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-L": "iso8859_5",
    b"\x1b-G": "iso8859_6",
    b"\x1b-F": "iso8859_7",
    b"\x1b-H": "iso8859_8",
    b"\x1b-M": "iso8859_9",
    b"\x1b-b": "iso8859_15",
    b"\x1b-T": "cp874",
    b"\x1b)I": "shift_jis",
    b"\x1b(J": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
    b"\x1b$B": "iso2022_jp",
    b"\x1b$(D": "iso2022_jp_2",
}
_ESCAPE = re.compile(rb"\x1b(?:\$\)[A-Z]|\$\([A-Z]|\$[A-Z]|[()\-][A-Za-z])")
_SINGLE_BYTE = frozenset(
    c for c in _CODECS.values() if c.startswith(("latin", "iso8859", "ascii", "cp874"))
)


@lru_cache(maxsize=256)
def codecs_of(declared: str) -> tuple[str, ...]:
    """Python codecs for a Specific Character Set value, unknown terms left out.

    Parameters
    ----------
    declared
        Value of (0008,0005), several terms separated by backslashes; spelling variants
        such as ``ISO-IR 100``, ``ISO IR100`` and ``UTF-8`` are understood.
    """
    found = []
    for term in declared.split("\\"):
        folded = re.sub(r"[\s_.\-]", "", term).upper()
        number = re.fullmatch(r"ISO(?:2022)?IR(\d+)", folded)
        codec = _CODECS.get(number[1]) if number else _NAMED.get(folded)
        found.append(codec or ("ascii" if not folded else ""))
    return tuple(c for c in found if c)


def decode(raw: bytes, codecs: tuple[str, ...] = ()) -> str:
    """Text of `raw`: as declared, else strict UTF-8, else Windows-1252; never an error.

    A single-byte set cannot fail, so bytes that are valid UTF-8 beyond ASCII are taken
    for that even where Latin-1 is declared: real reports mix both (Siemens syngo CT).
    """
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").rstrip(" \0")
    if b"\x1b" in raw:
        text = _decode_escapes(raw, codecs)
        if text is not None:
            return text.rstrip(" \0")
    order = [c for c in codecs if c not in _SINGLE_BYTE]
    order += ["utf_8", *(c for c in codecs if c in _SINGLE_BYTE and c != "ascii"), "cp1252"]
    for codec in order:
        try:
            return raw.decode(codec).rstrip(" \0")
        except UnicodeDecodeError:
            continue
    return raw.decode("latin_1").rstrip(" \0")


def is_declared_wrong(raw: bytes, codecs: tuple[str, ...]) -> bool:
    """True if bytes beyond ASCII were not in the declared character set."""
    if raw.isascii():
        return False
    if not codecs or set(codecs) <= _SINGLE_BYTE:
        try:
            raw.decode("utf_8")
        except UnicodeDecodeError:
            return not codecs or set(codecs) == {"ascii"}
        return True
    return False


def _decode_escapes(raw: bytes, codecs: tuple[str, ...]) -> str | None:
    """ISO 2022 text with code extensions; None where a fragment cannot be decoded."""
    codec = next(iter(codecs), "ascii")
    text, start = [], 0
    try:
        for escape in _ESCAPE.finditer(raw):
            text.append(_fragment(raw[start : escape.start()], codec, b""))
            codec, start = _ESCAPES[escape[0]], escape.end()
            if codec.startswith("iso2022"):
                following = _ESCAPE.search(raw, start)
                stop = following.start() if following else len(raw)
                text.append(_fragment(raw[start:stop], codec, escape[0]))
                start = stop
                codec = next(iter(codecs), "ascii")
        text.append(_fragment(raw[start:], codec, b""))
    except (KeyError, UnicodeDecodeError):
        return None
    return "".join(text)


def _fragment(raw: bytes, codec: str, escape: bytes) -> str:
    # The Japanese codecs of Python read the escape sequence themselves.
    return (escape + raw).decode(codec) if raw else ""


def clean(text: str | None) -> str | None:
    """The text without surrounding white space and NULs; None if nothing is left."""
    text = (text or "").strip(" \0\t\r\n")
    return text or None


_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(\d+),(\d+)(?:[eE][-+]?\d+)?")
# 1,234.5 and 1.234,5 and 1,234: one number or two, or a thousand times as much.
_UNCLEAR = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:,\d{3})+)"
)
# A number within words, for patterns: `DLP=769.67`.
PLAIN_NUMBER = r"(\d{1,9}(?:\.\d{1,15})?)(?!\d)"
# The same where consoles of any language write it: "Total DLP = 277,1"; see `number_in`.
ANY_NUMBER = r"\s*[=:]\s*(\d{1,9}(?:[.,]\d{1,15})*)(?!\d)"
# No quantity of radiology is larger or, unless 0, smaller in any unit; sums, squares and
# ratios of numbers within stay numbers.
_LARGEST, _SMALLEST = 1e30, 1e-30


def number_in(text: str) -> float | None:
    """A number found within words; None where its comma may be one of thousands."""
    found = read_numbers(text)[0]
    return found[0] if len(found) == 1 else None


def is_number(value: float) -> bool:
    """False for NaN, infinite and beyond all quantities."""
    return _SMALLEST < abs(value) < _LARGEST or value == 0


def read_numbers(text: str) -> tuple[tuple[float, ...], bool]:
    """The numbers of a DS or IS value, and whether the text was legal.

    Several values are separated by backslashes. Slashes and commas between numbers
    ("10.50/ 15.00", "0.94,0.194") separate as well, a single comma between digits is a
    decimal comma ("0,94", "1,5E-05"); both make the text illegal, as does anything else
    beside numbers, and what may be a separator of thousands ("1,234"): these give no number
    at all.

    Parameters
    ----------
    text
        The value as sent.

    Returns
    -------
    tuple of float
        Values in order; empty for an empty text, and where one is unreadable.
    bool
        False if the text was not what the standard allows.
    """
    try:
        number = float(text)
    except ValueError:
        return _read_many(text)
    if is_number(number) and "_" not in text:
        return (number,), True
    return (), False


def _read_many(text: str) -> tuple[tuple[float, ...], bool]:
    text = text.strip(" \0")
    if not text:
        return (), True
    values = [part for part in (p.strip() for p in text.split("\\")) if part]
    found = [number for value in values for number in _split(value)]
    if not all(_NUMBER.fullmatch(part) for part in found):
        return (), False
    numbers = tuple(map(float, found))
    is_legal = not re.search(r"[/,;]", text)
    return (numbers, is_legal) if all(map(is_number, numbers)) else ((), False)


def _split(value: str) -> list[str]:
    """The numbers of one value, as texts; the value itself where they are unclear."""
    if _UNCLEAR.fullmatch(value):
        return [value]
    if _DECIMAL_COMMA.fullmatch(value):
        return [value.replace(",", ".")]
    return [part for part in (p.strip() for p in re.split(r"[/,;]", value)) if part]


@lru_cache(maxsize=4096)
def read_date(text: str | None) -> date | None:
    """A date of DA form (`20240131`), also with dots or hyphens (ACR-NEMA, ISO)."""
    digits = re.sub(r"[.\-]", "", (text or "").split("\\")[0].strip())
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,9}))?")


@lru_cache(maxsize=4096)
def read_time(text: str | None) -> time | None:
    """A time of TM form (`093000.25`), also with colons."""
    match = _TIME.fullmatch((text or "").split("\\")[0].strip())
    if not match:
        return None
    hour, minute, second = (int(g or 0) for g in match.groups()[:3])
    micro = int((match[4] or "0").ljust(6, "0")[:6])
    try:
        return time(hour, minute, min(second, 59), micro)  # 60 is a leap second
    except ValueError:
        return None


_ZONE = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d\d):?(\d\d)$")


def read_zone(text: str | None) -> timezone | None:
    """A zone of (0008,0201) form (`+0100`), also as `UTC-04:00` (GE OEC)."""
    match = _ZONE.fullmatch((text or "").strip().upper())
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


_ISO = re.compile(r"(\d{4})([-./])(\d\d)\2(\d\d)(?:[ T]+(\d.*))?$")
_GERMAN = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(?: +(\d.*))?$")


def _as_digits(text: str) -> str:
    """DT form of other ways to write a time: ISO 8601, day.month.year; else the text itself."""
    if len(text) > 8 and text[8] == "T":
        text = text[:8] + text[9:]
    if text.endswith("Z"):
        text = text[:-1] + "+0000"
    if found := _ISO.match(text):
        return f"{found[1]}{found[3]}{found[4]}{found[5] or ''}"
    if found := _GERMAN.match(text):
        return f"{found[3]}{found[2]}{found[1]}{found[4] or ''}"
    return text


@lru_cache(maxsize=4096)
def read_datetime(text: str | None, zone: timezone | None = None) -> datetime | None:
    """Date and time of DT form (`20240131093000.25+0100`); None if there is no full date.

    Parameters
    ----------
    text
        The value as sent; a truncated time is filled with zeros, a date alone is midnight.
    zone
        Zone of the object, used where the value names none.
    """
    text = _as_digits((text or "").strip())
    offset = re.search(r"[+-]\d\d:?\d\d$", text)
    # "2016-05" ends like an offset; a zone needs a full date before it.
    if offset and len(text[: offset.start()]) >= 8:
        zone, text = read_zone(offset[0]) or zone, text[: offset.start()]
    day = read_date(text[:8])
    if day is None:
        return None
    at = read_time(text[8:]) if text[8:] else time()
    return datetime.combine(day, at, zone) if at else None


def join_datetime(day: str | None, at: str | None, zone: timezone | None = None) -> datetime | None:
    """Date and time from a DA and a TM element; midnight without a time, None without a date."""
    found = read_date(day)
    return datetime.combine(found, read_time(at) or time(), zone) if found else None


_AGE = re.compile(r"(\d{1,3})\s*([DWMY]?)")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}


def read_age(text: str | None) -> float | None:
    """An age of AS form (`003W`, `56Y`, `012M`, `45`) in years; None if unreadable."""
    match = _AGE.fullmatch((text or "").strip().upper())
    return int(match[1]) * _YEARS[match[2]] if match else None
