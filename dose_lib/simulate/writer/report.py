"""One call for every dose report: the record's modality decides the template."""

from __future__ import annotations

from dose_lib.errors import SimulationError
from dose_lib.records import Identity, Modality, Part
from dose_lib.simulate.writer.ct import ct_items
from dose_lib.simulate.writer.dialect import RADIOPHARMACEUTICAL_RDSR, Dialect
from dose_lib.simulate.writer.document import write_document
from dose_lib.simulate.writer.makers import find_dialect
from dose_lib.simulate.writer.nuclear import nuclear_items
from dose_lib.simulate.writer.projection import projection_items

_PROJECTION = frozenset(
    {Modality.RF, Modality.XA, Modality.DX, Modality.MG, Modality.PX, Modality.IO, Modality.CBCT}
)


def write_rdsr(
    part: Part, identity: Identity | None = None, dialect: str | Dialect = "clean"
) -> bytes:
    """A dose report of one exam part as a DICOM file (PS3.10, explicit little endian).

    Parameters
    ----------
    part
        The record. SOP Instance UID, series and content time come from the first of its
        `sources`; they are derived from the part where it has none.
    identity
        Patient and staff; persons go into the roles they have there.
    dialect
        Name of a dialect, or one.

    Raises
    ------
    SimulationError
        For a modality that has no dose report here.
    """
    how = find_dialect(dialect) if isinstance(dialect, str) else dialect
    who = identity or Identity()
    if part.modality is Modality.CT:
        items, template = ct_items(part, who, how), "10011"
    elif part.modality in _PROJECTION:
        items, template = projection_items(part, who, how), "10001"
    elif part.administrations:
        return write_document(
            part,
            who,
            how,
            nuclear_items(part, who, how),
            sop_class=RADIOPHARMACEUTICAL_RDSR,
            template="10021",
            root="113500",
        )
    else:
        raise SimulationError(f"no dose report can be written for modality {part.modality.value}")
    return write_document(
        part, who, how, items, sop_class=how.sop_class, template=template, root="113701"
    )
