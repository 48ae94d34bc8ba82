"""Codes of DICOM, SNOMED CT and LOINC that dose objects use, and private ones we know.

`from dose_lib import codes as c`: `c.KVP`, `c.fold(value, scheme)`. Constants carry the
code of the current standard; `fold` gives one key for all the schemes that arrive and
`to_srt` the code that older devices send.
"""

from __future__ import annotations

from dose_lib.codes.concept import Concept as Concept
from dose_lib.codes.concept import dcm as dcm
from dose_lib.codes.ct import *  # noqa: F403
from dose_lib.codes.estimate import *  # noqa: F403
from dose_lib.codes.folding import fold as fold
from dose_lib.codes.folding import to_srt as to_srt
from dose_lib.codes.nuclear import *  # noqa: F403
from dose_lib.codes.private import *  # noqa: F403
from dose_lib.codes.projection import *  # noqa: F403
from dose_lib.codes.report import *  # noqa: F403
from dose_lib.codes.values import *  # noqa: F403
