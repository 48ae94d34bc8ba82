"""A reference level: one row of a published set, or of the site's own."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from dose_lib.records import Phantom


class Kind(StrEnum):
    """What a level is, and so what a comparison with it means."""

    NATIONAL = "national"
    LOCAL = "local"
    EUROPEAN = "european"
    ACHIEVABLE = "achievable"
    STUDY = "study"
    QUALITY_CONTROL = "quality_control"
    TRIGGER = "trigger"


class Quantity(StrEnum):
    """Dose quantity of a level."""

    CTDI_VOL = "ctdi_vol"
    DLP = "dlp"
    KAP = "kap"
    KA_R = "ka_r"
    KA_E = "ka_e"
    KA_I = "ka_i"
    AGD = "agd"
    SKIN_DOSE = "skin_dose"
    FLUORO_TIME = "fluoro_time"
    ACTIVITY = "activity"


class Per(StrEnum):
    """What one value of the level's quantity belongs to."""

    EXAM = "exam"
    SCAN = "scan"
    PROJECTION = "projection"
    ACQUISITION = "acquisition"


class Confidence(StrEnum):
    """How a row was transcribed."""

    VERIFIED = "verified-in-source"
    SECONDARY = "secondary-source"
    MEMORY = "from-memory"


class PhantomBasis(StrEnum):
    """How the phantom of a row is known."""

    SOURCE = "source"
    CONVENTION = "convention"
    MEMORY = "memory"
    SIGN_OFF = "sign_off"


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One reference level, with all that decides whether a practice may be compared with it.

    Attributes
    ----------
    set_id, edition, row_id
        Which row of which edition; `row_id` never changes with value or order.
    kind, origin
        National, local, ...; ``published`` or ``site``.
    valid_from, valid_to
        Dates of exams the level is for, both inclusive; None is open. Where a source gives
        years only, the level counts from the year after it until the year before its
        successor, so that no exam meets a level that was not in force.
    procedure_name, source_procedure, body_region, indication, contrast, detail
        The examination in our words and in the source's.
    population, size_basis, size_min, size_max, size_unit
        Adult or paediatric; band of age (a), weight (kg) or thickness (mm), minimum inclusive,
        maximum exclusive; equal ends are a nominal size.
    phantom, phantom_basis
        CTDI phantom and how it is known; None if the source does not say.
    quantity, statistic, value, unit, per
        The level itself. Statistic: p75, p50, p25, median_of_national, recommended, limit.
    weight_min_kg, weight_max_kg
        Standard adult weight of the set's country; None: 50 to 90 kg (ICRP 135).
    is_comparable
        False where the row is for a part of an exam, a phantom or a trigger.
    confidence, is_signed_off, signed_by
        How it was transcribed; whether and by whom the site has confirmed it.
    """

    set_id: str
    edition: str
    row_id: str
    kind: Kind
    origin: str = "published"
    country: str | None = None
    publication: str | None = None
    year: int | None = None
    status: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    superseded_by: str | None = None
    modality: str
    procedure_name: str | None = None
    source_procedure: str | None = None
    body_region: str | None = None
    indication: str | None = None
    contrast: str | None = None
    detail: str | None = None
    population: str = "adult"
    size_basis: str | None = None
    size_min: float | None = None
    size_max: float | None = None
    size_unit: str | None = None
    phantom: Phantom | None = None
    phantom_basis: PhantomBasis | None = None
    quantity: Quantity
    statistic: str = "p75"
    value: float
    unit: str
    per: Per
    weight_min_kg: float | None = None
    weight_max_kg: float | None = None
    is_comparable: bool = True
    confidence: Confidence = Confidence.VERIFIED
    note: str | None = None
    is_signed_off: bool = False
    signed_by: str | None = None

    @property
    def needs_phantom(self) -> bool:
        """True for CTDIvol and DLP: they mean nothing without their phantom."""
        return self.quantity in (Quantity.CTDI_VOL, Quantity.DLP)

    @property
    def is_nominal_size(self) -> bool:
        """True for a level of one nominal size, which names no band."""
        return self.size_min is not None and self.size_min == self.size_max

    @property
    def sign_off_reason(self) -> str | None:
        """Why the site must sign this level off before it gives a verdict; None if not needed."""
        if self.is_signed_off or self.origin == "site":
            return None
        if self.confidence is not Confidence.VERIFIED:
            return f"the value is transcribed {self.confidence.value.replace('-', ' ')}"
        stated = self.phantom_basis in (PhantomBasis.SOURCE, PhantomBasis.SIGN_OFF)
        if self.needs_phantom and self.phantom is not None and not stated:
            return f"the {self.phantom} phantom is by {self.phantom_basis}, not in the source"
        return None

    def is_in_force(self, on: date) -> bool:
        """True if an exam of this date is compared with this level."""
        return (self.valid_from is None or on >= self.valid_from) and (
            self.valid_to is None or on <= self.valid_to
        )

    @property
    def band(self) -> str:
        """Population and size band in words, as ``adult`` or ``5 to under 15 kg``."""
        if self.size_basis is None:
            return self.population
        low, high, unit = self.size_min, self.size_max, self.size_unit
        if self.is_nominal_size:
            return f"nominal {low:g} {unit}"
        if high is None:
            return f"{low or 0:g} {unit} and more"
        return f"{low or 0:g} to under {high:g} {unit}"

    def in_words(self) -> str:
        """One line for a verdict: value, statistic, set, edition, row, band."""
        phantom = f" ({self.phantom} phantom)" if self.phantom else ""
        return (
            f"{self.value:g} {self.unit}{phantom}, {self.statistic} per {self.per}, "
            f"{self.set_id} {self.edition}, {self.source_procedure or self.procedure_name}, "
            f"{self.band}"
        )
