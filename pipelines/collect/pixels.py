"""Image headers without their pixels: dose lies in the header, and pixels show the patient."""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom.filereader import read_dataset
from pydicom.uid import UID

_PIXEL_GROUP = 0x7FE0


def without_pixels(content: bytes, transfer_syntax: str) -> bytes:
    """An encoded data set up to its pixel data (group 7FE0), which stands last (PS3.5 §7.1).

    Parameters
    ----------
    content
        The data set as it came over the network, without file meta information.
    transfer_syntax
        UID of its encoding.

    Returns
    -------
    bytes
        As they were where there are no pixels, where nothing can be cut (deflated), or
        where the content cannot be parsed: that is the reader's to say.
    """
    syntax = UID(transfer_syntax)
    if syntax.is_deflated:
        return content
    file = BytesIO(content)
    found = False

    def stop(tag: int, vr: str | None, length: int) -> bool:
        nonlocal found
        found = int(tag) >> 16 == _PIXEL_GROUP
        return found

    try:
        read_dataset(file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop)
    except (ValueError, EOFError, OSError, struct.error, NotImplementedError):
        return content
    return content[: file.tell()] if found else content
