"""Names that mean something else here: words and scans disagree in nearly all of their exams."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dose_lib.mapping.documentation import documentation_mismatches
from dose_lib.mapping.waiting import WaitingName
from dose_lib.normalise import Suggestion, catalogue, text_key
from dose_lib.settings import Settings

_ABOUT = ("region", "length")


def find_doubtful(con: Any, *, settings: Settings | None = None) -> tuple[WaitingName, ...]:
    """Names with a procedure that is probably not what is done under them on a unit.

    Parameters
    ----------
    con
        From `dose_lib.connect`.

    Returns
    -------
    tuple of WaitingName
        Each with what the site does most where these exams were irradiated; the exams keep their
        present name, and stay out of comparisons, until somebody decides.
    """
    rows = documentation_mismatches(con)
    rows = rows[rows["is_habit"] & rows["about"].isin(_ABOUT) & (rows["name"] != "")]
    found = []
    for name, exams in rows.groupby("name"):
        keys = list(exams["part_key"].unique())
        modalities, regions = _facts(con, keys)
        if not modalities:
            continue
        found.append(
            WaitingName(
                subject=text_key(str(name)),
                modality=modalities[0],
                field="study_description",
                text=str(name),
                n_exams=len(keys),
                first_at=exams["started_at"].min().to_pydatetime(),
                last_at=exams["started_at"].max().to_pydatetime(),
                devices=tuple(sorted({str(d) for d in exams["device"].dropna()})),
                regions=tuple(regions),
                suggestions=_done_there(con, modalities[0], regions, str(exams["seen"].iloc[0])),
            )
        )
    return tuple(sorted(found, key=lambda w: (-w.n_exams, w.subject)))


def _facts(con: Any, keys: list[str]) -> tuple[list[str], list[str]]:
    """Modalities of exams, and the regions irradiated in them, the usual one first."""
    part = con.table("part")
    rows = part.filter(part.part_key.isin(keys)).select("modality", "body_region")
    found = rows.to_pyarrow().to_pylist()
    modalities = Counter(r["modality"] for r in found)
    regions = Counter(r["body_region"] for r in found if r["body_region"])
    return [m for m, _ in modalities.most_common()], [r for r, _ in regions.most_common()]


def _done_there(con: Any, modality: str, regions: list[str], seen: str) -> tuple[Suggestion, ...]:
    """Procedures of the usual region, by how often the site does them without a disagreement."""
    if not regions:
        return ()
    part, issue = con.table("part"), con.table("issue")
    named = part.filter(part.modality == modality, part.procedure_name.notnull())
    clean = named.anti_join(issue.filter(issue.code.like("%_than_coded")), "part_key")
    counted = clean.group_by("procedure_name").aggregate(n=lambda t: t.count())
    counts = {r["procedure_name"]: int(r["n"]) for r in counted.to_pyarrow().to_pylist()}
    there = {
        name: n
        for name, n in counts.items()
        if (entry := catalogue().get(name)) is not None and entry.region == regions[0]
    }
    total = sum(there.values())
    ranked = sorted(there.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Suggestion(name, round(0.8 * n / total, 4), f"{seen}; {100 * n / total:.0f} % of what "
                   f"is done in {regions[0]}")
        for name, n in ranked[:5]
    )  # fmt: skip
