"""What of a study is fetched, and the reason where nothing is: pure, from what the archive says.

Dose reports first; images only where a study has no report and the site allows it. Only SOP
classes, titles of documents and, for reports of general classes, series numbers and words
decide (reference: dicom_dose §4.4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from dose_lib import codes
from pipelines.collect.answer import Item, Series, Study
from pipelines.collect.pacs import Archive

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SR = _STORAGE + "88."
# Carry dose by their class; a general report only by its content.
DOSE_REPORTS = frozenset(_SR + n for n in ("67", "68", "73", "76"))
GENERAL_REPORTS = frozenset(_SR + n for n in ("11", "22", "33", "34", "35"))
_CAPTURE = _STORAGE + "7"
IMAGES = frozenset(
    _STORAGE + n
    for n in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "2", "2.1", "2.2", "7", "12.1"),
        *("12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5", "20"),
        *("128", "128.1", "130"),
    )
)
_TITLES = frozenset(
    c.key
    for c in (
        codes.XRAY_RADIATION_DOSE_REPORT,
        codes.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT,
        codes.PATIENT_RADIATION_DOSE_REPORT,
        codes.ARCADIS_REPORT,
    )
)
# Numbers under which makers file their dose reports; hints only, never proof.
_SERIES_NUMBERS = frozenset(
    {501, 502, 897, 900, 910, 990, 997, 998, 999, 9001, 10000, 65533, 65534}
)
_WORDS = re.compile(r"dos[ei]|exam protocol|radiation|rayonnement|strahlen|rdsr", re.IGNORECASE)
# Each image is an exposure of its own; elsewhere one image says what all of a series say.
_EVERY_IMAGE = frozenset({"DX", "CR", "MG", "XA", "RF", "PX", "IO"})
_FEW = 10
_CT = _STORAGE + "2"
# Series that show no slices across the body: their names in the languages we know.
_NOT_AXIAL = re.compile(
    r"\b(cor|sag|mpr|mip|vrt|3d|scout|topo\w*|locali[sz]er|surview|dose|perf\w*|smart ?prep|"
    r"monitoring|premonitoring|bolus\w*)\b",
    re.IGNORECASE,
)
_FEWEST_SLICES = 5  # a series of fewer says little of a scan
_MOST_SLICES = 20  # of a series: the mean of so many is that of all within a millimetre or so
_MOST_SERIES = 6
_MOST_IMAGES = 500


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An object to fetch; without its UID the whole series, without a series the study."""

    series_uid: str | None = None
    object_uid: str | None = None
    sop_class: str | None = None
    is_for_size: bool = False  # with its pixels, to be measured and dropped


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch; where that is nothing, why."""

    wanted: tuple[Wanted, ...] = ()
    reason: str | None = None


def passes(study: Study, archive: Archive) -> str | None:
    """Why a study need not be looked into; None if it must be.

    Only what the archive has said counts: a study without modalities is looked into.
    """
    shown = f" ({', '.join(study.modalities)})" if study.modalities else ""
    if study.modalities and not set(study.modalities) & {*archive.modalities, "SR"}:
        return f"no modality that is looked at{shown}"
    if archive.images != "never":
        return None
    if study.modalities and "SR" not in study.modalities:
        return f"no structured report in the study{shown}"
    if study.sop_classes and not set(study.sop_classes) & (DOSE_REPORTS | GENERAL_REPORTS):
        return f"no report that may carry dose in the study{shown}"
    return None


def choose_series(series: Sequence[Series], archive: Archive) -> tuple[list[Series], str | None]:
    """Series that may hold dose reports, else images; or why there is none.

    Parameters
    ----------
    series
        Of one study.
    archive
        Which modalities count, and whether images may be taken.
    """
    modalities = sorted({s.modality or "?" for s in series})
    reports = [s for s in series if s.modality in ("SR", None)]
    if reports:
        return reports, None
    if archive.images == "never":
        return [], f"no structured report in the study ({', '.join(modalities) or 'no series'})"
    return image_series(series, archive)


def image_series(series: Sequence[Series], archive: Archive) -> tuple[list[Series], str | None]:
    """Series of images whose headers may carry dose; or why there is none."""
    images = [s for s in series if s.modality in archive.modalities]
    if images:
        return images, None
    modalities = sorted({s.modality or "?" for s in series})
    return [], f"no report, and no images that carry dose ({', '.join(modalities) or 'no series'})"


def choose_reports(series: Series, items: Sequence[Item], archive: Archive) -> Choice:
    """Dose reports of a series; see `Choice`."""
    wanted = [i for i in items if _is_report(series, i, archive)]
    if wanted:
        return _choice(series, wanted)
    classes = sorted({i.sop_class or "unknown class" for i in items})
    hint = ""
    if set(classes) & GENERAL_REPORTS and archive.general_reports == "hinted":
        hint = "; nothing marks it as a dose report"
    return Choice(reason=f"reports that carry no dose ({', '.join(classes)}{hint})")


def choose_images(series: Series, items: Sequence[Item]) -> Choice:
    """Images of a series whose headers tell its dose; see `Choice`."""
    images = [i for i in items if i.sop_class is None or i.sop_class in IMAGES]
    images.sort(key=lambda i: (i.number is None, i.number or 0, i.uid))
    captures = [i for i in images if i.sop_class and i.sop_class.startswith(_CAPTURE)]
    if captures:
        return _choose_captures(series, captures)
    if not images:
        return Choice(reason="no images that carry dose")
    if series.modality not in _EVERY_IMAGE:
        return _choice(series, images[:1])
    if len(images) > _MOST_IMAGES:
        return Choice(reason=f"{len(images)} images in one series")
    return _choice(series, images)


def size_series(series: Sequence[Series]) -> list[Series]:
    """Series of a study on whose images the patient can be measured, at most some."""
    found = [
        s
        for s in series
        if s.modality == "CT"
        and not _NOT_AXIAL.search(s.description or "")
        and (s.n_objects is None or s.n_objects >= _FEWEST_SLICES)
    ]
    return sorted(found, key=lambda s: (s.number is None, s.number or 0, s.uid))[:_MOST_SERIES]


def choose_slices(series: Series, items: Sequence[Item], every: int) -> Choice:
    """Axial images of a series for the patient's size: of those that are measured, some.

    Parameters
    ----------
    every
        Images whose number is a multiple of it are measured; 0: none.
    """
    measured = [
        i
        for i in sorted(items, key=lambda i: (i.number or 0, i.uid))
        if every and i.sop_class in (None, _CT) and i.number and i.number % every == 0
    ]
    step = -(-len(measured) // _MOST_SLICES) or 1
    chosen = measured[(len(measured) - 1) % step // 2 :: step]
    wanted = (
        Wanted(series_uid=series.uid, object_uid=i.uid, sop_class=i.sop_class, is_for_size=True)
        for i in chosen
        if "LOCALIZER" not in i.image_type
    )
    return Choice(wanted=tuple(wanted))


def _choose_captures(series: Series, captures: Sequence[Item]) -> Choice:
    screens = [i for i in captures if "DOSE_INFO" in i.image_type]
    hinted = _WORDS.search(series.description or "") or series.number in _SERIES_NUMBERS
    if not screens and hinted and len(captures) <= _FEW:
        screens = list(captures)
    if screens:
        return _choice(series, screens)
    return Choice(reason="secondary captures that nothing marks as dose screens")


def _is_report(series: Series, item: Item, archive: Archive) -> bool:
    if item.sop_class in DOSE_REPORTS or item.title in _TITLES:
        return True
    if item.sop_class is not None and item.sop_class not in GENERAL_REPORTS:
        return False
    if archive.general_reports == "all":
        return True
    if archive.general_reports == "none" or item.title is not None:
        return False
    hinted = _WORDS.search(series.description or "") or series.number in _SERIES_NUMBERS
    # Without its class an object of a small series of reports is taken, and the reader decides.
    is_small = series.n_objects is None or series.n_objects < _FEW
    return bool(hinted) or (item.sop_class is None and is_small)


def _choice(series: Series, items: Sequence[Item]) -> Choice:
    return Choice(
        wanted=tuple(
            Wanted(series_uid=series.uid, object_uid=i.uid, sop_class=i.sop_class) for i in items
        )
    )
