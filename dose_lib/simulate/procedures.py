"""What can be examined: one kind of specification a modality, with the dose it aims at."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Spec(BaseModel):
    """A part of a scenario file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(Spec):
    """A published level, and the share of it that the median of this protocol is here.

    `set`, `procedure`, `size_min` and `value` are those of a row of `drl/tables/levels.csv`
    of the quantity the procedure is judged by; a test holds them to it.
    """

    set: str
    procedure: str
    size_min: float | None = None
    value: float = Field(gt=0)
    fraction: float = Field(gt=0, lt=3)
    exception: str | None = None

    @property
    def median(self) -> float:
        """The median this scenario aims at, for the reference patient."""
        return self.value * self.fraction

    @model_validator(mode="after")
    def _usual(self) -> Self:
        if not 0.6 <= self.fraction <= 0.9 and not self.exception:
            raise ValueError("a fraction outside 0.6 to 0.9 needs an `exception` that says why")
        return self


class ReferenceBody(Spec):
    """The patient a technique is set up for."""

    weight_kg: float = Field(default=74.0, gt=1, lt=150)
    height_cm: float = Field(default=170.0, gt=40, lt=200)
    age_y: float = Field(default=60.0, ge=0, lt=110)


class _Procedure(Spec):
    """What every procedure has: its key, its share of the exams of adults and of children."""

    key: str
    share: float = Field(gt=0)
    child_share: float = Field(0.0, ge=0)
    target: str
    repeat_share: float = Field(0.01, ge=0, le=1)
    spread_gsd: float = Field(1.15, gt=1, lt=3)


class CtTechnique(Spec):
    """Scan parameters of a CT protocol and the dose they give the reference patient."""

    kv: float = Field(ge=70, le=150)
    pitch: float | None = Field(None, gt=0.05, lt=4)
    rotation_time_s: float = Field(gt=0.2, le=2)
    single_collimation_mm: float = Field(gt=0, le=5)
    total_collimation_mm: float = Field(gt=0, le=160)
    modulation: str = "NONE"
    aec_strength: float = Field(0.0, ge=0, le=1)
    noise_index: float | None = Field(None, gt=0)
    ma_min: float = Field(20.0, gt=0)
    ma_max: float = Field(600.0, gt=0)
    reference: Reference
    body: ReferenceBody = ReferenceBody()


class CtProcedure(_Procedure):
    """One CT examination: region, lengths, phases, technique for adults and children."""

    modality: Literal["CT"] = "CT"
    region: str
    phantom: Literal["16cm", "32cm"]
    length_mm: float = Field(gt=10)
    length_sd: float = Field(0.09, gt=0, lt=0.5)
    contrast_share: float = Field(0.0, ge=0, le=1)
    bolus_tracking: bool = False
    second_phase_share: float = Field(0.0, ge=0, le=1)
    adult: CtTechnique
    child: CtTechnique | None = None


class Projection(Spec):
    """One radiographic view: technique and the kerma-area product it aims at (Gy·cm²)."""

    view: str
    protocol: str
    kv: float = Field(ge=40, le=150)
    sid_mm: float = Field(1150.0, gt=500, lt=3000)
    field_mm: tuple[float, float]
    grid: bool = True
    depends_on_size: bool = True
    target_exposure_index: float = Field(400.0, gt=0)
    reference: Reference


class RadiographyProcedure(_Procedure):
    """One radiographic examination of one or more views."""

    modality: Literal["DX"]
    projections: tuple[Projection, ...] = Field(min_length=1)


class FluoroscopyProcedure(_Procedure):
    """A procedure under fluoroscopy: its time, runs and the KAP it aims at (Gy·cm²)."""

    modality: Literal["XA", "RF"]
    reference: Reference
    fluoro_time_median_s: float = Field(gt=0)
    fluoro_time_gsd: float = Field(1.6, gt=1, lt=4)
    fluoro_dose_share: float = Field(gt=0, le=1)
    runs_mean: float = Field(ge=0)
    frames_per_run: float = Field(ge=0)
    frame_rate_hz: float = Field(15.0, gt=0)
    pulse_rate_hz: float = Field(7.5, gt=0)
    kv: float = Field(75.0, ge=40, le=125)
    field_cm2: float = Field(150.0, gt=0)
    angles: tuple[tuple[float, float], ...] = ((0.0, 0.0),)


class MammographyProcedure(_Procedure):
    """Mammography: mode and the glandular dose a view aims at (mGy) at the mean thickness."""

    modality: Literal["MG"]
    mode: Literal["2D", "DBT", "combo"] = "2D"
    reference: Reference
    tomosynthesis_factor: float = Field(1.2, gt=0)
    thickness_mean_mm: float = Field(57.0, gt=10, lt=120)
    thickness_sd_mm: float = Field(13.0, gt=0, lt=40)


class NuclearProcedure(_Procedure):
    """A radiopharmaceutical administration, with the activity it aims at."""

    modality: Literal["NM", "PT"]
    reference: Reference
    per_kg: bool = False
    agent: str
    nuclide: str
    half_life_s: float = Field(gt=0)
    associated: str
    ct: str | None = None


Procedure = Annotated[
    CtProcedure
    | RadiographyProcedure
    | FluoroscopyProcedure
    | MammographyProcedure
    | NuclearProcedure,
    Field(discriminator="modality"),
]
