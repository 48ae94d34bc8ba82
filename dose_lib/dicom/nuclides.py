"""Half-lives of the nuclides in clinical use, to check what was sent.

Values from the DDEP evaluations (BIPM Monographie 5), rounded; a deviation of more than
1 % shows a wrong nuclide or unit, which rounding does not.
"""

from __future__ import annotations

from typing import NamedTuple

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class Nuclide(NamedTuple):
    """A nuclide: half-life, and whether PET images it."""

    name: str
    half_life_s: float
    is_positron: bool


# Folded SNOMED CT code -> nuclide (codes: PS3.16 CID 18 and 4020)
NUCLIDES = {
    "SCT:40565003": Nuclide("C-11", 20.361 * _MINUTE, True),
    "SCT:21576001": Nuclide("N-13", 9.967 * _MINUTE, True),
    "SCT:129504001": Nuclide("O-15", 122.24, True),
    "SCT:77004003": Nuclide("F-18", 109.77 * _MINUTE, True),
    "SCT:79197006": Nuclide("Rb-82", 1.2652 * _MINUTE, True),
    "SCT:3932008": Nuclide("Cu-64", 12.7004 * _HOUR, True),
    "SCT:35337001": Nuclide("Ga-68", 67.83 * _MINUTE, True),
    "SCT:63360001": Nuclide("Zr-89", 78.42 * _HOUR, True),
    "SCT:40937006": Nuclide("I-124", 4.176 * _DAY, True),
    "SCT:2008008": Nuclide("Ga-67", 3.2613 * _DAY, False),
    "SCT:61716009": Nuclide("Kr-81m", 13.1, False),
    "SCT:14691008": Nuclide("Y-90", 2.6684 * _DAY, False),
    "SCT:72454006": Nuclide("Tc-99m", 6.0067 * _HOUR, False),
    "SCT:56609000": Nuclide("In-111", 2.8049 * _DAY, False),
    "SCT:21572004": Nuclide("I-123", 13.2234 * _HOUR, False),
    "SCT:1368003": Nuclide("I-131", 8.0233 * _DAY, False),
    "SCT:80751004": Nuclide("Xe-133", 5.2474 * _DAY, False),
    "SCT:419804008": Nuclide("Sm-153", 1.9285 * _DAY, False),
    "SCT:447553000": Nuclide("Lu-177", 6.647 * _DAY, False),
    "SCT:60057003": Nuclide("Tl-201", 3.0421 * _DAY, False),
    "SCT:24853006": Nuclide("Ra-223", 11.43 * _DAY, False),
}
