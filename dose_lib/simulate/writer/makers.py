"""The dialects that can be written, by name.

Each rests on a real report or a public issue, named in `origin`; `clean` is the standard's
own wording with SNOMED CT codes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from dose_lib.errors import SimulationError, did_you_mean
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.makers_ct import CT_DIALECTS
from dose_lib.simulate.writer.makers_xray import NUCLEAR_DIALECTS, XRAY_DIALECTS

CLEAN = Dialect(
    name="clean",
    origin="PS3.16 TID 10001 to 10024 as the reference page has them",
    has_modalities=True,
)

# The standard's codes under German words: meanings must not be matched.
_GERMAN = {
    "113701": "Röntgendosisbericht",
    "121058": "Berichtete Prozedur",
    "113809": "Beginn der Bestrahlung",
    "113810": "Ende der Bestrahlung",
    "113705": "Umfang der Summierung",
    "113811": "Summierte CT-Dosis",
    "113812": "Anzahl der Bestrahlungen",
    "113813": "Dosislängenprodukt gesamt",
    "113819": "CT-Aufnahme",
    "125203": "Aufnahmeprotokoll",
    "123014": "Zielregion",
    "113820": "Art der CT-Aufnahme",
    "113830": "Mittlerer CTDIvol",
    "113838": "Dosislängenprodukt",
    "113835": "CTDIw-Phantom",
    "113733": "Röhrenspannung",
    "113734": "Röhrenstrom",
    "113824": "Expositionszeit",
    "113825": "Scanlänge",
    "113702": "Summierte Röntgendosis",
    "113706": "Bestrahlungsereignis",
    "113722": "Dosisflächenprodukt gesamt",
    "122130": "Dosisflächenprodukt",
    "113738": "Dosis am Referenzpunkt",
    "113725": "Dosis am Referenzpunkt gesamt",
    "113730": "Durchleuchtungszeit gesamt",
    "113731": "Anzahl der Bilder",
    "111631": "Mittlere Parenchymdosis",
    "111637": "Summierte mittlere Parenchymdosis",
    "272741003": "Seite",
    "113507": "Verabreichte Aktivität",
}
GERMAN = replace(
    CLEAN,
    name="clean-de",
    origin="vendor_deviations §3.4: meanings in other languages and spellings lose data",
    charset="ISO_IR 100",
    meanings=_GERMAN,
)

_DIALECTS = {d.name: d for d in (CLEAN, GERMAN, *CT_DIALECTS, *XRAY_DIALECTS, *NUCLEAR_DIALECTS)}


def dialect_names() -> tuple[str, ...]:
    """Names of the dialects that can be written."""
    return tuple(sorted(_DIALECTS))


@cache
def find_dialect(name: str) -> Dialect:
    """The dialect of a name.

    Raises
    ------
    SimulationError
        For a name that is not known, with the nearest ones.
    """
    if name not in _DIALECTS:
        raise SimulationError(f"unknown dialect {name!r}", todo=did_you_mean(name, _DIALECTS))
    return _DIALECTS[name]
