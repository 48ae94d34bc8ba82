"""How far a reading agrees with the expected one: the conventions of the question exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from dose_lib.questions.parser import Interpretation, interpret
from dose_lib.questions.spec import from_spec, to_spec
from dose_lib.questions.vocabulary import Vocabulary

_LISTS = (
    *("modality", "body_region", "procedure", "device", "site", "manufacturer", "operator"),
    *("group_by", "compare_to"),
)


class Mark(NamedTuple):
    """One question: exact or not, slots that differ, and whether the reader warned."""

    question: Mapping[str, Any]
    is_exact: bool
    wrong: Mapping[str, tuple[Any, Any]]
    n_right: int
    n_got: int
    n_wanted: int
    reading: Interpretation | None

    @property
    def is_flagged(self) -> bool:
        """True if words were left over or the question was refused."""
        r = self.reading
        return r is None or bool(r.unused_words) or r.refusal is not None


def _value(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(float(value), 3)
    return tuple(_value(v) for v in value) if isinstance(value, list | tuple) else value


def canonical(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Slots in a form that compares; modality and region go where something implies them."""
    out: dict[str, Any] = {}
    for slot, value in spec.items():
        if value in (None, [], {}, ""):
            continue
        if slot in _LISTS or slot == "measure":
            out[slot] = frozenset(value if isinstance(value, list) else [value])
        elif slot == "date":
            out[slot] = tuple(sorted((k, _value(v)) for k, v in value.items() if v))
        elif slot == "filters":
            out[slot] = frozenset((f["field"], f["op"], _value(f["value"])) for f in value)
        else:
            out[slot] = value
    if "procedure" in out:
        out.pop("modality", None)
        out.pop("body_region", None)
    if "device" in out:
        out.pop("modality", None)
    return out


def _same(got: Any, wanted: Any) -> bool:
    if got == wanted:
        return True
    if not (isinstance(got, frozenset) and isinstance(wanted, frozenset)):
        return False
    return len(got) == len(wanted) and all(any(_near(g, w) for w in wanted) for g in got)


def _near(got: Any, wanted: Any) -> bool:
    """Conditions agree within 0.5 %."""
    if got == wanted:
        return True
    numbers = isinstance(got, tuple) and isinstance(got[2], float) and isinstance(wanted[2], float)
    return bool(
        numbers and got[:2] == wanted[:2] and abs(got[2] - wanted[2]) <= 0.005 * abs(wanted[2])
    )


def mark(
    spec: Mapping[str, Any], question: Mapping[str, Any], reading: Interpretation | None
) -> Mark:
    """The mark against the nearest accepted answer."""
    best: Mark | None = None
    for accepted in (question["expect"], *question.get("also", ())):
        got, wanted = canonical(spec), canonical(accepted)
        for slot, value in canonical(question.get("optional", {})).items():
            if slot not in wanted and got.get(slot) == value:
                got.pop(slot)
        wrong = {
            s: (got.get(s), wanted.get(s))
            for s in set(got) | set(wanted)
            if not _same(got.get(s), wanted.get(s))
        }
        right = sum(s not in wrong for s in wanted)
        found = Mark(question, not wrong, wrong, right, len(got), len(wanted), reading)
        if best is None or len(wrong) < len(best.wrong):
            best = found
    assert best is not None
    return best


def sit(questions: Sequence[Mapping[str, Any]], words: Vocabulary, today: date) -> list[Mark]:
    """Read every question; a follow-up edits the expected query of the one it follows."""
    known = {q["id"]: q for q in questions}
    marks = []
    for question in questions:
        before = known.get(question.get("follows", ""))
        previous = from_spec(before["expect"]) if before else None
        reading = interpret(question["text"], words, today=today, previous=previous)
        if reading.refusal is not None:
            spec: dict[str, Any] = {"refuse": reading.refusal.kind}
        else:
            assert reading.query is not None
            spec = to_spec(reading.query)
        marks.append(mark(spec, question, reading))
    return marks


class Score(NamedTuple):
    """Figures of one set."""

    n: int
    exact: int
    f1: float
    silent: int

    @classmethod
    def of(cls, marks: Sequence[Mark]) -> Score:
        """Exact readings, slot F1, and wrong ones without any warning."""
        right, got = sum(m.n_right for m in marks), sum(m.n_got for m in marks)
        wanted = sum(m.n_wanted for m in marks)
        precision, recall = right / max(got, 1), right / max(wanted, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        silent = sum(not m.is_exact and not m.is_flagged for m in marks)
        return cls(len(marks), sum(m.is_exact for m in marks), f1, silent)

    @property
    def share(self) -> float:
        """Exact readings of all."""
        return self.exact / self.n if self.n else 0.0
