"""How a data element of a header becomes a value: tables of tags, like those of concepts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet, shown
from dose_lib.dicom.fields import Kind
from dose_lib.dicom.reading import HIDDEN, Reading, shown_code
from dose_lib.dicom.record import MOST, WITH_UNIT, factor_of
from dose_lib.dicom.sr import coded_item
from dose_lib.dicom.text import join_datetime, read_datetime, read_numbers
from dose_lib.records import Code

# Units by the end of the contract's names, for headers that write a unit behind the number.
_UNITS_OF_NAMES = (
    *(("_kv", "kV"), ("_ma", "mA"), ("_mas", "mA.s"), ("_ms", "ms"), ("_s", "s"), ("_mm", "mm")),
    *(("_n", "N"), ("_kpa", "kPa"), ("_deg", "deg"), ("_mgy", "mGy"), ("_gy_cm2", "Gy.cm2")),
)


class Attribute(NamedTuple):
    """A name of the contract and the data element it is read from.

    `factor` converts the unit that the standard prescribes for the element, since headers
    name no units.
    """

    tag: int
    name: str
    kind: Kind = Kind.NUMBER
    factor: float = 1.0


class Attributes:
    """The values of one record being filled from data elements.

    Parameters
    ----------
    reading
        The object being read.
    data_set
        Header, or an item of one of its sequences.
    prefix
        Place of the record in the part, such as ``events[0].``.
    path
        Place of the data set in the object, such as ``(0040,030E)[2]/``.
    """

    __slots__ = ("data_set", "path", "prefix", "reading", "values")

    def __init__(
        self, reading: Reading, data_set: DataSet, prefix: str = "", path: str = ""
    ) -> None:
        self.reading, self.data_set = reading, data_set
        self.prefix, self.path = prefix, path
        self.values: dict[str, Any] = {}

    def below(self, data_set: DataSet, path: str) -> Attributes:
        """The same record, read on from an item of a sequence."""
        other = Attributes(self.reading, data_set, self.prefix, f"{self.path}{path}/")
        other.values = self.values
        return other

    def where(self, tag: int) -> str:
        """Place of an element in the object."""
        return self.path + shown(tag)

    def put(
        self,
        name: str,
        value: Any,
        tag: int,
        *,
        factor: float | None = None,
        recorded: str | None = None,
        rule: str | None = None,
    ) -> None:
        """Set a value and its provenance; the first one stays."""
        if name in self.values:
            return
        self.values[name] = value
        if recorded is None:
            recorded = self.data_set.shown(tag)
        self.reading.trace(self.prefix + name, self.where(tag), recorded, factor=factor, rule=rule)

    def read(self, table: Iterable[Attribute]) -> None:
        """Set all values of a table whose elements are there."""
        spans = self.data_set.spans
        for attribute in table:
            if attribute.tag in spans:
                self.take(attribute)

    def take(self, attribute: Attribute) -> None:
        """Set one value, as its attribute says."""
        tag, name, kind, _ = attribute
        if kind is Kind.NUMBER:
            self._take_number(attribute)
        elif kind is Kind.COUNT:
            number = self.number(tag)
            if number is not None and abs(number) <= MOST:
                self.put(name, round(number), tag)
        elif kind is Kind.CODE:
            code = self.code(tag)
            if code is not None:
                self.put(name, code, tag, recorded=shown_code(code))
        elif kind is Kind.TEXTS:
            values = self.data_set.texts(tag)
            if values:
                self.put(name, values, tag)
        else:
            self._take_text(tag, name, kind)

    def _take_number(self, attribute: Attribute) -> None:
        tag, name, factor = attribute.tag, attribute.name, attribute.factor
        number = self.number(tag)
        if number is None:
            self._take_with_unit(tag, name)
            return
        exact = number if factor == 1.0 else float(f"{number * factor:.15g}")
        if exact != 0 and self.values.get(name) == 0:
            # The finer element of a pair holds a 0 where only the coarser one is filled.
            del self.values[name]
            own = self.prefix + name
            traces = self.reading.provenance
            traces[:] = [one for one in traces if one.name != own]
        self.put(name, exact, tag, factor=None if factor == 1.0 else factor)

    def _take_with_unit(self, tag: int, name: str) -> None:
        """A number with its unit behind it ("80 kV"), if that is one of the quantity."""
        own = WITH_UNIT.fullmatch(self.data_set.text(tag) or "")
        unit = next((u for end, u in _UNITS_OF_NAMES if name.endswith(end)), None)
        factor = factor_of(own[2], unit) if own and unit else None
        numbers = read_numbers(own[1])[0] if own else ()
        if factor is not None and numbers:
            self.reading.issues.pop()  # that it cannot be read
            self.reading.note("illegal_number", self.where(tag), own[0] if own else None)
            exact = float(f"{numbers[0] * factor:.15g}")
            self.put(name, exact, tag, factor=None if factor == 1.0 else factor)

    def _take_text(self, tag: int, name: str, kind: Kind) -> None:
        text = self.data_set.text(tag)
        if text is None:
            return
        if kind is Kind.TIME:
            at = read_datetime(text, self.reading.zone)
            if at is None:
                self.reading.note("bad_datetime", self.where(tag), text)
            else:
                self.put(name, at, tag)
        elif kind is Kind.WORD:
            # Of several event UIDs the first stands for the exposure of an image.
            self.put(name, text.split("\\")[0], tag)
        else:
            cleaned = self.reading.cleaned(text, self.where(tag))
            self.put(name, cleaned, tag, recorded=cleaned)

    def number(self, tag: int) -> float | None:
        """First number of an element; an issue where it holds something else."""
        data_set = self.data_set
        raw = data_set.raw(tag)
        if raw is None:
            return None
        if tag in t.BINARY or data_set.is_binary(tag):
            found = data_set.number(tag)
            if found is None:
                self.reading.note("unreadable_number", self.where(tag), f"{len(raw)} bytes")
            return found
        text = data_set.text(tag)
        if text is None:
            return None
        values, is_legal = read_numbers(text)
        if not values:
            self.reading.note("unreadable_number", self.where(tag), text)
            return None
        if not is_legal:
            self.reading.note("illegal_number", self.where(tag), text)
        return values[0]

    def code(self, tag: int) -> Code | None:
        """First code of a code sequence; None if it holds nothing."""
        item = self.data_set.item(tag)
        if item is None:
            return None
        code = coded_item(item)[1]
        return code if code != Code() else None

    def codes(self, tag: int) -> tuple[Code, ...]:
        """All codes of a code sequence."""
        return tuple(coded_item(item)[1] for item in self.data_set.items(tag))

    def joined_time(self, name: str, day: int, at: int) -> datetime | None:
        """Set a time from a DA and a TM element."""
        date_text, time_text = self.data_set.text(day), self.data_set.text(at)
        found = join_datetime(date_text, time_text, self.reading.zone)
        if found is not None:
            self.put(name, found, day, recorded=f"{date_text} {time_text or ''}".strip())
        elif date_text:
            self.reading.note("bad_datetime", self.where(day), date_text)
        return found

    def hide(self, name: str, value: Any, tag: int) -> None:
        """Set a pseudonymous key whose source is a person."""
        if value:
            self.put(name, value, tag, recorded=HIDDEN)
