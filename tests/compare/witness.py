"""A hospital that remembers what each exam was, and what a level should find in it.

What was done, to whom and with which dose is taken from the simulator alone: no name, region,
sum or size of the product is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from dose_lib.records import CtAcquisitionType, CtEvent, Part, XRayEvent, XRayEventType
from dose_lib.reference import Level, Per, Quantity
from dose_lib.simulate import Exam, Hospital
from dose_lib.simulate.procedures import Procedure, RadiographyProcedure

END = date(2026, 11, 20)  # a fixed day: another one would be another hospital
ADULT_Y = 16.0
# What a level's procedure is to the scenario.
EXAMS = {
    "CT Head": ("head",), "CT Sinuses": ("sinuses",), "CT Cervical Spine": ("cervical-spine",),
    "CT Lumbar Spine": ("lumbar-spine",), "CT Chest": ("chest",),
    "CT Chest Low Dose": ("lung-screening",), "CTPA": ("pulmonary-angiogram",),
    "CTA Coronary": ("coronary-angiogram",), "CT Abdomen Pelvis": ("abdomen-pelvis",),
    "CT Chest Abdomen Pelvis": ("chest-abdomen-pelvis",),
    "CT Neck Chest Abdomen Pelvis": ("neck-to-pelvis",), "CT KUB": ("kidneys-ureters-bladder",),
    "Barium Swallow": ("barium-swallow",), "Barium Enema": ("barium-enema",),
    "Coronary Angiography": ("coronary-angiography",), "PCI": ("coronary-intervention",),
    "Pacemaker Implantation": ("pacemaker",), "Electrophysiology": ("ablation",),
    "Cerebral Angiography": ("cerebral-angiography",), "TACE": ("chemoembolisation",),
    "Bone Scan": ("bone-scan",), "Lung Perfusion": ("lung-perfusion",),
    "Renography": ("renogram",), "FDG PET": ("fdg-whole-body",),
}  # fmt: skip
SHOTS = {
    "chest-xray": ("Chest PA",), "chest-xray-two-views": ("Chest PA", "Chest LAT"),
    "chest-xray-supine": ("Chest AP",), "abdomen-xray": ("Abdomen AP",),
    "pelvis-xray": ("Pelvis AP",), "lumbar-spine-xray": ("Lumbar Spine AP", "Lumbar Spine LAT"),
    "thoracic-spine-xray": ("Thoracic Spine AP", "Thoracic Spine LAT"),
    "shoulder-xray": ("Shoulder AP", "Shoulder LAT"),
}  # fmt: skip
GROUPS = {"Shoulder": ("Shoulder AP", "Shoulder LAT")}
BREAST_VIEWS = {"399162004": "CC", "399368009": "MLO"}  # as the simulator codes them
DIAGNOSTIC = (CtAcquisitionType.SPIRAL, CtAcquisitionType.SEQUENCED)
ALL_SIZES = ("head", "breast", "extremity")


class Done(NamedTuple):
    """What was done to whom, as the hospital knows it."""

    procedure: Procedure
    unit: str
    age_y: float
    weight_kg: float
    exam: Exam
    is_coded_right: bool

    @property
    def recorded_kg(self) -> float | None:
        """Weight that the report states."""
        return self.exam.part.patient.weight_kg


class Witness(Hospital):
    """A hospital that remembers what each exam was."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.done: list[Done] = []

    def _finish(self, plan: Any, procedure: Any, *rest: Any, **more: Any) -> Exam:
        exam = super()._finish(plan, procedure, *rest, **more)
        if exam.is_patient:
            body, right = plan.body, plan.changes.recorded_as in (None, procedure.key)
            unit = plan.device.station
            self.done.append(Done(procedure, unit, body.age_y, body.weight_kg, exam, right))
        return exam


class Truth(NamedTuple):
    """Values of those a level is for in one unit: of all, and of those the records can tell.

    `known` lacks who has no recorded weight where one is needed, and what was recorded as
    another procedure.
    """

    level: Level
    unit: str
    all: np.ndarray
    known: np.ndarray

    @property
    def n(self) -> int:
        """How many there really are."""
        return len(self.all)

    @property
    def is_above(self) -> bool:
        """True if the median of all is above the level."""
        return bool(np.median(self.all) > self.level.value)

    @property
    def is_known_above(self) -> bool:
        """True if the median of those of known size is."""
        return len(self.known) > 0 and bool(np.median(self.known) > self.level.value)

    @property
    def is_clear(self) -> bool:
        """True if the exact interval of the median leaves no doubt on which side it lies."""
        low, high = interval(self.all)
        return low is not None and not low <= self.level.value <= high


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Exact interval of the median, by the binomial distribution of scipy."""
    n = len(values)
    rank = max((r for r in range(1, n // 2 + 1) if stats.binom.cdf(r - 1, n, 0.5) <= 0.025),
               default=0)  # fmt: skip
    ordered = np.sort(values)
    return (None, None) if rank == 0 else (ordered[rank - 1], ordered[n - rank])


def truths_of(hospital: Witness, level: Level) -> Iterator[Truth]:
    """What a level should find in each unit that did its procedure."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for done in hospital.done:
        for thickness, value in _values(done, level):
            everyone, known = found.setdefault(done.unit, ([], []))
            if _is_for(level, done, done.weight_kg, thickness):
                everyone.append(value)
            if done.is_coded_right and _is_for(level, done, done.recorded_kg, thickness):
                known.append(value)
    for unit, (everyone, known) in sorted(found.items()):
        yield Truth(level, unit, np.array(everyone), np.array(known))


def _is_for(level: Level, done: Done, weight_kg: float | None, thickness: float | None) -> bool:
    is_adult = done.age_y >= ADULT_Y
    if is_adult != (level.population == "adult"):
        return False
    if level.contrast is not None and level.contrast != _contrast(done):
        return False
    if level.size_basis is not None:
        sizes = {"age": done.age_y, "weight": weight_kg, "compressed_breast_thickness": thickness}
        size = sizes.get(level.size_basis)
        high = np.inf if level.size_max is None else level.size_max
        return size is not None and (level.size_min or 0) <= size < high
    if level.unit == "MBq/kg":
        return weight_kg is not None
    if not is_adult or level.body_region in ALL_SIZES:
        return True
    low, high = level.weight_min_kg or 50, level.weight_max_kg or 90
    return weight_kg is not None and low <= weight_kg <= high


def _contrast(done: Done) -> str:
    contexts = {e.procedure_context.value for e in _scans(done.exam.part)}
    return "with" if contexts == {"27483000"} else "without"


def _scans(part: Part) -> list[Any]:
    return [
        e
        for e in part.events
        if isinstance(e, CtEvent) and e.acquisition_type in DIAGNOSTIC and e.dlp_mgy_cm
    ]


def _values(done: Done, level: Level) -> Iterator[tuple[float | None, float]]:
    """Compressed thickness and value of what the level is for, in one exam."""
    name = level.procedure_name or ""
    if level.per is Per.PROJECTION:
        yield from _shots(done, level)
    elif done.procedure.key in EXAMS.get(name, ()):
        value = OF_EXAM[level.quantity](done, level) if level.quantity in OF_EXAM else None
        if value is not None:
            yield None, value


def _shots(done: Done, level: Level) -> Iterator[tuple[float | None, float]]:
    """Mean over the exposures of a projection; of a mammogram for each breast."""
    wanted = (level.procedure_name or "").split()
    if wanted[0] == "Mammogram":
        yield from _breasts(done, level, wanted[1:])
    elif isinstance(done.procedure, RadiographyProcedure):
        names = SHOTS.get(done.procedure.key, ())
        for shot, projection in zip(names, done.procedure.projections, strict=False):
            if shot in GROUPS.get(level.procedure_name or "", (level.procedure_name,)):
                made = [
                    e.kap_gy_cm2
                    for e in done.exam.part.events
                    if isinstance(e, XRayEvent) and e.acquisition_protocol == projection.protocol
                ]
                if made and level.quantity is Quantity.KAP:
                    yield None, float(np.mean(made))


def _breasts(done: Done, level: Level, words: list[str]) -> Iterator[tuple[float | None, float]]:
    if done.procedure.modality != "MG" or level.quantity is not Quantity.AGD:
        return
    mode = "DBT" if "DBT" in words else "2D"
    views = [w for w in words if w in BREAST_VIEWS.values()] or list(BREAST_VIEWS.values())
    made: dict[tuple[str, Any], list[XRayEvent]] = {}
    for event in done.exam.part.events:
        view = BREAST_VIEWS[event.view.value]
        if view in views and event.acquisition_protocol.endswith(mode):
            made.setdefault((view, event.laterality), []).append(event)
    for events in made.values():
        thickness = float(np.mean([e.compressed_thickness_mm for e in events]))
        yield thickness, float(np.mean([e.agd_mgy for e in events]))


def _ctdi_vol(done: Done, _level: Level) -> float | None:
    scans = _scans(done.exam.part)
    total = sum(e.dlp_mgy_cm for e in scans)
    return sum(e.ctdi_vol_mgy * e.dlp_mgy_cm for e in scans) / total if scans else None


def _dlp(done: Done, level: Level) -> float | None:
    scans = _scans(done.exam.part)
    if level.per is Per.EXAM:
        return sum(e.dlp_mgy_cm or 0 for e in done.exam.part.events if isinstance(e, CtEvent))
    return float(np.mean([e.dlp_mgy_cm for e in scans])) if scans else None


def _sum_of(field: str) -> Callable[[Done, Level], float | None]:
    def of(done: Done, _level: Level) -> float:
        return sum(getattr(e, field) or 0 for e in done.exam.part.events)

    return of


def _fluoro_time(done: Done, _level: Level) -> float:
    pedal = XRayEventType.FLUOROSCOPY
    return sum(e.irradiation_duration_s for e in done.exam.part.events if e.event_type is pedal)


def _activity(done: Done, level: Level) -> float:
    given = sum(a.administered_activity_mbq for a in done.exam.part.administrations)
    return given / done.weight_kg if level.unit == "MBq/kg" else given


OF_EXAM: dict[Quantity, Callable[[Done, Level], float | None]] = {
    Quantity.CTDI_VOL: _ctdi_vol,
    Quantity.DLP: _dlp,
    Quantity.KAP: _sum_of("kap_gy_cm2"),
    Quantity.KA_R: _sum_of("ka_r_mgy"),
    Quantity.FLUORO_TIME: _fluoro_time,
    Quantity.ACTIVITY: _activity,
}
