"""The one place where any exception is caught: a defect of ours must not stop the flow.

Reading, merging and detecting run foreign content through our rules. What they raise on
purpose is a `DoseError`; anything else is a defect. It becomes a value with the place it
came from, the object goes to quarantine and is tried again after an upgrade.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from dose_lib import DoseError
from dose_lib.errors import NoDoseError, ReadError, ServiceError, StoreError
from pipelines.logs import clean_traceback

T = TypeVar("T")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an object gave nothing, in a form that crosses processes.

    Attributes
    ----------
    seen, expected, todo
        As in `DoseError`; without identifiers.
    is_doseless
        True for a readable object that carries no dose.
    defect
        Where our own code failed, without the text of the exception; None if the object
        is at fault.
    """

    seen: str
    expected: str | None = None
    todo: str | None = None
    is_doseless: bool = False
    defect: str | None = None

    def as_error(self) -> DoseError:
        """The error for the ledger."""
        kind = NoDoseError if self.is_doseless else ReadError
        return kind(self.seen, expected=self.expected, todo=self.todo)


def attempt(work: Callable[[], T], what: str) -> T | Failure:
    """Do `work`; its result, or why there is none.

    Parameters
    ----------
    work
        Called without arguments.
    what
        What it does, for the message, such as "the reader".

    Raises
    ------
    StoreError, ServiceError
        Trouble with disk, store or service is no object's fault.
    """
    try:
        return work()
    except (StoreError, ServiceError):
        raise
    except DoseError as error:
        return Failure(
            seen=error.seen,
            expected=error.expected,
            todo=error.todo,
            is_doseless=isinstance(error, NoDoseError),
        )
    except Exception as error:  # noqa: BLE001 - the one place, see above
        return Failure(
            seen=f"{what} failed on this object ({type(error).__name__}); the defect is ours",
            todo="Retry after an upgrade: dose quarantine retry",
            defect=clean_traceback(error),
        )
