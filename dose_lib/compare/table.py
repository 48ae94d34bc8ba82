"""The verdict table, as notebooks and reports show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.compare.rule import Rule
from dose_lib.compare.verdict import Status, Verdict

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "procedure_name", "quantity", "band", "unit", "name", "site", "status", "n", "n_all",
    "median", "p25", "p75", "ci_low", "ci_high", "dose_unit", "level", "level_name", "level_row",
    "level_kind", "confidence", "signed_by", "statistic", "achievable", "ratio", "share_above",
    "size_rule", "mean_weight_kg", "share_in_window", "previous", "reason", "text",
    "basis", "devices", "start", "end", "notes",
)  # fmt: skip
_OF_FIGURES = ("n", "median", "p25", "p75", "ci_low", "ci_high")


class Comparison(NamedTuple):
    """Verdicts of one comparison, in order of procedure, quantity, band and unit."""

    verdicts: tuple[Verdict, ...]
    rule: Rule

    def to_frame(self) -> pd.DataFrame:
        """One row a verdict, with the columns of `COLUMNS`; ready for a notebook."""
        import pandas as pd

        return pd.DataFrame([cells(v) for v in self.verdicts], columns=list(COLUMNS))

    def of(self, status: Status | str) -> tuple[Verdict, ...]:
        """Verdicts of one status."""
        return tuple(v for v in self.verdicts if v.status == status)


def cells(verdict: Verdict) -> dict[str, Any]:
    """Plain values of one verdict by column name."""
    level = verdict.level
    told = {name: getattr(verdict, name, None) for name in COLUMNS}
    told |= {name: getattr(verdict.figures, name) for name in _OF_FIGURES}
    told |= {
        "level": level and level.value,
        "level_name": level and f"{level.set_id} {level.edition}",
        "level_row": level and level.row_id,
        "level_kind": level and level.kind.value,
        "confidence": level and level.confidence.value,
        "signed_by": level and level.signed_by,
        "statistic": level and level.statistic,
        "devices": ", ".join(verdict.devices),
        "notes": "; ".join(verdict.notes),
    }
    for name in ("quantity", "status", "previous", "reason"):
        told[name] = None if told[name] is None else str(told[name])
    return told
