"""What a reconciliation found: devices and days, gaps, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec

from pipelines.collect.answer import Complaint


class Why(StrEnum):
    """Why an examination is not on both sides."""

    NO_REPORT = "no dose report in the archive"
    NOT_ASKED = "never collected"
    NOTHING = "nothing to take"
    FAILED = "not fetched"
    NOT_RECEIVED = "fetched, and not received"
    WAITING = "received, waiting to be read"
    QUARANTINED = "could not be read"
    NO_DOSE = "received, without dose"
    OTHER_MODALITY = "stored without this modality"
    ERASED = "erased"
    ONLY_HERE = "not in the archive"


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """An examination that one side lacks.

    Attributes
    ----------
    study_key
        Pseudonym of its Study UID, the same in every reconciliation.
    study_uid
        None unless asked for.
    why, detail
        The kind of reason, and its words.
    """

    study_key: str
    study_uid: str | None = None
    day: date
    time: str | None = None
    modality: str | None = None
    device_key: str | None = None
    device: str
    why: Why
    detail: str | None = None

    @property
    def is_missing(self) -> bool:
        """True if the store lacks it; False if the archive does."""
        return self.why is not Why.ONLY_HERE


class DeviceDay(msgspec.Struct, frozen=True, kw_only=True):
    """One device on one day: examinations on both sides.

    `n_pacs` = `n_stored` + `n_missing`; `n_only_here` come on top.
    """

    day: date
    device: str
    device_key: str | None = None
    modality: str
    n_pacs: int
    n_stored: int
    n_missing: int
    n_only_here: int
    why: Mapping[str, int]


class Reconciliation(msgspec.Struct, kw_only=True):
    """What a reconciliation found.

    Attributes
    ----------
    rows
        One a device, modality and day.
    gaps
        All gaps.
    n_tests
        Exposures of phantoms that only we have; none of them is a gap.
    complaints
        What was wrong with the archive's answers: something may have been overlooked.
    """

    pacs: str
    first: date
    last: date
    made_at: datetime
    rows: list[DeviceDay]
    gaps: list[Gap]
    n_tests: int = 0
    complaints: list[Complaint] = msgspec.field(default_factory=list)

    @property
    def n_missing(self) -> int:
        """Examinations that the archive has and the store has not."""
        return sum(g.is_missing for g in self.gaps)
