"""Texts, numbers and times in all the ways that arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.dicom.text import (
    codecs_of,
    decode,
    is_declared_wrong,
    is_number,
    join_datetime,
    read_age,
    read_date,
    read_datetime,
    read_numbers,
    read_time,
    read_zone,
)


@pytest.mark.parametrize(
    ("declared", "codecs"),
    [
        ("ISO_IR 100", ("latin_1",)),
        ("ISO-IR 100", ("latin_1",)),
        ("ISO IR100", ("latin_1",)),
        ("iso_ir_192", ("utf_8",)),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", ("ascii", "iso2022_jp")),
        ("\\ISO 2022 IR 87", ("ascii", "iso2022_jp")),
        ("GB18030", ("gb18030",)),
        ("UTF-8", ("utf_8",)),
        ("NONSENSE", ()),
    ],
)
def test_character_sets_however_they_are_spelt(declared: str, codecs: tuple[str, ...]) -> None:
    assert codecs_of(declared) == codecs


@pytest.mark.parametrize(
    ("raw", "declared", "text"),
    [
        (b"Thorax ", "", "Thorax"),
        ("Müller".encode("latin_1"), "ISO_IR 100", "Müller"),
        ("Müller".encode("latin_1"), "", "Müller"),  # nothing declared
        ("testæøå".encode(), "ISO_IR 100", "testæøå"),  # UTF-8 in a Latin-1 report
        ("Žižek".encode("iso8859_2"), "ISO_IR 101", "Žižek"),
        ("مستشفى".encode(), "ISO_IR 192", "مستشفى"),
        ("山田".encode("shift_jis"), "ISO_IR 13", "山田"),
        (
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "\\ISO 2022 IR 87",
            "Yamada^Tarou=山田^太郎",
        ),
        (b"\x1b$)C" + "홍".encode("euc_kr"), "\\ISO 2022 IR 149", "홍"),
        (b"\xff\xfe\x81", "ISO_IR 192", "ÿþ\x81"),  # nothing fits: never an error
    ],
)
def test_text_is_decoded_as_declared_or_as_it_is(raw: bytes, declared: str, text: str) -> None:
    assert decode(raw, codecs_of(declared)) == text


def test_pydicom_agrees_on_escape_sequences() -> None:
    from pydicom.charset import convert_encodings, decode_bytes

    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    terms = ["", "ISO 2022 IR 87"]
    theirs = decode_bytes(raw, convert_encodings(terms), {"^", "="})
    assert decode(raw, codecs_of("\\".join(terms))) == theirs


def test_misdeclared_text_is_noticed() -> None:
    assert is_declared_wrong("testæ".encode(), codecs_of("ISO_IR 100"))
    assert is_declared_wrong(b"M\xfcller", ())
    assert not is_declared_wrong(b"M\xfcller", codecs_of("ISO_IR 100"))
    assert not is_declared_wrong(b"Thorax", ())


@given(
    st.binary(max_size=200), st.sampled_from(["", "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87"])
)
def test_any_bytes_decode(raw: bytes, declared: str) -> None:
    assert isinstance(decode(raw, codecs_of(declared)), str)


@pytest.mark.parametrize(
    ("text", "values", "is_legal"),
    [
        ("12.5", (12.5,), True),
        (" 1.6e-005 ", (1.6e-05,), True),
        ("1.2\\3.4", (1.2, 3.4), True),
        ("10.50/ 15.00", (10.5, 15.0), False),  # Toshiba vHP
        ("0.94,0.194", (0.94, 0.194), False),  # Kodak DR 7500
        ("0,94", (0.94,), False),
        ("", (), True),
        ("NaN", (), False),
        ("inf", (), False),
        ("1_000", (), False),
        ("75 kg", (), False),
        ("MEDIUM", (), False),
    ],
)
def test_numbers(text: str, values: tuple[float, ...], is_legal: bool) -> None:
    assert read_numbers(text) == (values, is_legal)


@given(st.floats(allow_nan=False, min_value=-1e12, max_value=1e12).filter(is_number))
def test_every_number_that_was_written_is_read(number: float) -> None:
    assert read_numbers(repr(number)) == ((number,), True)


@given(st.text(max_size=40))
def test_numbers_never_fail(text: str) -> None:
    assert all(v - v == 0 for v in read_numbers(text)[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20240131", "2024-01-31"),
        ("2024.01.31", "2024-01-31"),
        ("2024-01-31", "2024-01-31"),
        ("20240132", None),
        ("99990101", "9999-01-01"),
        ("", None),
        (None, None),
    ],
)
def test_dates(text: str | None, value: str | None) -> None:
    found = read_date(text)
    assert (found.isoformat() if found else None) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("093000", "09:30:00"),
        ("0930", "09:30:00"),
        ("09:30:00", "09:30:00"),
        ("140337.0725", "14:03:37.072500"),
        ("235960", "23:59:59"),
        ("250000", None),
        ("noon", None),
    ],
)
def test_times(text: str, value: str | None) -> None:
    found = read_time(text)
    assert (found.isoformat() if found else None) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20160512101154", "2016-05-12T10:11:54"),
        ("20180105172103.083003", "2018-01-05T17:21:03.083003"),
        ("19970101000631.737+0000", "1997-01-01T00:06:31.737000+00:00"),
        ("20240131093000-0430", "2024-01-31T09:30:00-04:30"),
        ("20240131", "2024-01-31T00:00:00"),
        ("202401", None),
        ("yesterday", None),
    ],
)
def test_datetimes_keep_the_zone_that_was_sent(text: str, value: str | None) -> None:
    found = read_datetime(text)
    assert (found.isoformat() if found else None) == value


def test_zone_of_the_object_holds_where_the_value_names_none() -> None:
    zone = read_zone("+0100")
    assert zone == timezone(timedelta(hours=1))
    assert read_datetime("20240131093000", zone) == datetime(2024, 1, 31, 9, 30, tzinfo=zone)
    assert read_datetime("20240131093000+0000", zone) == datetime(2024, 1, 31, 9, 30, tzinfo=UTC)
    assert join_datetime("20240131", None, zone) == datetime(2024, 1, 31, tzinfo=zone)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("UTC-04:00", -4), ("-0400", -4), ("+0530", 5.5), ("+9900", None), ("", None)],
)
def test_zones(text: str, hours: float | None) -> None:
    zone = read_zone(text)
    assert (zone.utcoffset(None).total_seconds() / 3600 if zone else None) == hours


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("056Y", 56),
        ("003W", 21 / 365.25),
        ("010D", 10 / 365.25),
        ("018M", 1.5),
        ("56", 56),
        ("x", None),
    ],
)
def test_ages(text: str, years: float | None) -> None:
    assert read_age(text) == (pytest.approx(years) if years is not None else None)
