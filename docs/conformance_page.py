"""The tables of the DICOM conformance statement, from what the code negotiates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pydicom.uid import UID

from dose_lib.settings import Settings
from pipelines.classes import DOSE_CLASSES, IMAGE_CLASSES, contexts, image_contexts
from pipelines.collect.choose import DOSE_REPORTS, GENERAL_REPORTS, IMAGES
from pipelines.collect.line import FIND, GET, MOVE
from pipelines.envelope import IMPLEMENTATION_NAME, IMPLEMENTATION_UID
from pipelines.message import (
    CANNOT_PROCESS,
    ELEMENTS_DISCARDED,
    MISTYPED,
    OUT_OF_RESOURCES,
    SUCCESS,
)
from pipelines.steps import (
    DUPLICATE_INSTANCE,
    INVALID_VALUE,
    MISSING_ATTRIBUTE,
    NO_SUCH_INSTANCE,
    PERFORMED_STEP,
)

HERE = Path(__file__).parent
VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
_BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_LIMITS = (
    ("AE title", "ae_title"),
    ("Port", "dicom_port"),
    ("Largest PDU received, bytes", "dicom_max_pdu"),
    (
        "Associations at the same time, further ones are rejected (transient, local limit)",
        "dicom_max_associations",
    ),
    ("Seconds without traffic after which an association is aborted", "dicom_timeout_s"),
    ("Largest object, megabytes", "max_object_mb"),
)
_STORE_ANSWERS = (
    (SUCCESS, "Success", "the object is flushed to disk, file and folder, before this is sent"),
    (
        ELEMENTS_DISCARDED,
        "Warning: elements discarded",
        "an image: its header is kept, its pixels are dropped; or 0x0000 by `dicom_image_answer`",
    ),
    (
        OUT_OF_RESOURCES,
        "Refused: out of resources",
        "no room on the disk, or the object is larger than `max_object_mb`; nothing is kept",
    ),
    (CANNOT_PROCESS, "Processing failure", "the disk failed; nothing is kept"),
    (MISTYPED, "Mistyped argument", "C-STORE without a data set"),
)
_STEP_ANSWERS = (
    (SUCCESS, "Success", "also for a message that was received before"),
    (INVALID_VALUE, "Invalid attribute value", "the status is not one that PS3.4 allows there"),
    (MISSING_ATTRIBUTE, "Missing attribute", "N-CREATE without the step's status"),
    (DUPLICATE_INSTANCE, "Duplicate SOP instance", "N-CREATE of a step with other content"),
    (NO_SUCH_INSTANCE, "No such SOP instance", "N-SET of a step that was not created here"),
    (
        CANNOT_PROCESS,
        "Processing failure",
        "the message cannot be read, the step has ended (PS3.4 F.7.2.2.2), or the disk failed",
    ),
    (OUT_OF_RESOURCES, "Resource limitation", "no room on the disk"),
)


def listener_classes() -> list[list[str]]:
    """SOP classes that every allowed caller may propose: name, UID, services."""
    services = {VERIFICATION: "C-ECHO", PERFORMED_STEP: "N-CREATE, N-SET"}
    uids = [str(c.abstract_syntax) for c in contexts()]
    return [[_name(uid), f"`{uid}`", services.get(uid, "C-STORE")] for uid in uids]


def image_classes() -> list[list[str]]:
    """SOP classes of images, for the callers in `dicom_image_peers`."""
    uids = [str(c.abstract_syntax) for c in image_contexts()]
    return [[IMAGE_CLASSES[uid], f"`{uid}`"] for uid in uids]


def report_syntaxes() -> list[list[str]]:
    """Transfer syntaxes accepted for dose objects, and whether for images too."""
    of_reports = next(c for c in contexts() if str(c.abstract_syntax) in DOSE_CLASSES)
    of_images = {str(s) for s in image_contexts()[0].transfer_syntax or ()}
    return [
        [UID(str(s)).name, f"`{s}`", "yes" if str(s) in of_images else "no: deflated"]
        for s in of_reports.transfer_syntax or ()
    ]


def user_classes() -> list[list[str]]:
    """SOP classes that DoseLoop asks a peer for."""
    asked = {VERIFICATION: "C-ECHO", FIND: "C-FIND", MOVE: "C-MOVE", GET: "C-GET"}
    asked[WORKLIST] = "C-FIND"
    rows = [[_name(uid), f"`{uid}`", service, "SCU"] for uid, service in asked.items()]
    stored = [*sorted(DOSE_REPORTS), *sorted(GENERAL_REPORTS), *sorted(IMAGES)]
    service = "C-STORE on the association of a C-GET"
    return rows + [[_name(uid), f"`{uid}`", service, "SCP"] for uid in stored]


def answers(rows: Iterable[tuple[int, str, str]]) -> list[list[str]]:
    """Statuses of a response."""
    return [[f"0x{status:04X}", meaning, when] for status, meaning, when in rows]


def facts() -> list[list[str]]:
    """What the implementation says of itself, and its limits."""
    field = Settings.model_fields
    return [
        ["Implementation Class UID", f"`{IMPLEMENTATION_UID}`", ""],
        ["Implementation Version Name", f"`{IMPLEMENTATION_NAME}`", ""],
        *(
            [
                text,
                f"{field[name].default:g}"
                if isinstance(field[name].default, float)
                else str(field[name].default),
                f"`{name}`",
            ]
            for text, name in _LIMITS
        ),
    ]


def _name(uid: str) -> str:
    return DOSE_CLASSES.get(uid) or IMAGE_CLASSES.get(uid) or UID(uid).name


TABLES: dict[str, tuple[list[str], Callable[[], list[list[str]]]]] = {
    "facts": (["what", "value", "setting"], facts),
    "listener": (["SOP class", "UID", "service, as SCP"], listener_classes),
    "images": (["SOP class", "UID"], image_classes),
    "syntaxes": (["transfer syntax", "UID", "for images too"], report_syntaxes),
    "store_answers": (["status", "meaning", "when"], lambda: answers(_STORE_ANSWERS)),
    "step_answers": (["status", "meaning", "when"], lambda: answers(_STEP_ANSWERS)),
    "user": (["SOP class", "UID", "service", "role"], user_classes),
}


def conformance_page() -> str:
    """The statement as it stands, with its tables made anew."""

    def renewed(block: re.Match[str]) -> str:
        header, rows = TABLES[block[2]]
        return block[1] + "\n".join(_table(header, rows())) + "\n" + block[3]

    return _BLOCK.sub(renewed, (HERE / "conformance.md").read_text(encoding="utf-8"))


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
