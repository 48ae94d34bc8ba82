"""Errors say what was seen, what was expected, where, and what to do."""

from __future__ import annotations

from dose_lib import errors
from dose_lib.errors import DoseError, ReadError, did_you_mean


def test_message_has_its_four_parts() -> None:
    error = ReadError(
        "the object ends inside an element",
        expected="1200 more bytes",
        where="ct.dcm, offset 4711",
        todo="Send the report again",
    )
    assert str(error) == (
        "ct.dcm, offset 4711: the object ends inside an element; "
        "expected 1200 more bytes. Send the report again."
    )


def test_a_question_as_hint_ends_the_sentence() -> None:
    hint = did_you_mean("dayz", ["days"])
    assert str(DoseError("no 'dayz'", todo=hint)) == "no 'dayz'; did you mean 'days'?"


def test_message_without_the_optional_parts() -> None:
    assert str(DoseError("nothing there")) == "nothing there."


def test_every_error_is_one_of_the_tree_with_an_exit_code() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert kinds
    assert all(issubclass(e, DoseError) and e.exit_code > 0 for e in kinds)


def test_unknown_names_get_a_hint() -> None:
    assert did_you_mean("prcedure", ["procedure", "device"]) == "did you mean 'procedure'?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("zzz", []) == "none is known"
