"""Everything the reader may notice: stable code, severity and meaning, in one table.

Each tolerance the reader shows leaves an issue; the documentation's list is made from
this table.
"""

from __future__ import annotations

from typing import NamedTuple

from dose_lib.records import Severity

_INFO, _WARNING, _ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


class Kind(NamedTuple):
    """Severity and meaning of an issue code."""

    severity: Severity
    message: str


KINDS = {
    # values
    "unknown_unit": Kind(_ERROR, "The unit is none of this quantity's; the value is left out."),
    "unit_missing": Kind(_WARNING, "No unit was sent; the unit of the template is taken."),
    "unreadable_number": Kind(_ERROR, "The value is no number; it is left out."),
    "illegal_number": Kind(
        _WARNING, "The number is not written as DICOM requires; it is read all the same."
    ),
    "several_values": Kind(_INFO, "One value holds several numbers; they are taken in order."),
    "no_value": Kind(_INFO, "The object has no value here and says why; it stays unknown."),
    "bad_datetime": Kind(_WARNING, "The date and time cannot be read; it stays unknown."),
    "unknown_code": Kind(_INFO, "The code is none of the values this field can have."),
    "text_for_code": Kind(_INFO, "Words were sent in place of a code; only the meaning is known."),
    "value_contradicted": Kind(
        _WARNING, "The same item was sent again with another value; the first one is kept."
    ),
    "name_by_meaning": Kind(
        _INFO, "The code of this item is unknown; it is recognised by its meaning."
    ),
    "scheme_missing": Kind(
        _INFO, "Codes without their scheme, here and maybe further on; known ones are read."
    ),
    "value_by_meaning": Kind(
        _INFO, "The code is none of the values this field can have; its meaning is one."
    ),
    "dialect": Kind(_INFO, "A known deviation of this maker was corrected."),
    "character_set": Kind(
        _INFO, "Text is not in the declared character set; it is decoded as found."
    ),
    "implausible_value": Kind(_WARNING, "The value is outside what is possible or usual."),
    "thickness_swapped": Kind(_INFO, "The smallest thickness was larger than the largest."),
    "zero_dose": Kind(_WARNING, "A dose of zero where there were exposures; it may be unknown."),
    # identity of things
    "study_uid_missing": Kind(
        _WARNING, "No Study Instance UID; one is derived from the object's own UID."
    ),
    "event_uid_missing": Kind(_INFO, "No event UID was sent; another identifier stands in."),
    "event_uid_repeated": Kind(
        _INFO, "Several events share one UID; plane, source and order tell them apart."
    ),
    "scope_uid_missing": Kind(
        _INFO, "The scope of accumulation names no UID; the study is assumed."
    ),
    "observer_uid_ignored": Kind(
        _INFO, "The device observer UID repeats a UID of the exam; it does not identify the device."
    ),
    "recognised_by_content": Kind(
        _INFO, "Neither class, title nor template but the content shows a dose report."
    ),
    "nested_containers": Kind(
        _INFO, "Containers of one kind stand within each other; each is read on its own."
    ),
    "event_repeated": Kind(
        _INFO, "An event stands in the report twice, and its totals count it once; so do we."
    ),
    "total_repeated": Kind(
        _INFO, "The totals of one plane stand in the report twice; they are counted once."
    ),
    "totals_chosen": Kind(
        _WARNING, "Several containers state the exam's totals; those that fit its events count."
    ),
    "totals_outside": Kind(_INFO, "The totals stand in no container of their own."),
    "several_templates": Kind(
        _INFO, "The report holds several templates; each is an exam part of its own."
    ),
    "modality_assumed": Kind(
        _INFO, "Nothing in the object says which modality its estimates are of."
    ),
    "time_from_header": Kind(_INFO, "The object's header gives the start; its content has none."),
    # totals
    "total_differs_from_sum": Kind(
        _WARNING, "The stated total and the sum over the events differ; both are kept."
    ),
    "total_rounded": Kind(
        _INFO, "The stated total and the sum over the events differ slightly; both are kept."
    ),
    "count_differs": Kind(_WARNING, "The stated number of events is not the number found."),
    "phantoms_mixed": Kind(
        _INFO, "The stated DLP total adds doses on different phantoms; see the totals by phantom."
    ),
    "phantom_missing": Kind(_WARNING, "No phantom was stated for a CTDIvol or DLP."),
    "partial_report": Kind(_INFO, "The report calls itself partial."),
    # patient
    "birth_date_impossible": Kind(_WARNING, "The birth date is after the exam or impossible."),
    "identifier_in_text": Kind(
        _INFO, "A free text repeated an identifier; the part keeps the cleaned text."
    ),
    "frames_summed": Kind(
        _INFO, "Each projection states a dose of its own; the exposure has their sum."
    ),
    "images_only": Kind(
        _INFO, "Images alone: fluoroscopy and runs that were not kept are missing from the totals."
    ),
    # sets of objects
    "sources_disagree": Kind(
        _WARNING, "Two sources of one event state different values; the stronger source is kept."
    ),
    "reports_overlap": Kind(
        _WARNING, "Reports of one exam overlap in part; totals are made from all their events."
    ),
    "event_not_in_report": Kind(
        _INFO, "An image is of an exposure that the report of its time does not name; not counted."
    ),
    "step_exposures_not_counted": Kind(
        _INFO, "Exposures of a procedure step name no time; those of other objects count instead."
    ),
    "totals_summed": Kind(
        _INFO, "The exam's reports continue one another; their totals are added up."
    ),
    # sizes measured on images
    "size_cut_off": Kind(
        _WARNING,
        "The patient reaches out of the field of many images; the size of these is a lower bound "
        "and left out, the rest is in doubt.",
    ),
    "size_not_measured": Kind(
        _WARNING, "Images that came for the patient's size could not be measured."
    ),
    # comments
    "unsafe_xml": Kind(_WARNING, "An XML comment declares entities or a DTD; it is not parsed."),
    "unreadable_comment": Kind(_INFO, "A comment that should be XML cannot be parsed."),
}
