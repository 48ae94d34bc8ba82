"""One radiopharmaceutical administration."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random

from dose_lib.records import Administration, Code, Totals
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.procedures import NuclearProcedure
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct


def nuclear_content(plan: Plan, procedure: NuclearProcedure, rng: Random) -> Content:
    """The administration: aimed at an activity, measured before and after."""
    aim = procedure.reference.median * (plan.body.weight_kg if procedure.per_kg else 1.0)
    if not procedure.per_kg and plan.body.weight_kg < 60.0:
        aim *= max(plan.body.weight_kg, 5.0) / 70.0
    activity = aim * rng.lognormvariate(0.0, math.log(procedure.spread_gsd))
    activity *= plan.changes.exposure * plan.changes.calibration
    rest = activity * rng.uniform(0.01, 0.06)
    administration = Administration(
        administration_uid=derive_uid("administration", *plan.key),
        ordinal=0,
        radiopharmaceutical=_code(procedure.agent),
        radionuclide=_code(procedure.nuclide),
        half_life_s=procedure.half_life_s,
        started_at=plan.started_at,
        ended_at=plan.started_at + timedelta(seconds=30),
        administered_activity_mbq=round(activity, 1),
        pre_activity_mbq=round(activity + rest, 1),
        pre_activity_device=dcm("113541"),
        post_activity_mbq=round(rest, 1),
        post_activity_device=dcm("113541"),
        route=sct("47625008"),
    )
    return Content(
        administrations=(administration,),
        totals=Totals(n_administrations=1, derived=("n_administrations",)),
        ended_at=plan.started_at + timedelta(seconds=30),
        values={
            "intent": sct("261004008"),
            "nm_procedure": _code(procedure.associated),
        },
    )


def _code(words: str) -> Code:
    """A SNOMED CT concept written as ``identifier meaning``."""
    value, _, meaning = words.partition(" ")
    return Code(value, "SCT", meaning)
