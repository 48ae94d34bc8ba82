"""HL7 v2 messages (ADT, ORU, ORM, OMG, OMI): weight and height in them, and the answer.

What is looked at: PID-3 (else PID-2) for the patient, OBX for observations by LOINC, SNOMED
CT, MDC or plain words, OBR-13 for ``weight 80 kg`` in free text. No Z segment. The message
is neither kept nor logged; only sizes leave this module.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import hl7
import msgspec

from dose_lib.derived import is_plausible
from dose_lib.records.identity import Hidden
from pipelines.collect.body import SizeOf, height_in_cm, local_time, read_number, weight_in_kg

TYPES = ("ADT", "ORU", "ORM", "OMG", "OMI")

# LOINC without birth weight (8339-4), ideal weight and changes; SNOMED CT; IEEE 11073 (MDC).
_WEIGHT_CODES = frozenset(
    {"29463-7", "3141-9", "3142-7", "8335-2", "8350-1", "8351-9", "27113001", "188736"}
)
_HEIGHT_CODES = frozenset(
    {"8302-2", "3137-7", "3138-5", "8301-4", "8306-3", "8308-9", "50373000", "188740"}
)
_STANDARD = frozenset({"LN", "LOINC", "SCT", "SNM", "SNOMED", "MDC"})
# Case-folded: ß is ss.
_WEIGHT_WORDS = frozenset(
    {"weight", "body weight", "patient weight", "wt", "mdc_mass_body_actual"}
    | {"gewicht", "körpergewicht", "koerpergewicht", "poids", "peso", "gewicht patient"}
)
_HEIGHT_WORDS = frozenset(
    {"height", "body height", "patient height", "ht", "body length", "mdc_len_body_actual"}
    | {"grösse", "groesse", "körpergrösse", "koerpergroesse", "taille", "altura", "lengte"}
)
_IN_WORDS = r"\W{0,3}(\d+(?:[.,]\d+)?)\s*"
_FREE_TEXT = {
    "weight": re.compile(rf"\b(?:weight|wt|gewicht|poids){_IN_WORDS}(kg|lbs?)\b", re.IGNORECASE),
    "height": re.compile(
        rf"\b(?:height|ht|größe|grösse|groesse|taille){_IN_WORDS}(cm|m|in)\b", re.IGNORECASE
    ),
}
_NOT_GIVEN = frozenset({"X", "D", "W", "N", "I", "O"})  # table 0085: deleted, wrong, not yet there
_NUMERIC = frozenset({"NM", "SN", "ST", "TX", "FT", "CQ", ""})
_NOT_OURS = frozenset({"SS", "NI", "DL", "PPN", "SB", "AN", "VN"})  # table 0203

# Table 0211; what is not listed here is refused rather than guessed.
_CHARACTER_SETS = {
    "": "utf-8",
    "ASCII": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    **{f"8859/{n}": f"iso8859-{n}" for n in (*range(1, 10), 15)},
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_2",
    "ISO IR6": "utf-8",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "big5",
    "BIG-5": "big5",
    "WINDOWS-1252": "cp1252",
}
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.\d+)?([+-]\d{4})?")


class RefusedMessageError(Exception):
    """A message that is not taken; `code` is AE or AR, `number` of table 0357.

    AE: the message's content, or we, are at fault, and it may come again; AR: its type,
    version or form will never be taken. The text names no value of the message.
    """

    def __init__(self, code: str, number: int, text: str) -> None:
        super().__init__(text)
        self.code, self.number, self.text = code, number, text


class Header(Hidden, frozen=True, kw_only=True):
    """What MSH says; enough for an answer even where the rest cannot be read."""

    separator: str
    encoding: str
    fields: tuple[str, ...]

    def field(self, number: int) -> str:
        """MSH-n as text; MSH-1 is the separator itself."""
        return self.fields[number - 1] if number <= len(self.fields) else ""

    @property
    def kind(self) -> str:
        """Type of message, such as ADT."""
        return self.field(9).split(self.encoding[0])[0].strip().upper()

    @property
    def event(self) -> str:
        """Event, such as A01."""
        return [*self.field(9).split(self.encoding[0]), ""][1].strip().upper()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a message, and how many observations of size could not be used and why."""

    sizes: tuple[SizeOf, ...] = ()
    unused: tuple[str, ...] = ()


def read_header(content: bytes) -> Header | None:
    """MSH of a message; None for bytes that are no HL7 v2 message."""
    content = content.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n ")
    if content[:3] != b"MSH" or len(content) < 9:
        return None
    line = re.split(rb"[\r\n]", content, maxsplit=1)[0].decode("latin-1")
    separator = line[3]
    encoding, _, rest = line[4:].partition(separator)
    if separator.isalnum() or not 1 <= len(encoding) <= 5 or len(set(encoding)) != len(encoding):
        return None
    return Header(
        separator=separator,
        encoding=encoding,
        fields=(separator, encoding, *rest.split(separator)),
    )


def read_sizes(content: bytes, header: Header, *, zone: str, now: datetime) -> Told:
    """Sizes that a message tells.

    Parameters
    ----------
    content
        The message without its frame.
    header
        From `read_header`.
    zone
        Of the site.
    now
        When it arrived; the time of a measurement that names none.

    Raises
    ------
    RefusedMessageError
        With the code of the answer.
    """
    _check(header)
    message = parse_message(content, header)
    default = time_of(header.field(7), zone) or local_time(now, zone)
    found: list[SizeOf] = []
    unused: list[str] = []
    for patient, segments in _by_patient(message):
        told = list(_observations(segments, default, zone, unused))
        if not told:
            continue
        ids = list(ids_of(patient, 3, 2)) if patient is not None else []
        if not ids:
            raise RefusedMessageError("AE", 101, "a size without a patient ID (PID-3)")
        found += [
            msgspec.structs.replace(size, patient_id=i, issuer=issuer)
            for i, issuer in ids
            for size in told
        ]
    return Told(sizes=tuple(found), unused=tuple(unused))


def acknowledge(
    header: Header, code: str, now: datetime, *, text: str = "", number: int = 0
) -> bytes:
    """The answer to a message: MSH, MSA, and ERR from version 2.5 on where it is refused."""
    s, e = header.separator, header.encoding
    version = header.field(12).split(e[0])[0] or "2.3"
    kind = e[0].join(p for p in ("ACK", header.event) if p)
    stamp = now.astimezone(UTC).strftime("%Y%m%d%H%M%S") + "+0000"
    head = ["MSH", e, "DOSELOOP", "", header.field(3), header.field(4), stamp, "", kind]
    head += [f"{now.timestamp():.6f}".replace(".", ""), header.field(11) or "P", version]
    lines = [s.join(head), s.join(["MSA", code, header.field(10), _escaped(text, header)])]
    if code != "AA" and version >= "2.5":
        lines.append(s.join(["ERR", "", "", str(number), "E"]))
    return ("\r".join(lines) + "\r").encode("latin-1", "replace")


def _escaped(text: str, header: Header) -> str:
    return "".join(" " if c in header.separator + header.encoding else c for c in text)


def _check(header: Header) -> None:
    if not header.field(10):
        raise RefusedMessageError("AR", 101, "no message control ID (MSH-10)")
    if header.kind not in TYPES:
        raise RefusedMessageError("AR", 200, f"only {', '.join(TYPES)} are taken")
    if header.field(12) and not header.field(12).startswith("2"):
        raise RefusedMessageError("AR", 203, "only version 2 is taken")
    if header.field(11)[:1] not in ("", "P"):
        raise RefusedMessageError("AR", 202, "only production messages are taken")


def parse_message(content: bytes, header: Header) -> Any:
    """Segments of a message; raises RefusedMessageError if they cannot be read."""
    name = header.field(18).split(_repetition(header))[0].strip().upper()
    codec = _CHARACTER_SETS.get(name)
    if codec is None:
        raise RefusedMessageError("AE", 102, "the character set (MSH-18) is not known")
    plain = content.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n ")
    try:
        text = plain.decode(codec)
    except UnicodeDecodeError:
        if name not in ("", "ASCII"):
            raise RefusedMessageError(
                "AE", 102, "bytes that are not of its character set"
            ) from None
        text = plain.decode("latin-1")  # no set was declared; what counts is ASCII in all
    try:
        return hl7.parse(re.sub(r"\r\n?|\n", "\r", text.rstrip("\r\n\0 ")) + "\r")
    except (hl7.HL7Exception, ValueError, IndexError, KeyError, TypeError):
        raise RefusedMessageError("AR", 100, "the segments cannot be read") from None


def _repetition(header: Header) -> str:
    return header.encoding[1] if len(header.encoding) > 1 else "~"


def _by_patient(message: Any) -> Iterator[tuple[Any | None, list[Any]]]:
    """Segments by the PID before them; an ORU may hold several patients."""
    patient: Any | None = None
    some: list[Any] = []
    for segment in message:
        name = str(segment[0])
        if name == "PID":
            yield patient, some
            patient, some = segment, []
        elif name in ("OBX", "OBR"):
            some.append(segment)
    yield patient, some


def ids_of(segment: Any, *fields: int) -> Iterator[tuple[str, str | None]]:
    """Patient IDs with their authorities, of the first of some fields that has any."""
    for number in fields:
        given = [_components(r) for r in _repetitions(segment, number)]
        usable = [c for c in given if c[0] and _part(c, 4).upper() not in _NOT_OURS]
        if usable:
            yield from ((c[0], _part(c, 3).split("&")[0] or None) for c in usable)
            return


def _observations(
    segments: Iterable[Any], default: datetime, zone: str, unused: list[str]
) -> Iterator[SizeOf]:
    """Sizes of one patient; weight and height of one moment together."""
    by_time: dict[datetime, dict[str, float]] = {}
    ordered = default
    for segment in segments:
        if str(segment[0]) == "OBR":
            ordered = time_of(_text(segment, 7), zone) or default
            found = list(_free_text(_text(segment, 13)))
            at = ordered
        else:
            found = list(_observation(segment, unused))
            at = time_of(_text(segment, 14), zone) or ordered
        for name, value in found:
            by_time.setdefault(at, {})[name] = value
    for at, values in by_time.items():
        weight, height = values.get("weight_kg"), values.get("height_cm")
        yield SizeOf(patient_id="", measured_at=at, weight_kg=weight, height_cm=height)


def _observation(segment: Any, unused: list[str]) -> Iterator[tuple[str, float]]:
    what = _what(_components_of(segment, 3))
    if what is None:
        return
    if _text(segment, 11).upper() in _NOT_GIVEN:
        unused.append(f"{what}: its status says that it does not hold")
        return
    if _text(segment, 2).upper() not in _NUMERIC:
        unused.append(f"{what}: no number (OBX-2)")
        return
    number, unit = _value(segment)
    said = unit or next((c for c in _components_of(segment, 6) if c), "")
    if number is None or not said:
        unused.append(f"{what}: " + ("no number (OBX-5)" if number is None else "no unit (OBX-6)"))
        return
    yield from _checked(what, number, said, unused)


def _checked(what: str, number: float, unit: str, unused: list[str]) -> Iterator[tuple[str, float]]:
    if what == "weight":
        name, value = "weight_kg", weight_in_kg(number, unit)
    else:
        name, value = "height_cm", height_in_cm(number, unit)
    if value is None:
        unused.append(f"{what}: unit not known (OBX-6)")
    elif not is_plausible(**{name: value}):
        unused.append(f"{what}: no human being has it")
    else:
        yield name, value


def _value(segment: Any) -> tuple[float | None, str]:
    """Number and unit of OBX-5; SN may say ``=``, and nothing else."""
    cells = _components_of(segment, 5)
    if _text(segment, 2).upper() == "SN":
        is_plain = _part(cells, 0) in ("", "=") and not _part(cells, 2)
        cells = [_part(cells, 1)] if is_plain else [""]
    found = read_number(_part(cells, 0))
    if found is None:
        return None, ""
    return found[0], found[1] or _part(cells, 1)


def _free_text(text: str) -> Iterator[tuple[str, float]]:
    for what, pattern in _FREE_TEXT.items():
        if match := pattern.search(text):
            number = float(match[1].replace(",", "."))
            yield from _checked(what, number, match[2], [])


def _what(codes: Sequence[str]) -> str | None:
    """``weight``, ``height`` or None, by the first or the alternate identifier of OBX-3."""
    for at in (0, 3):
        code, text, scheme = (_part(codes, at + n).strip() for n in range(3))
        if code in _WEIGHT_CODES:
            return "weight"
        if code in _HEIGHT_CODES:
            return "height"
        if scheme.upper() in _STANDARD:
            continue  # a standard code means what it means, whatever its text says
        words = {code.casefold(), text.casefold()}
        if words & _WEIGHT_WORDS:
            return "weight"
        if words & _HEIGHT_WORDS:
            return "height"
    return None


def time_of(text: str, zone: str) -> datetime | None:
    """A time of a message as local time of the site; None if it is none."""
    match = _TIME.fullmatch(text.strip())
    if match is None or match[3] is None:
        return None
    digits = "".join(g or "00" for g in match.groups()[:6])
    try:
        if match[7]:
            return local_time(datetime.strptime(digits + match[7], "%Y%m%d%H%M%S%z"), zone)
        return datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _repetitions(segment: Any, number: int) -> list[Any]:
    return list(segment[number]) if number < len(segment) else []


def _components_of(segment: Any, number: int) -> list[str]:
    some = _repetitions(segment, number)
    return _components(some[0]) if some else []


def _components(repetition: Any) -> list[str]:
    if isinstance(repetition, str):
        return [repetition.strip()]
    return [str(part).strip() for part in repetition]


def _part(parts: Sequence[str], number: int) -> str:
    return parts[number] if number < len(parts) else ""


def _text(segment: Any, number: int) -> str:
    return str(segment[number]).strip() if number < len(segment) else ""
