"""One call for every dose report: the record's modality decides the template."""

from __future__ import annotations

from dose_lib.errors import SimulationError
from dose_lib.records import Identity, Modality, Part
from dose_lib.simulate.writer.ct import ct_items
from dose_lib.simulate.writer.dialect import Dialect, find_dialect
from dose_lib.simulate.writer.document import write_document


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
        return write_document(
            part,
            who,
            how,
            ct_items(part, who, how),
            sop_class=how.sop_class,
            template="10011",
            root="113701",
        )
    raise SimulationError(f"no dose report can be written for modality {part.modality.value}")
