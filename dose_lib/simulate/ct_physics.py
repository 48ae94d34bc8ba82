"""CT dose from technique and size: what the scanner's console would show.

CTDIvol follows tube current, rotation time, tube voltage and pitch; automatic exposure
control follows the water-equivalent diameter; DLP is CTDIvol × scan length (IEC 60601-2-44).
"""

from __future__ import annotations

import math

import msgspec

from dose_lib.simulate.population import Body, water_equivalent_diameter_cm
from dose_lib.simulate.procedures import CtProcedure, CtTechnique
from dose_lib.simulate.scenario import DeviceSpec

# CTDIw per mAs rises with tube voltage as (kV / 120) ** 2.5: an assumption; measured exponents
# lie between 2 and 3, depending on filtration and phantom.
KV_EXPONENT = 2.5
# Linear attenuation of water at about 70 keV (NIST XCOM: 0.206 /cm at 60 keV, 0.184 at 80 keV):
# tube current that keeps noise constant grows as exp(mu × diameter).
MU_WATER_PER_CM = 0.193
_HEAD_PHANTOM = "16cm"


class CtOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What one scan used and gave."""

    kv: float
    ma: float
    ma_max: float
    rotation_time_s: float
    pitch: float | None
    ctdi_vol_mgy: float
    dlp_mgy_cm: float
    length_mm: float
    exposure_time_s: float


def ctdi_vol_mgy(
    *, ma: float, rotation_time_s: float, pitch: float | None, kv: float, per_100mas: float
) -> float:
    """CTDIvol of a technique, mGy.

    Parameters
    ----------
    ma, rotation_time_s, pitch, kv
        Tube current, time of one rotation, pitch (None: no table feed, taken as 1), voltage.
    per_100mas
        CTDIw of this scanner and phantom at 100 mAs and 120 kV, mGy.
    """
    mas = ma * rotation_time_s / (pitch or 1.0)
    return mas / 100.0 * per_100mas * math.pow(kv / 120.0, KV_EXPONENT)


def output_of(device: DeviceSpec, procedure: CtProcedure) -> float:
    """CTDIw at 100 mAs and 120 kV of the phantom the procedure refers to, mGy."""
    if procedure.phantom == _HEAD_PHANTOM:
        return device.ctdi_head_mgy_per_100mas
    return device.ctdi_body_mgy_per_100mas


def reference_ma(device: DeviceSpec, procedure: CtProcedure, technique: CtTechnique) -> float:
    """Tube current that gives the reference patient the median dose of the scenario, mA."""
    one = ctdi_vol_mgy(
        ma=1.0,
        rotation_time_s=technique.rotation_time_s,
        pitch=technique.pitch,
        kv=technique.kv,
        per_100mas=output_of(device, procedure),
    )
    return technique.reference.median / one


def reference_diameter_cm(procedure: CtProcedure, technique: CtTechnique) -> float:
    """Water-equivalent diameter of the technique's reference patient, cm."""
    who = technique.body
    body = Body(age_y=who.age_y, sex="F", weight_kg=who.weight_kg, height_cm=who.height_cm)
    return water_equivalent_diameter_cm(procedure.region, body)


def exposure_control(technique: CtTechnique, ma: float, diameter_cm: float, at_cm: float) -> float:
    """Tube current that exposure control sets for a diameter, within the tube's limits, mA.

    `aec_strength` 1 keeps the noise constant, 0 is a fixed current.
    """
    wanted = ma * math.exp(technique.aec_strength * MU_WATER_PER_CM * (diameter_cm - at_cm))
    return min(max(wanted, technique.ma_min), technique.ma_max)


def scan(
    device: DeviceSpec,
    procedure: CtProcedure,
    technique: CtTechnique,
    body: Body,
    *,
    set_by: CtTechnique | None = None,
    variation: float = 1.0,
    length_mm: float,
    calibration: float = 1.0,
) -> CtOutput:
    """One diagnostic scan of a patient.

    Parameters
    ----------
    technique
        The parameters that were used.
    set_by
        The parameters the protocol was made with, where `technique` differs by mistake: the
        tube current is still theirs, changed by the square of the noise index.
    variation
        Factor of this patient that size does not explain.
    length_mm
        Scan length.
    calibration
        Factor of the reported output, such as a tube replacement leaves behind.
    """
    made = set_by or technique
    ma = reference_ma(device, procedure, made) * variation
    if made.noise_index and technique.noise_index:
        ma *= (made.noise_index / technique.noise_index) ** 2
    diameter = water_equivalent_diameter_cm(procedure.region, body)
    ma = exposure_control(technique, ma, diameter, reference_diameter_cm(procedure, made))
    ma = float(round(ma))
    ctdi = ctdi_vol_mgy(
        ma=ma,
        rotation_time_s=technique.rotation_time_s,
        pitch=technique.pitch,
        kv=technique.kv,
        per_100mas=output_of(device, procedure) * calibration,
    )
    ctdi = round(ctdi, 2)
    length = round(length_mm, 1)
    feed = technique.total_collimation_mm * (technique.pitch or 1.0)
    return CtOutput(
        kv=technique.kv,
        ma=ma,
        ma_max=float(round(min(ma * (1.6 if technique.aec_strength else 1.0), technique.ma_max))),
        rotation_time_s=technique.rotation_time_s,
        pitch=technique.pitch,
        ctdi_vol_mgy=ctdi,
        dlp_mgy_cm=round(ctdi * length / 10.0, 2),
        length_mm=length,
        exposure_time_s=round(length / feed * technique.rotation_time_s, 2),
    )
