"""Radiopharmaceutical dose (PS3.16 TID 10021 to 10024): records to content items."""

from __future__ import annotations

from collections.abc import Iterable

from dose_lib.records import Administration, Code, Identity, OrganDose, Part, Patient
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.people import ADMINISTERING, persons
from dose_lib.simulate.writer.private import siemens_effective_dose
from dose_lib.simulate.writer.projection import LATERALITIES
from dose_lib.simulate.writer.tree import (
    INFERRED,
    MOD,
    OBS,
    PROP,
    Item,
    Items,
    coded,
    container,
    moment,
    number,
    text,
    uid,
)

_LATERALITY = sct("272741003")
_HEIGHT = Code("8302-2", "LN", "Patient Height")
_WEIGHT = Code("29463-7", "LN", "Patient Weight")
_BSA = Code("8277-6", "LN", "Body Surface Area")
_BSA_FORMULA = Code("8278-4", "LN", "Body Surface Area Formula")
_GLUCOSE = Code("14749-6", "LN", "Glucose")
_CREATININE = Code("2160-0", "LN", "Serum Creatinine")
_SEXES = {
    "F": Code("F", "DCM", "Female"),
    "M": Code("M", "DCM", "Male"),
    "O": Code("121102", "DCM", "Other sex"),
}


def nuclear_items(part: Part, identity: Identity, dialect: Dialect) -> Items:
    """Content of the root container (TID 10021): one administration a report."""
    intent = coded(sct("363703001"), part.intent, relation=MOD)
    return (
        *coded("121049", part.language, relation=MOD),
        *coded(sct("363589002"), part.nm_procedure, *intent, relation=MOD),
        *(_administration(a, identity, dialect) for a in part.administrations),
        container("121118", _characteristics(part.patient)),
        *text("121106", part.comment),
    )


def _administration(admin: Administration, identity: Identity, dialect: Dialect) -> Item:
    agent = (
        *coded(sct("89457008"), admin.radionuclide, relation=PROP),
        *number(sct("304283002"), admin.half_life_s, "s", relation=PROP),
    )
    pre = coded("113540", admin.pre_activity_device, relation=OBS)
    post = coded("113540", admin.post_activity_device, relation=OBS)
    side = (
        LATERALITIES[admin.injection_site_laterality] if admin.injection_site_laterality else None
    )
    site = coded(
        sct("272737002"),
        admin.injection_site,
        *coded(_LATERALITY, side, relation=MOD),
        relation=PROP,
    )
    private = dialect.private == "siemens" and admin.effective_dose_msv is not None
    return container(
        "113502",
        (
            *coded(sct("349358000"), admin.radiopharmaceutical, *agent),
            *number("123007", admin.specific_activity, "Bq/mmol"),
            *uid("113503", admin.administration_uid),
            *(i for code in admin.extravasation for i in coded("113505", code)),
            *number("113506", admin.extravasation_percent, "%"),
            *moment("123003", admin.started_at),
            *moment("123004", admin.ended_at),
            *number("113507", admin.administered_activity_mbq, "MBq"),
            *number("123005", admin.administered_volume_ml, "cm3"),
            *number("113508", admin.pre_activity_mbq, "MBq", *pre),
            *number("113509", admin.post_activity_mbq, "MBq", *post),
            *(_organ(o) for o in admin.organ_doses),
            *_effective_dose(admin, private),
            *coded(sct("410675002"), admin.route, *site),
            *persons(identity, ADMINISTERING),
            *(i for code in admin.billing_codes for i in coded("121147", code)),
            *coded("113510", admin.drug_product),
            *text("111529", admin.brand_name),
            *_unit(admin, identity),
            *text("113516", identity.prescription_id),
            *text("121106", admin.comment),
        ),
    )


def _effective_dose(admin: Administration, private: bool) -> Items:
    dose, authority = admin.effective_dose_msv, admin.effective_dose_reference_authority
    if dose is None:
        return ()
    if private:
        words = (authority.meaning if authority else None) or "ICRP Publication 128"
        return (siemens_effective_dose(dose, words),)
    return number("113839", dose, "mSv", *_authority(authority))


def _authority(authority: Code | None) -> Items:
    """Reference authority: coded where there is a code, else its words."""
    if authority is None:
        return ()
    if authority.value is None:
        return text("121406", authority.meaning, relation=PROP)
    return coded("121406", authority, relation=PROP)


def _unit(admin: Administration, identity: Identity) -> Items:
    """The dispense unit and its batches (rows 27 to 30)."""
    batches = (
        *(i for lot in admin.lot_ids for i in text("113512", lot, relation=PROP)),
        *(i for vial in admin.reagent_vial_ids for i in text("113513", vial, relation=PROP)),
        *(i for vial in admin.radionuclide_vial_ids for i in text("113514", vial, relation=PROP)),
    )
    return text("113511", identity.dispense_unit_id, *batches)


def _organ(organ: OrganDose) -> Item:
    """TID 10023."""
    side = LATERALITIES[organ.laterality] if organ.laterality else None
    method = text(sct("370129005"), organ.mass_method, relation=MOD)
    return container(
        "113517",
        (
            *coded(sct("363698007"), organ.finding_site, relation=MOD),
            *coded(_LATERALITY, side, relation=MOD),
            *number(sct("118538004"), organ.mass_g, "g", *method),
            *number("113518", organ.organ_dose_mgy, "mGy", *_authority(organ.reference_authority)),
        ),
    )


def _characteristics(patient: Patient) -> Iterable[Item]:
    """TID 10024."""
    formula = coded(_BSA_FORMULA, patient.bsa_formula, relation=INFERRED)
    equation = coded(dcm("121420"), patient.bmi_equation, relation=INFERRED)
    method = (
        *coded(sct("370129005"), patient.gfr_method, relation=MOD),
        *coded("121050", patient.gfr_equivalent_meaning, relation=MOD),
    )
    return (
        *(i for code in patient.patient_state for i in coded("109054", code)),
        *number("121033", patient.age_y, "a"),
        *coded("121032", _SEXES[patient.sex.value] if patient.sex else None),
        *number(_HEIGHT, patient.height_cm, "cm"),
        *number(_WEIGHT, patient.weight_kg, "kg"),
        *number(_BSA, patient.bsa_m2, "m2", *formula),
        *number(sct("60621009"), patient.bmi_kg_per_m2, "kg/m2", *equation),
        *number(_GLUCOSE, patient.glucose_mmol_per_l, "mmol/l"),
        *number("113550", patient.fasting_duration_h, "h"),
        *number("113551", patient.hydration_volume_ml, "ml"),
        *text("113552", patient.recent_physical_activity),
        *number(_CREATININE, patient.creatinine_mg_per_dl, "mg/dl"),
        *number(sct("80274001"), patient.gfr_ml_per_min_per_173m2, "ml/min{1.73_m2}", *method),
    )
