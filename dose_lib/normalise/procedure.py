"""From the names of an exam to its canonical procedure, with the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dose_lib.normalise.catalogue import Match, catalogue, match_text
from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.lexicon import read_text
from dose_lib.normalise.regions import combine, components, is_same_place, region_of_code
from dose_lib.normalise.site import SiteFacts
from dose_lib.normalise.text import fold_text
from dose_lib.records import Code, CtEvent, Issue, Modality, Part, Severity, XRayEvent


class Evidence(NamedTuple):
    """Why a name was given: which field said what, by which rule."""

    field: str
    text: str
    rule: str
    because: tuple[str, ...] = ()


class Naming(NamedTuple):
    """Procedure and body region of an exam part, with evidence and disagreements.

    `confidence` is 1 for the site's own mapping, 0.99 for words all understood, 0.9 with
    unknown words or a mended slip; 0 without a name.
    """

    procedure_name: str | None
    body_region: str | None
    is_region_inferred: bool | None
    contrast: str | None
    confidence: float
    evidence: tuple[Evidence, ...]
    issues: tuple[Issue, ...]


class _Said(NamedTuple):
    name: str
    region: str | None
    confidence: float
    evidence: Evidence


def name_part(part: Part, site: SiteFacts) -> Naming:
    """What was done in an exam part.

    Parameters
    ----------
    part
        The part as read.
    site
        The site's own mappings; they win over every rule.

    Returns
    -------
    Naming
        `procedure_name` is None where nothing says it clearly: a name is never guessed.

    Notes
    -----
    Order of what is believed: the site's mapping (of a code or of a text), the procedure
    code and the requested procedure, the study description, the step description, then the
    protocol names of the diagnostic events. A name whose region lies nowhere in what was
    irradiated (coded target regions, protocol names) is dropped and leaves an issue: such
    disagreement causes most false alerts.
    """
    said = next(_all_said(part, site), None)
    done, is_coded = _done_region(part)
    contrast = _contrast(part)
    if said is None:
        region = done
        inferred = None if region is None else not is_coded
        return Naming(None, region, inferred, contrast, 0.0, (), ())
    if done is not None and said.region is not None and not is_same_place(said.region, done):
        issue = _disagreement(said, done)
        return Naming(None, done, not is_coded, contrast, 0.0, (said.evidence,), (issue,))
    region, inferred = _region(said.region, done, is_coded=is_coded)
    issues = _excess(said, done)
    return Naming(said.name, region, inferred, contrast, said.confidence, (said.evidence,), issues)


def _all_said(part: Part, site: SiteFacts) -> Iterator[_Said]:
    yield from _by_site(part, site)
    for field, text in _texts(part):
        if match := match_text(text, part.modality):
            yield _of_match(field, text, match)
    yield from _by_protocols(part)


def _by_site(part: Part, site: SiteFacts) -> Iterator[_Said]:
    keys = [("procedure_code", c) for c in _code_texts(part)]
    keys += [(f, fold_text(t).strip()) for f, t in _texts(part)]
    keys += [("protocol_names", fold_text(t).strip()) for t in part.protocol_names]
    for field, key in keys:
        if name := site.procedures.get(key):
            entry = catalogue().get(name)
            region = entry.region if entry else site.regions.get(name)
            yield _Said(name, region, 1.0, Evidence(field, key, "site mapping"))


def _code_texts(part: Part) -> Iterator[str]:
    for code in (part.procedure_code, part.requested_procedure):
        if code and code.value:
            yield f"{code.scheme or ''}:{code.value}"


def _meaning(code: Code | None) -> str | None:
    return code.meaning if code else None


def _texts(part: Part) -> tuple[tuple[str, str], ...]:
    rows = (
        ("procedure_code", _meaning(part.procedure_code)),
        ("requested_procedure", _meaning(part.requested_procedure)),
        ("study_description", part.study_description),
        ("performed_procedure_step_description", part.performed_procedure_step_description),
    )
    return tuple((field, text) for field, text in rows if text)


def _of_match(field: str, text: str, match: Match) -> _Said:
    sure = not match.unknown and not match.is_mended
    evidence = Evidence(field, text, "words", match.because)
    return _Said(match.procedure.name, match.procedure.region, 0.99 if sure else 0.9, evidence)


def _protocols(part: Part) -> tuple[str, ...]:
    if part.modality != Modality.CT or not part.events:
        return part.protocol_names
    names = (e.acquisition_protocol for e in diagnostic_events(part))
    return tuple(dict.fromkeys(n for n in names if n))


def _by_protocols(part: Part) -> Iterator[_Said]:
    """One procedure by all protocols: the same one, or the one their names make together."""
    names = _protocols(part)
    matches = [m for n in names if (m := match_text(n, part.modality))]
    if len({m.procedure.name for m in matches}) == 1:
        yield _of_match("protocol_names", " + ".join(names), matches[0])
    elif len(names) > 1 and (match := match_text(" ".join(names), part.modality)):
        yield _of_match("protocol_names", " + ".join(names), match)


def _done_region(part: Part) -> tuple[str | None, bool]:
    """Region that was irradiated: by coded target regions, else by the protocols' names."""
    coded = [r for e in _imaging(part) if (r := region_of_code(_target(e)))]
    if coded:
        return combine(coded), True
    said = [m.procedure.region for n in _protocols(part) if (m := match_text(n, part.modality))]
    return combine(r for r in said if r), False


def _imaging(part: Part) -> Iterable[CtEvent | XRayEvent]:
    if part.modality == Modality.CT:
        return diagnostic_events(part)
    return part.events


def _target(event: CtEvent | XRayEvent) -> Code | None:
    if isinstance(event, XRayEvent):
        return event.target_region or event.anatomical_structure
    return None if event.is_target_region_inferred else event.target_region


def _region(
    said: str | None, done: str | None, *, is_coded: bool
) -> tuple[str | None, bool | None]:
    """Region of the exam: scanners code one region for a long scan, so the wider one counts.

    A name more exact than the code (heart in a chest scan, spine in an abdomen scan) wins.
    """
    if done is None or said is None:
        region = said or done
        return region, None if region is None else not (said is None and is_coded)
    if components(said) < components(done):
        return done, not is_coded
    return said, not (is_coded and said == done)


def _disagreement(said: _Said, done: str) -> Issue:
    return Issue(
        code="procedure_disagrees",
        severity=Severity.WARNING,
        where=said.evidence.field,
        seen=f"{said.name} by {said.evidence.field}, {done} irradiated",
        message="What was coded lies nowhere in what was irradiated; the exam has no procedure "
        "name until someone maps or corrects it.",
        rule="normalise.procedure",
    )


def _excess(said: _Said, done: str | None) -> tuple[Issue, ...]:
    more = components(done or "") - components(said.region or "")
    if said.region is None or not more or "heart" in more or "spine" in components(said.region):
        return ()
    message = "More was irradiated than the coded procedure names; its dose is not comparable."
    return (
        Issue(
            code="more_done_than_coded",
            severity=Severity.INFO,
            where=said.evidence.field,
            seen=f"{said.name} by {said.evidence.field}, {done} irradiated",
            message=message,
            rule="normalise.procedure",
        ),
    )


def _contrast(part: Part) -> str | None:
    """``with``, ``without`` or ``both`` by the texts of the exam; None if they don't say."""
    words = (c for _, text in _texts(part) for c in read_text(text).of_kind("weak"))
    said = {c.removeprefix("contrast_") for c in words if c.startswith("contrast_")}
    if "both" in said or said == {"with", "without"}:
        return "both"
    return said.pop() if said else None
