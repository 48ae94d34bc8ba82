"""From the names of an exam to its canonical procedure, with the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dose_lib.normalise.agreement import Coded, disagreement, disagreements
from dose_lib.normalise.catalogue import Match, catalogue, match_text
from dose_lib.normalise.contrast import read_contrast
from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.projection import projections_of
from dose_lib.normalise.regions import combine, components, is_same_place, region_of_code
from dose_lib.normalise.site import SiteFacts
from dose_lib.normalise.texts import PROTOCOLS, Wording, agents, codes_of, protocols, wordings
from dose_lib.records import (
    Code,
    Contrast,
    CtEvent,
    Issue,
    Modality,
    Part,
    XRayEvent,
)

BY_SITE, BY_WORDS, BY_EVENTS, LEARNED = "site mapping", "words", "events", "learned"
WAITING = "waiting"  # the rule of a part whose name waits for a person
SURE, CONFIRMED, UNSURE = 0.99, 0.97, 0.9


class Evidence(NamedTuple):
    """Why a name was given: which field said what, by which rule."""

    field: str
    text: str
    rule: str
    because: tuple[str, ...] = ()

    def in_words(self) -> str:
        """One line for a report."""
        words = f" ({', '.join(self.because)})" if self.because else ""
        return f"{self.field}: '{self.text}'{words}"


class Naming(NamedTuple):
    """Procedure and body region of an exam part, with evidence and disagreements.

    `confidence` is 1 for the site's own mapping, 0.99 for words all understood, 0.97 where
    another field confirms a text with unknown words or a mended slip, 0.9 for such a text alone,
    that of the learned name for those; 0 without a name. `proposal` is the name that waits for
    a person because its confidence is below what the site accepts.
    """

    procedure_name: str | None
    body_region: str | None
    is_region_inferred: bool | None
    contrast: Contrast | None
    confidence: float
    evidence: tuple[Evidence, ...]
    issues: tuple[Issue, ...]
    proposal: str | None = None


class _Said(NamedTuple):
    """A name that something says; without a name, the site wants it to have none."""

    name: str | None
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
        The site's own mappings, which win over every rule, and its learned names.

    Returns
    -------
    Naming
        `procedure_name` is None where nothing says it clearly: a name is never guessed.

    Notes
    -----
    Order of what is believed: the site's mapping (of a code or of a text), the procedure
    code and the requested procedure, the study description, the step description, the
    protocol names of the diagnostic events, the projections or agents, then what was learned
    from this site's names. Of these the first that is sure enough for the site counts; if none
    is, the first waits for a person. A name whose region lies nowhere in what was irradiated (coded
    target regions, protocol names) is dropped and leaves an issue: such disagreement causes
    most false alerts.
    """
    said = _believed(list(_all_said(part, site)), site.accept_from)
    done, is_coded = _done_region(part)
    contrast = read_contrast(part, (w.text for w in wordings(part)))
    if said is None or said.name is None or said.confidence < site.accept_from:
        inferred = None if done is None else not is_coded
        why = () if said is None else (said.evidence,)
        proposal, sure = (None, 0.0) if said is None else (said.name, said.confidence)
        return Naming(None, done, inferred, contrast, sure if proposal else 0.0, why, (), proposal)
    if done is not None and said.region is not None and not is_same_place(said.region, done):
        issue = disagreement(_coded(said), done)
        return Naming(None, done, not is_coded, contrast, 0.0, (said.evidence,), (issue,))
    region, inferred = _region(said.region, done, is_coded=is_coded)
    issues = disagreements(part, _coded(said), done, [w.text for w in wordings(part)])
    return Naming(said.name, region, inferred, contrast, said.confidence, (said.evidence,), issues)


def _coded(said: _Said) -> Coded:
    return Coded(said.name or "", said.region, said.evidence.field)


def _believed(said: list[_Said], accept_from: float) -> _Said | None:
    """The first that is sure enough; if none is, the first."""
    confirmed = [_confirmed(s, said) for s in said]
    sure = (s for s in confirmed if s.confidence >= accept_from)
    return next(sure, next(iter(confirmed), None))


def _confirmed(said: _Said, all_said: list[_Said]) -> _Said:
    """A text with unknown words counts more where one understood in full says the same."""
    if said.confidence >= CONFIRMED or said.evidence.rule != BY_WORDS:
        return said
    for other in all_said:
        if other.name == said.name and other.confidence >= SURE:
            also = f"confirmed by {other.evidence.field} '{other.evidence.text}'"
            evidence = said.evidence._replace(because=(*said.evidence.because, also))
            return said._replace(confidence=CONFIRMED, evidence=evidence)
    return said


def _all_said(part: Part, site: SiteFacts) -> Iterator[_Said]:
    yield from _by_site(part, site)
    for wording in wordings(part):
        if match := match_text(wording.text, part.modality):
            said = _of_match(wording.field, wording.text, match)
            yield _more_exact(said, part)
    yield from _by_protocols(part)
    yield from _by_projections(part)
    for wording in agents(part):
        if match := match_text(wording.text, part.modality):
            yield _of_match(wording.field, wording.text, match)
    yield from _by_learning(part, site)


def _by_site(part: Part, site: SiteFacts) -> Iterator[_Said]:
    rows = [(w.field, w.text) for w in codes_of(part)]
    rows += [(w.field, w.key) for w in _all_wordings(part)]
    for field, key in rows:
        name = site.mapped(key, part.modality)
        if name is not None:
            region = site.region_of(name)
            yield _Said(name or None, region, 1.0, Evidence(field, key, BY_SITE))


def _all_wordings(part: Part) -> tuple[Wording, ...]:
    return (*wordings(part), *(Wording(PROTOCOLS, p) for p in part.protocol_names))


def _of_match(field: str, text: str, match: Match) -> _Said:
    sure = not match.unknown and not match.is_mended
    evidence = Evidence(field, text, BY_WORDS, match.because)
    return _Said(match.procedure.name, match.procedure.region, SURE if sure else UNSURE, evidence)


def _by_protocols(part: Part) -> Iterator[_Said]:
    """One procedure by all protocols: the same one, or the one their names make together."""
    names = protocols(part)
    matches = [m for n in names if (m := match_text(n, part.modality))]
    if len({m.procedure.name for m in matches}) == 1:
        # The one that is understood best speaks for all, whatever ran first.
        surest = min(matches, key=lambda m: (bool(m.unknown), m.is_mended))
        yield _of_match(PROTOCOLS, " + ".join(names), surest)
    elif len(names) > 1 and (match := match_text(" ".join(names), part.modality)):
        yield _of_match(PROTOCOLS, " + ".join(names), match)


def _by_projections(part: Part) -> Iterator[_Said]:
    """A radiograph by its exposures, where all of them are known."""
    if part.modality is not Modality.DX:
        return
    taken = projections_of(part)
    if not taken or None in taken:
        return
    name = _name_of(frozenset(p for p in taken if p))
    if name is not None:
        text = " + ".join(dict.fromkeys(p for p in taken if p))
        evidence = Evidence("events", text, BY_EVENTS)
        yield _Said(name, catalogue()[name].region, SURE, evidence)


def _name_of(taken: frozenset[str]) -> str | None:
    """Procedure of a set of projections: the one it is, or that of their body part."""
    if taken == {"Chest PA", "Chest LAT"}:
        return "Chest PA and LAT"
    if len(taken) == 1 and (only := next(iter(taken))) in catalogue():
        return only
    parts = {p.rpartition(" ")[0] for p in taken}
    part = parts.pop() if len(parts) == 1 else None
    return part if part in catalogue() else None


def _more_exact(said: _Said, part: Part) -> _Said:
    """Chest and one exposure from behind is Chest PA: the events know the views."""
    if part.modality is not Modality.DX or said.name is None:
        return said
    found = next(_by_projections(part), None)
    if found is None or found.name is None or not found.name.startswith(f"{said.name} "):
        return said
    evidence = said.evidence
    because = (*evidence.because, f"exposures {found.evidence.text}")
    return said._replace(name=found.name, evidence=evidence._replace(because=because))


def _by_learning(part: Part, site: SiteFacts) -> Iterator[_Said]:
    for wording in _all_wordings(part):
        learned = site.learned_name(wording.key, part.modality)
        if learned is not None:
            evidence = Evidence(wording.field, wording.text, LEARNED, (learned.evidence,))
            region = site.region_of(learned.procedure_name)
            yield _Said(learned.procedure_name, region, learned.confidence, evidence)


def _done_region(part: Part) -> tuple[str | None, bool]:
    """Region that was irradiated: by coded target regions, else by the protocols' names."""
    coded = [r for e in _imaging(part) if (r := region_of_code(_target(e)))]
    if coded:
        return combine(coded), True
    said = [m.procedure.region for n in protocols(part) if (m := match_text(n, part.modality))]
    return combine(r for r in said if r), False


def _imaging(part: Part) -> Iterable[CtEvent | XRayEvent]:
    if part.modality is Modality.CT:
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
