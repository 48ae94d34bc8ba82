"""HL7 messages: what is read, what is refused and how, frames, and a listener on a real socket."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dose_lib import keys
from dose_lib.errors import OutOfRoomError, SettingsError
from dose_lib.records import MeasuredSize
from dose_lib.settings import Settings
from dose_lib.store import site_key
from pipelines.collect.body import SizeOf, height_in_cm, read_number, weight_in_kg
from pipelines.collect.hl7 import RefusedMessageError, Told, read_header, read_sizes
from pipelines.collect.mllp import Feed, Frame, Frames, Mllp
from pipelines.collect.sizes import SizeInbox

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PID = "PID|1||4711^^^HOSP^MR~756.1^^^AHV^SS||Muster^Eva||19660101|F"
WEIGHT = "OBX|1|NM|29463-7^Body weight^LN||81.5|kg^kilogram^UCUM|||||F|||20261122081500"
HEIGHT = "OBX|2|NM|8302-2^Body height^LN||1.74|m|||||F|||20261122081500"


def message(*segments: str, kind: str = "ADT^A01", version: str = "2.3", **more: str) -> bytes:
    charset, processing = more.get("charset", ""), more.get("processing", "P")
    control = more.get("control", "C1")
    head = f"MSH|^~\\&|HIS|HOSP|DOSE|RAD|20261122093000||{kind}|{control}|{processing}|{version}"
    head += "||||||" + charset
    return ("\r".join([head, *segments]) + "\r").encode(more.get("codec", "utf-8"))


def sizes(content: bytes) -> tuple[SizeOf, ...]:
    return told(content).sizes


def told(content: bytes) -> Told:
    header = read_header(content)
    assert header is not None
    return read_sizes(content, header, zone="Europe/Zurich", now=NOW)


def one(content: bytes) -> tuple[float | None, float | None]:
    (size,) = sizes(content)
    return size.weight_kg, size.height_cm


def test_weight_and_height_of_one_moment_are_one_size() -> None:
    (size,) = sizes(message(PID, WEIGHT, HEIGHT))
    assert (size.patient_id, size.issuer) == ("4711", "HOSP")  # not the social security number
    assert (size.weight_kg, size.height_cm) == (81.5, 174.0)
    assert size.measured_at == datetime(2026, 11, 22, 8, 15)
    assert "4711" not in repr(size)


@pytest.mark.parametrize(
    ("value", "unit", "kilograms"),
    [
        *((81.5, "kg", 81.5), (3450, "g", 3.45), (180, "lb", 81.6466), (180, "[lb_av]", 81.6466)),
        *((180, "LBS", 81.6466), (120, "[oz_av]", 3.40194), (80, "cm", None), (80, "", None)),
    ],
)
def test_weights_in_their_units(value: float, unit: str, kilograms: float | None) -> None:
    assert weight_in_kg(value, unit) == (kilograms and pytest.approx(kilograms, rel=1e-5))


@pytest.mark.parametrize(
    ("value", "unit", "centimetres"),
    [
        *((174, "cm", 174), (1.74, "m", 174), (1740, "mm", 174), (68.5, "[in_i]", 173.99)),
        *((68.5, "in", 173.99), (5.5, "ft", 167.64), (174, "kg", None)),
    ],
)
def test_heights_in_their_units(value: float, unit: str, centimetres: float | None) -> None:
    assert height_in_cm(value, unit) == (centimetres and pytest.approx(centimetres, rel=1e-5))


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        ("OBX|1|NM|3141-9^^LN||80|kg", (80.0, None)),
        ("OBX|1|ST|WT^Weight^L||80,5 kg", (80.5, None)),
        ("OBX|1|SN|29463-7^^LN||^80|kg", (80.0, None)),
        ("OBX|1|SN|29463-7^^LN||=^80|kg", (80.0, None)),
        ("OBX|1|CQ|29463-7^^LN||80^kg", (80.0, None)),
        ("OBX|1|NM|99^Gewicht^L||80|kg", (80.0, None)),
        ("OBX|1|NM|K1^Größe^L||180|cm", (None, 180.0)),
        ("OBX|1|NM|X^Y^L^8302-2^Body height^LN||71|[in_i]", (None, 180.34)),
        ("OBX|1|NM|188736^MDC_MASS_BODY_ACTUAL^MDC||80|kg", (80.0, None)),
        ("OBR|1||||||20261122||||||WT: 80 kg, HT 180 cm", (80.0, 180.0)),
    ],
)
def test_places_and_codes(observation: str, expected: tuple[float | None, float | None]) -> None:
    assert one(message(PID, observation, kind="ORU^R01")) == expected


@pytest.mark.parametrize(
    ("observation", "why"),
    [
        ("OBX|1|NM|29463-7^^LN||80|", "no unit"),
        ("OBX|1|NM|29463-7^^LN||80|stone", "unit not known"),
        ("OBX|1|NM|29463-7^^LN||80000|kg", "no human being"),
        ("OBX|1|NM|29463-7^^LN||refused|kg", "no number"),
        ("OBX|1|SN|29463-7^^LN||>^150|kg", "no number"),
        ("OBX|1|NM|29463-7^^LN||80|kg|||||X", "does not hold"),
        ("OBX|1|NM|8302-2^^LN||5 ft 11 in|ft", "no number"),
    ],
)
def test_what_cannot_be_used_is_said_and_taken_for_nothing(observation: str, why: str) -> None:
    result = told(message(PID, observation))
    assert result.sizes == ()
    assert why in result.unused[0]
    assert "80" not in result.unused[0]


def test_other_observations_are_not_looked_at() -> None:
    birth = "OBX|1|NM|8339-4^BODY WEIGHT^LN||3.4|kg"
    ideal = "OBX|2|NM|50064-5^Ideal body weight^LN||60|kg"
    assert told(message(PID, birth, ideal)) == told(message(PID))


def test_patients_of_one_message_keep_their_own_sizes() -> None:
    other = "PID|2||4712^^^HOSP^MR"
    found = sizes(message(PID, WEIGHT, other, "OBX|1|NM|29463-7^^LN||60|kg", kind="ORU^R01"))
    assert [(s.patient_id, s.weight_kg) for s in found] == [("4711", 81.5), ("4712", 60.0)]


def test_a_time_with_a_zone_becomes_the_sites() -> None:
    (size,) = sizes(message(PID, "OBX|1|NM|29463-7^^LN||80|kg|||||F|||20261122081500+0000"))
    assert size.measured_at == datetime(2026, 11, 22, 9, 15)  # Zurich, in winter


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("", "latin-1"), ("8859/15", "iso8859-15")],
)
def test_character_sets(charset: str, codec: str) -> None:
    content = message(PID, "OBX|1|NM|1^Größe^L||180|cm", charset=charset, codec=codec)
    assert one(content) == (None, 180.0)


def test_other_separators_and_line_ends() -> None:
    content = message(PID, WEIGHT, HEIGHT).decode()
    swapped = content.translate(str.maketrans("|^~&", "#*+!"))
    assert one(swapped.encode()) == (81.5, 174.0)
    assert one(content.replace("\r", "\r\n").encode()) == (81.5, 174.0)


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        (message(PID, WEIGHT, kind="SIU^S12"), "AR", 200),
        (message(PID, WEIGHT, version="3.0"), "AR", 203),
        (message(PID, WEIGHT, processing="T"), "AR", 202),
        (message(PID, WEIGHT, control=""), "AR", 101),
        (message(WEIGHT), "AE", 101),
        (message("PID|1||^^^HOSP", WEIGHT), "AE", 101),
        (message(PID, WEIGHT, charset="KLINGON"), "AE", 102),
        (message(PID, WEIGHT, charset="UNICODE UTF-8").replace(b"Muster", b"M\xfcster"), "AE", 102),
    ],
)
def test_refusals_have_their_codes(content: bytes, code: str, number: int) -> None:
    with pytest.raises(RefusedMessageError) as caught:
        told(content)
    assert (caught.value.code, caught.value.number) == (code, number)


@pytest.mark.parametrize("content", [b"", b"hello", b"MSH", b"MSH|", b"MSH|||||", b"PID|1||4711"])
def test_what_is_no_message_has_no_header(content: bytes) -> None:
    assert read_header(content) is None


def test_numbers() -> None:
    assert read_number("80.5") == (80.5, "")
    assert read_number("+80") == (80.0, "")
    assert read_number("1e3") is None
    assert read_number("80/90") is None


def test_frames_in_any_pieces() -> None:
    stream = b"\x0bone\x1c\r\x0btwo\x1c\r"
    for size in (1, 2, 3, 5, 100):
        frames = Frames(100)
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert [f.content for p in pieces for f in frames.feed(p)] == [b"one", b"two"]


def test_faults_of_framing() -> None:
    frames = Frames(10)
    found = list(frames.feed(b"noise\x0bbroken\x0bgood\x1c\r\x0b" + b"x" * 20 + b"\x1c\x0bend\x1c"))
    assert [(f.content, f.fault) for f in found] == [
        (b"", "bytes outside a frame"),
        (b"", "a message without an end before the next"),
        (b"good", None),
        (b"x" * 20, "longer than 10 bytes"),
        (b"end", None),  # without the final CR
    ]


def test_a_message_without_end_does_not_fill_the_memory() -> None:
    frames = Frames(1_000_000)
    assert list(frames.feed(b"\x0b")) == []
    for _ in range(100):
        assert list(frames.feed(b"x" * 100_000)) == []
    (frame,) = frames.feed(b"\x1c\r")
    assert len(frame.content) <= 4096
    assert frame.fault


def kept(settings: Settings) -> list[MeasuredSize]:
    files = SizeInbox(settings).waiting()
    return [s for f in files for s in msgspec.json.decode(f.read_bytes(), type=list[MeasuredSize])]


@contextmanager
def calling(listener: Mllp) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as line:
        yield line


def ask(line: socket.socket, content: bytes) -> str:
    line.sendall(b"\x0b" + content + b"\x1c\r")
    answer = b""
    while not answer.endswith(b"\x1c\r"):
        piece = line.recv(4096)
        assert piece, "the listener hung up"
        answer += piece
    return answer.strip(b"\x0b\x1c\r").decode()


def acknowledged(answer: str) -> list[str]:
    (segment,) = (s for s in answer.split("\r") if s.startswith("MSA"))
    return segment.split("|")[1:3]


@pytest.fixture
def listening(settings: Settings) -> Iterator[Mllp]:
    with Mllp(settings.model_copy(update={"hl7_port": 0, "hl7_max_message_kb": 8})) as listener:
        yield listener


def test_an_acknowledged_size_is_on_the_disk_under_keys_only(
    listening: Mllp, settings: Settings
) -> None:
    with calling(listening) as line:
        answer = ask(line, message(PID, WEIGHT, HEIGHT))
    assert acknowledged(answer) == ["AA", "C1"]
    assert answer.startswith("MSH|^~\\&|DOSELOOP||HIS|HOSP|")
    found = kept(settings)
    key = site_key(settings)
    expected = {keys.patient_key(key, "4711", issuer, "")[0] for issuer in ("HOSP", None)}
    assert {s.patient_key for s in found} == expected
    on_disk = b"".join(f.read_bytes() for f in SizeInbox(settings).waiting())
    for word in (b"4711", b"Muster", b"1966", b"756.1", b"HOSP"):
        assert word not in on_disk


def test_several_messages_on_one_connection_whatever_is_between(listening: Mllp) -> None:
    with calling(listening) as line:
        assert acknowledged(ask(line, message(PID, WEIGHT)))[0] == "AA"
        line.sendall(b"garbage\x0bMSH without an end")
        assert acknowledged(ask(line, message(PID, WEIGHT, kind="MFN^M01"))) == ["AR", "C1"]
        long = message(PID, WEIGHT, "NTE|1||" + "x" * 20_000)
        assert acknowledged(ask(line, long)) == ["AR", "C1"]
        assert acknowledged(ask(line, message(WEIGHT))) == ["AE", "C1"]
        assert acknowledged(ask(line, message(PID)))[0] == "AA"  # nothing to take is no error
    assert listening.feed.counts["messages"] == 2
    assert listening.feed.counts["refused"] == 3


def test_without_room_the_sender_is_told_to_come_again(settings: Settings) -> None:
    class Full(SizeInbox):
        def put(self, sizes: object) -> None:
            raise OutOfRoomError("no room")

    answer = Feed(settings, Full(settings)).take(Frame(message(PID, WEIGHT, version="2.5.1")))
    assert answer is not None
    assert b"MSA|AE|C1" in answer
    assert b"\rERR|||207|E\r" in answer


def test_callers_that_are_not_allowed_are_hung_up_on(settings: Settings) -> None:
    chosen = settings.model_copy(update={"hl7_port": 0, "hl7_peers": ("10.9.8.0/24",)})
    with Mllp(chosen) as listener, calling(listener) as line:
        assert line.recv(10) == b""
    assert listener.feed.counts["unknown_callers"] == 1


@pytest.mark.parametrize(
    "given",
    [{}, {"hl7_peers": ("10.1.2.3",)}, {"hl7_peers": ("nobody",), "hl7_allow_plain": True}],
)
def test_beyond_loopback_needs_a_list_and_encryption(
    settings: Settings, given: dict[str, object]
) -> None:
    chosen = settings.model_copy(update={"hl7_port": 0, "hl7_host": "0.0.0.0", **given})
    with pytest.raises(SettingsError):
        Mllp(chosen)


def said_with(record: logging.LogRecord) -> dict[str, object]:
    """A record without clock, process and thread, whose numbers hold any digits by chance."""
    by_chance = {"created", "msecs", "relativeCreated", "process", "thread", "threadName", "lineno"}
    return {name: value for name, value in vars(record).items() if name not in by_chance}


def test_nothing_of_a_message_reaches_the_log(
    listening: Mllp, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level("DEBUG"), calling(listening) as line:
        ask(line, message(PID, WEIGHT, "OBX|9|NM|8302-2^^LN||174|furlong"))
        ask(line, message(PID, WEIGHT, kind="MFN^M01"))
    text = " ".join(f"{r.getMessage()} {said_with(r)}" for r in caplog.records)
    assert "unit not known" in text
    for word in ("4711", "Muster", "furlong", "174", "756.1"):
        assert word not in text
