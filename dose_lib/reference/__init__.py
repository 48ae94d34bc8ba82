"""Diagnostic reference levels: the library, the site's own, sign-off, and which one counts."""

from __future__ import annotations

from dose_lib.reference.adopted import ADOPTION, Basis, adopted_levels, adoption, revoke
from dose_lib.reference.choose import (
    THE_DRL,
    Choice,
    Narrowed,
    Reason,
    fits_patient,
    kinds_of,
    narrow_levels,
    newest,
    pick_level,
    slot_of,
    unusable,
)
from dose_lib.reference.level import Confidence, Kind, Level, Per, PhantomBasis, Quantity
from dose_lib.reference.library import (
    load_levels,
    published_levels,
    read_table,
    tables_folder,
)
from dose_lib.reference.signing import (
    SignOff,
    apply_sign_offs,
    read_decisions,
    sign_off,
    sign_offs,
)
from dose_lib.reference.site import Imported, import_levels, site_levels, template

__all__ = [
    "ADOPTION",
    "THE_DRL",
    "Basis",
    "Choice",
    "Confidence",
    "Imported",
    "Kind",
    "Level",
    "Narrowed",
    "Per",
    "PhantomBasis",
    "Quantity",
    "Reason",
    "SignOff",
    "adopted_levels",
    "adoption",
    "apply_sign_offs",
    "fits_patient",
    "import_levels",
    "kinds_of",
    "load_levels",
    "narrow_levels",
    "newest",
    "pick_level",
    "published_levels",
    "read_decisions",
    "read_table",
    "revoke",
    "sign_off",
    "sign_offs",
    "site_levels",
    "slot_of",
    "tables_folder",
    "template",
    "unusable",
]
