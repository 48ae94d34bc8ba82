"""One tree of errors. A message says what was seen, what was expected, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DoseError(Exception):
    """Root of every error DoseLoop raises on purpose.

    Parameters
    ----------
    seen
        What was found, without identifiers of patients.
    expected
        What should have been there.
    where
        File, UID, tag, line, parameter: the place to look at.
    todo
        The next step for the reader of the message.

    Notes
    -----
    `exit_code` is what the `dose` command ends with.
    """

    exit_code = 1

    def __init__(
        self,
        seen: str,
        *,
        expected: str | None = None,
        where: str | None = None,
        todo: str | None = None,
    ) -> None:
        self.seen, self.expected, self.where, self.todo = seen, expected, where, todo
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [self.seen.rstrip(".")]
        if self.where:
            parts[0] = f"{self.where}: {parts[0]}"
        if self.expected:
            parts.append(f"expected {self.expected.rstrip('.')}")
        text = "; ".join(parts)
        if not self.todo:
            return f"{text}."
        # A hint in lower case, such as "did you mean", goes on with the sentence.
        text += "; " if self.todo[0].islower() else ". "
        return text + (self.todo if self.todo.endswith("?") else self.todo.rstrip(".") + ".")


class SettingsError(DoseError):
    """A setting has a value that cannot be used."""

    exit_code = 2


class UsageError(DoseError):
    """A command, parameter or argument does not exist or does not fit."""

    exit_code = 2


class ReadError(DoseError):
    """Bytes could not be read as a DICOM object or as the dose report they claim to be."""

    exit_code = 3


class NotDicomError(ReadError):
    """The bytes are not DICOM at all."""


class TruncatedError(ReadError):
    """The bytes end before the object does."""


class NoDoseError(ReadError):
    """A readable object that carries no dose; `seen` says why."""


class StoreError(DoseError):
    """The store could not be opened, read or written."""

    exit_code = 4


class StoreInUseError(StoreError):
    """Another process owns the store and does not serve it."""


class QueryRefusedError(StoreError):
    """The served store admits single SELECT statements only."""


class QueryTimeoutError(StoreError):
    """A query took longer than the store lets it."""


class ReceiveError(DoseError):
    """An object could not be taken in."""

    exit_code = 5


class OutOfRoomError(ReceiveError):
    """The disk holds no further object."""


class ServiceError(DoseError):
    """The service or one of its parts could not start or be reached."""

    exit_code = 6


class PortInUseError(ServiceError):
    """Another process answers on the port."""


class LevelError(DoseError):
    """A reference-level table, edition or sign-off is wrong or missing."""

    exit_code = 7


class ReportError(DoseError):
    """A notebook could not be run into a report."""

    exit_code = 8


class QuestionError(DoseError):
    """A question or a structured query cannot be answered as asked."""

    exit_code = 9


class SimulationError(DoseError):
    """A scenario or an object to be simulated is not possible."""

    exit_code = 10


class VaultError(DoseError):
    """The identity vault could not be opened, read, written or reached."""

    exit_code = 11


class VaultInUseError(VaultError):
    """Another process has the identity vault open."""


class LookUpRefusedError(VaultError):
    """The person who asks may not see, or do, what was asked for."""

    exit_code = 12


class CollectError(DoseError):
    """Dose objects could not be fetched, or what lies elsewhere could not be accounted for."""

    exit_code = 13


class PeerError(CollectError):
    """A PACS or web server did not answer, or answered what was not asked."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: its nearest known ones, else all of them.

    Parameters
    ----------
    name
        The name that was not found.
    known
        The names that exist.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "known: " + ", ".join(names) if names else "none is known"
