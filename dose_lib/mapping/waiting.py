"""What waits for a person: each name once, with its exams and what it may mean."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.mapping.read import site_facts
from dose_lib.normalise import (
    WAITING,
    KnownName,
    SiteFacts,
    Suggestion,
    code_key,
    is_helper_name,
    suggest_names,
    text_key,
)
from dose_lib.records import Code, Modality
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

# In the order they are believed; see `dose_lib.normalise.texts`.
_CODES = ("procedure_code", "requested_procedure")
_MEANINGS = ("procedure_code", "requested_procedure")
_TEXTS = ("study_description", "performed_procedure_step_description")
_KNOWN_SHARE = 0.98  # of a name's exams that are one procedure: else it names nothing clearly


class WaitingName(msgspec.Struct, frozen=True, kw_only=True):
    """One name that has no procedure, and what it may mean.

    Attributes
    ----------
    subject
        What a decision is about: the text's key, or ``SCHEME:code``.
    modality, field, text
        Where it stands, and as it was written.
    n_exams, first_at, last_at, devices
        The exams of patients without a name because of it.
    regions
        What was irradiated in them.
    suggestions
        The likeliest first.
    """

    subject: str
    modality: str
    field: str
    text: str
    n_exams: int
    first_at: datetime | None
    last_at: datetime | None
    devices: tuple[str, ...]
    regions: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def best(self) -> Suggestion | None:
        """The likeliest procedure."""
        return self.suggestions[0] if self.suggestions else None


def find_waiting(con: Any, *, settings: Settings | None = None) -> tuple[WaitingName, ...]:
    """Every name that waits for a person, those of most exams first.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    settings
        Of the installation; by default this one.

    Notes
    -----
    Exams whose words and irradiated region disagree do not wait here: no name would be right
    for them; see `documentation_mismatches`. Phantoms need no name.
    """
    site = site_facts(con, settings or load_settings())
    groups: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in _unnamed(con):
        subject, field, text = _subject(row)
        if subject and site.mapped(subject, Modality(row["modality"])) is None:
            groups[row["modality"], subject].append({**row, "field": field, "text": text})
    known = {m: _known_names(con, m, site) for m in {modality for modality, _ in groups}}
    made = [_waiting(key, rows, known[key[0]]) for key, rows in groups.items()]
    return tuple(sorted(made, key=lambda w: (-w.n_exams, w.modality, w.subject)))


def waiting_names(con: Any, *, settings: Settings | None = None) -> pd.DataFrame:
    """The names that wait, as a table.

    Returns
    -------
    pandas.DataFrame
        ``name, modality, n_exams, perhaps, confidence, evidence, irradiated, devices, last_at,
        subject``; those of most exams first.
    """
    import pandas as pd

    columns = [
        "name", "modality", "n_exams", "perhaps", "confidence", "evidence", "irradiated",
        "devices", "last_at", "subject",
    ]  # fmt: skip
    rows = [
        (
            w.text, w.modality, w.n_exams, w.best and w.best.procedure_name,
            None if w.best is None else round(w.best.confidence, 2), w.best and w.best.evidence,
            ", ".join(w.regions) or None, ", ".join(w.devices), w.last_at, w.subject,
        )
        for w in find_waiting(con, settings=settings)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def find_name(names: Iterable[WaitingName], name: str, modality: str | None = None) -> WaitingName:
    """The waiting name somebody means by a text or code.

    Raises
    ------
    UsageError
        If nothing of this name waits, or it waits in several modalities and none was said.
    """
    known = list(names)
    key = text_key(name)
    found = [
        w
        for w in known
        if (w.subject == name or text_key(w.subject) == key or text_key(w.text) == key)
        and modality in (None, w.modality)
    ]
    if not found:
        hint = did_you_mean(name, [w.text for w in known]) if known else "Nothing waits"
        raise UsageError(f"no name {name!r} waits", todo=hint)
    if len(found) > 1:
        seen = ", ".join(w.modality for w in found)
        raise UsageError(f"{name!r} waits in {seen}", todo="Say which with --modality")
    return found[0]


_Row = Mapping[str, Any]


def _unnamed(con: Any) -> list[_Row]:
    """Exams of patients without a name, by their texts."""
    parts = con.table("part")
    parts = parts.filter(
        parts.is_patient.fill_null(True),
        parts.procedure_name.isnull(),
        parts.procedure_rule.isnull() | (parts.procedure_rule == WAITING),
    )
    devices = con.table("studies").select("part_key", "device")
    joined = parts.inner_join(devices, "part_key")
    by = ("modality", *_CODES, *_TEXTS, "nm_procedure", "protocol_names")
    grouped = joined.group_by(*by).aggregate(
        n=joined.count(),
        first_at=joined.started_at.min(),
        last_at=joined.started_at.max(),
        devices=joined.device.collect(distinct=True),
        regions=joined.body_region.collect(distinct=True),
        is_coded=(~joined.is_body_region_inferred.fill_null(True)).all(),
    )
    found: list[_Row] = grouped.to_pyarrow().to_pylist()
    return found


def _subject(row: _Row) -> tuple[str | None, str, str]:
    """What a decision about an exam would name: its code, its text, or its protocol."""
    for field in _CODES:
        code = _code(row[field])
        if code is not None and (key := code_key(code)):
            return key, field, code.meaning or key
    texts = [(f, _meaning(row[f])) for f in _MEANINGS]
    texts += [(f, row[f]) for f in _TEXTS]
    texts += [("nm_procedure", _meaning(row["nm_procedure"]))]
    texts += [("protocol_names", p) for p in row["protocol_names"] or () if not is_helper_name(p)]
    for field, text in texts:
        if text and text_key(text):
            return text_key(text), field, text
    return None, "", ""


def _code(value: Mapping[str, Any] | None) -> Code | None:
    return None if value is None else msgspec.convert(dict(value), Code)


def _meaning(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else value["meaning"]


def _waiting(key: tuple[str, str], rows: Sequence[_Row], known: Sequence[KnownName]) -> WaitingName:
    modality, subject = key
    most = max(rows, key=lambda r: int(r["n"]))
    regions = sorted({x for r in rows for x in r["regions"] or () if x})
    firsts = [r["first_at"] for r in rows if r["first_at"]]
    lasts = [r["last_at"] for r in rows if r["last_at"]]
    return WaitingName(
        subject=subject,
        modality=modality,
        field=most["field"],
        text=most["text"],
        n_exams=sum(int(r["n"]) for r in rows),
        first_at=min(firsts, default=None),
        last_at=max(lasts, default=None),
        devices=tuple(sorted({d for r in rows for d in r["devices"] or () if d})),
        regions=tuple(regions),
        suggestions=suggest_names(
            most["text"],
            Modality(modality),
            known=known,
            done_region=regions[0] if len(regions) == 1 else None,
            is_region_coded=all(r["is_coded"] for r in rows),
        ),
    )


def _known_names(con: Any, modality: str, site: SiteFacts) -> list[KnownName]:
    """Names of a modality whose exams are one procedure, and what the site's files say."""
    parts = con.table("part")
    parts = parts.filter(parts.modality == modality, parts.procedure_name.notnull())
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    columns = {name: parts[name] for name in _TEXTS}
    columns |= {f"{name}_meaning": parts[name]["meaning"] for name in _MEANINGS}
    columns["protocol"] = parts.protocol_names.unnest()
    for column in columns.values():
        pairs = parts.select(text=column, procedure_name=parts.procedure_name)
        grouped = pairs.filter(pairs.text.notnull()).group_by("text", "procedure_name")
        for row in grouped.aggregate(n=lambda t: t.count()).to_pyarrow().to_pylist():
            counted[row["text"]][row["procedure_name"]] += int(row["n"])
    found = []
    for text, names in counted.items():
        (name, n), total = names.most_common(1)[0], sum(names.values())
        if n >= _KNOWN_SHARE * total and not is_helper_name(text):
            found.append(KnownName(text, name, n))
    found += [
        KnownName(text, name, 0)
        for text, name in site.procedures.items()
        if name and "|" not in text and ":" not in text
    ]
    return found
