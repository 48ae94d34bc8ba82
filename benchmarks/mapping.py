"""Names and sizes on the simulated district: what is mapped without a person, and how well.

The truth is the simulator's: which procedure each exam was, whose exams are recorded as another
one, and the true water-equivalent diameter of every patient. Names are judged twice: as the
scenario writes them, and as five invented hospitals in five languages write them
(`tests/mapping/unseen.toml`, written down before they were shown to the mapping). The size is
set by ``DOSE_BENCH_DAYS`` (default 60 days, some 5,000 exams).
"""

from __future__ import annotations

import os
import statistics
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from dose_lib.derived import OtherStudy, measure_size
from dose_lib.normalise import (
    DISAGREEMENTS,
    KnownName,
    LearnedName,
    SiteFacts,
    catalogue,
    diagnostic_events,
    normalise_part,
    suggest_names,
    text_key,
)
from dose_lib.normalise.contrast import contrast_of_words
from dose_lib.records import Contrast, CtEvent, Modality, Part
from dose_lib.simulate import Exam, Hospital, load_scenario
from dose_lib.simulate.as_read import as_read
from dose_lib.simulate.population import Body, water_equivalent_diameter_cm
from dose_lib.simulate.procedures import CtProcedure

END = date(2026, 11, 20)
UNSEEN = Path(__file__).parents[1] / "tests" / "mapping" / "unseen.toml"
_KEY = b"benchmark of names and of sizes!"


class Case(NamedTuple):
    """One exam part with the truth about it."""

    part: Part
    exam: Exam
    procedure: str
    recorded: str


class Figures(NamedTuple):
    """Exams, those named without a person, and those of them that are right."""

    n: int
    accepted: int
    right: int
    wrong: Counter[tuple[str, str]]

    @property
    def coverage(self) -> float:
        """Share named without a person."""
        return self.accepted / max(self.n, 1)

    @property
    def precision(self) -> float:
        """Share of those that are right."""
        return self.right / max(self.accepted, 1)


def meanings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Names of the catalogue that are right for each procedure, and unseen names for it."""
    table: Mapping[str, Mapping[str, Sequence[str]]] = tomllib.loads(UNSEEN.read_text("utf-8"))
    return table


def cases(days: int, *, weights: bool = False) -> Iterator[Case]:
    """Exams of patients in the district; with `weights` nobody's weight is missing."""
    scenario = load_scenario("district")
    if weights:
        population = scenario.population.model_copy(update={"weight_missing_share": 0.0})
        scenario = scenario.model_copy(update={"population": population})
    spelt = {
        (d.alias, text): key
        for d in scenario.devices
        for key, words in d.procedures.items()
        for day in (0, -10_000)
        for text in (words.on(day).study, words.on(day).child_study)
    }
    for exam in Hospital(scenario, end=END, days=days).exams():
        truths = {t.kind: t for t in exam.truths}
        for report in exam.reports if exam.is_patient else ():
            part = as_read(report.part, exam.identity, _KEY, dialect=report.dialect)
            recorded = spelt[exam.device.alias, part.study_description]
            wrong = truths.get("wrong_documentation")
            yield Case(part, exam, (wrong and wrong.procedure) or recorded, recorded)


def with_names(case: Case, table: Mapping[str, Mapping[str, Sequence[str]]]) -> Part:
    """The exam as another hospital would have written it."""
    names = table[case.recorded]["names"]
    chance = Random(f"{case.part.part_key}")
    study = chance.choice(names)
    protocol = study if chance.random() < 0.5 else chance.choice(names)
    events = tuple(
        msgspec.structs.replace(e, acquisition_protocol=protocol)
        if isinstance(e, CtEvent) and e.acquisition_protocol != case.exam.device.localiser
        else e
        for e in case.part.events
    )
    return msgspec.structs.replace(
        case.part,
        study_description=study,
        requested_procedure=None,
        protocol_names=(protocol,),
        events=events,
    )


def is_doubted(part: Part) -> bool:
    """True where words and acquisitions disagree on region or length: a person is told."""
    return any(DISAGREEMENTS.get(i.code) in ("region", "length") for i in part.issues)


def judge(named: Sequence[tuple[Case, Part]]) -> Figures:
    """Coverage and precision over exams that were recorded as what they were."""
    table = meanings()
    n = accepted = right = 0
    wrong: Counter[tuple[str, str]] = Counter()
    for case, part in named:
        if case.procedure != case.recorded:
            continue
        n += 1
        if part.procedure_name is None or is_doubted(part):
            continue
        accepted += 1
        if part.procedure_name in table[case.procedure]["means"]:
            right += 1
        else:
            wrong[f"{part.study_description} | {part.protocol_names}", part.procedure_name] += 1
    return Figures(n, accepted, right, wrong)


class Flagged(NamedTuple):
    """Exams said to be documented wrongly, and those that are."""

    flagged: int
    true: int
    injected: int
    found: int


def judge_documentation(named: Sequence[tuple[Case, Part]]) -> Flagged:
    """Wrong documentation by exam: names that nearly always disagree are set apart."""
    doubted: dict[tuple[str, str | None], list[bool]] = defaultdict(list)
    for case, part in named:
        doubted[case.exam.device.alias, part.study_description].append(is_doubted(part))
    habits = {k for k, said in doubted.items() if sum(said) >= max(5, 0.5 * len(said))}
    flagged = true = injected = found = 0
    for case, part in named:
        is_wrong = case.procedure != case.recorded
        key = (case.exam.device.alias, part.study_description)
        says = is_doubted(part) and key not in habits
        flagged, true = flagged + says, true + (says and is_wrong)
        injected, found = injected + is_wrong, found + (is_wrong and is_doubted(part))
    return Flagged(flagged, true, injected, found)


def answer_by_person(
    named: Sequence[tuple[Case, Part]], answers: int
) -> tuple[SiteFacts, int, Counter[str]]:
    """Facts of the site after a person answered the most frequent names, and what was learned.

    Returns the facts, how many names were learned, and how many of them rightly or wrongly.
    """
    table = meanings()
    waiting: dict[tuple[str, str], list[Case]] = defaultdict(list)
    texts: dict[tuple[str, str], Part] = {}
    known: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for case, part in named:
        text = part.study_description or ""
        if part.procedure_name is None:
            waiting[part.modality.value, text_key(text)].append(case)
            texts[part.modality.value, text_key(text)] = part
        else:
            known[part.modality.value][text, part.procedure_name] += 1
    ranked = sorted(waiting, key=lambda k: (-len(waiting[k]), k))
    mapped = {f"{m}|{key}": _answer(table[waiting[m, key][0].recorded]["means"], m)
              for m, key in ranked[:answers]}  # fmt: skip
    for (modality, key), cases_of in ((k, waiting[k]) for k in ranked[:answers]):
        known[modality][key, mapped[f"{modality}|{key}"]] += len(cases_of)
    learned: dict[str, LearnedName] = {}
    verdict: Counter[str] = Counter()
    for modality, key in ranked[answers:]:
        part = texts[modality, key]
        found = suggest_names(
            part.study_description or "",
            Modality(modality),
            known=[KnownName(t, p, n) for (t, p), n in known[modality].items()],
            done_region=part.body_region,
            is_region_coded=part.is_body_region_inferred is False,
        )
        if found and found[0].confidence >= SiteFacts().accept_from:
            best = found[0]
            learned[f"{modality}|{key}"] = LearnedName(*best)
            means = table[waiting[modality, key][0].recorded]["means"]
            verdict["right" if best.procedure_name in means else "wrong"] += 1
    return SiteFacts("Europe/London", procedures=mapped, learned=learned), len(learned), verdict


def _answer(means: Sequence[str], modality: str) -> str:
    """What a person says of an exam part: the CT of a PET-CT is no PET."""
    return next((m for m in means if modality in catalogue()[m].modalities), means[0])


class PassFigures(NamedTuple):
    """Exams with nothing wrong, those said to have too many passes; made so, and found."""

    n: int
    false: int
    made: int
    found: int


def judge_passes(exams: Sequence[Case]) -> PassFigures:
    """Further passes that were coded as none, by scanners that state no contrast.

    Exams whose words say "without contrast" or "with contrast" get two or three more passes
    over the same place, a little shorter each; all others stay as they were made.
    """
    site = SiteFacts(timezone="Europe/London")
    n = false = made = found = 0
    for case in exams:
        part = _without_context(case.part)
        scans = [e for e in diagnostic_events(part) if isinstance(e, CtEvent)]
        if not scans:
            continue
        said = contrast_of_words([part.study_description or ""])
        further = {Contrast.WITHOUT: 2, Contrast.WITH: 3}.get(said) if said else None
        n += 1
        false += _has_passes(part, site)
        if further is not None:
            again = tuple(_repeated(scans[0], k) for k in range(1, further + 1))
            made += 1
            found += _has_passes(msgspec.structs.replace(part, events=(*part.events, *again)), site)
    return PassFigures(n, false, made, found)


def _without_context(part: Part) -> Part:
    silent = (
        msgspec.structs.replace(e, procedure_context=None) if isinstance(e, CtEvent) else e
        for e in part.events
    )
    return msgspec.structs.replace(part, events=tuple(silent), issues=())


def _repeated(event: CtEvent, k: int) -> CtEvent:
    at, length = event.started_at or datetime.min, event.scanning_length_mm or 0.0
    return msgspec.structs.replace(
        event,
        event_uid=f"{event.event_uid}.{k}",
        started_at=at + timedelta(seconds=40 * k),
        scanning_length_mm=length * (1 - 0.02 * k),
    )


def _has_passes(part: Part, site: SiteFacts) -> bool:
    issues = normalise_part(part, site).issues
    return any(i.code == "phases_disagree" and "pass" in str(i.seen) for i in issues)


class SizeFigures(NamedTuple):
    """Of one method: exams, and the errors of the diameter against the true one, cm."""

    method: str
    n: int
    bias_cm: float
    median_error_cm: float
    p90_error_cm: float


def judge_sizes(days: int) -> tuple[list[SizeFigures], int]:
    """Diameter of the trunk by method against the truth; returns also how many exams there are."""
    scenario = load_scenario("district")
    regions = {p.key: p.region for p in scenario.procedures if isinstance(p, CtProcedure)}
    truths = {c.part.part_key: _true_mm(c, regions) for c in cases(days, weights=True)}
    rows = [c for c in cases(days) if c.part.modality is Modality.CT]
    weights: dict[str, list[OtherStudy]] = defaultdict(list)
    for case in rows:
        patient, at = case.part.patient, case.part.started_at
        if patient.weight_kg and patient.patient_key and at:
            weights[patient.patient_key].append(
                OtherStudy(at, patient.weight_kg, patient.height_cm)
            )
    errors: dict[str, list[float]] = defaultdict(list)
    site = SiteFacts(timezone="Europe/London")
    n = 0
    for case in rows:
        true = truths.get(case.part.part_key)
        if true is None:
            continue
        n += 1
        part = normalise_part(case.part, site)
        others = [] if part.patient.weight_kg else weights[part.patient.patient_key or ""]
        size = measure_size(part, others)
        method = "none" if size.method is None else size.method.value
        errors[method].append(0.0 if size.diameter_mm is None else (size.diameter_mm - true) / 10)
    return [_figures(m, e) for m, e in sorted(errors.items(), key=lambda r: -len(r[1]))], n


def _true_mm(case: Case, regions: Mapping[str, str]) -> float | None:
    """True diameter of the trunk; None for heads and other modalities."""
    region = regions.get(case.procedure)
    patient = case.part.patient
    known = patient.weight_kg and patient.height_cm and patient.age_y is not None and patient.sex
    if region in (None, "head", "neck", "spine") or not known:
        return None
    body = Body(
        age_y=patient.age_y or 0.0, sex=str(patient.sex), weight_kg=patient.weight_kg or 0.0,
        height_cm=patient.height_cm or 0.0,
    )  # fmt: skip
    return 10.0 * water_equivalent_diameter_cm(str(region), body)


def _figures(method: str, errors: Sequence[float]) -> SizeFigures:
    absolute = sorted(abs(e) for e in errors)
    return SizeFigures(
        method,
        len(errors),
        statistics.fmean(errors),
        statistics.median(absolute),
        absolute[int(0.9 * (len(absolute) - 1))],
    )


def main() -> None:
    """Print the figures."""
    days = int(os.environ.get("DOSE_BENCH_DAYS", "60"))
    began = datetime.now()
    site = SiteFacts(timezone="Europe/London")
    seen = list(cases(days))
    print(f"{days} days of the district, {len(seen):,} exam parts of patients")
    as_written = [(c, normalise_part(c.part, site)) for c in seen]
    _print("names of the scenario", judge(as_written))
    table = meanings()
    unseen = [(c, with_names(c, table)) for c in seen]
    named = [(c, normalise_part(p, site)) for c, p in unseen]
    _print("names never seen", judge(named))
    for answers in (10, 20, 40):
        facts, n, verdict = answer_by_person(named, answers)
        again = [(c, normalise_part(p, facts)) for c, p in unseen]
        _print(f"... after {answers} answers, {n} learned {dict(verdict)}", judge(again))
    told = judge_documentation(as_written)
    print(
        f"wrong documentation: {told.flagged} exams flagged, {told.true} rightly; "
        f"{told.found} of {told.injected} injected found"
    )
    passes = judge_passes(seen)
    print(
        f"further passes: {passes.found} of {passes.made} found, {passes.false} said of "
        f"{passes.n:,} exams with nothing wrong"
    )
    sizes, n = judge_sizes(days)
    print(f"size of {n:,} trunks by method: share, bias, median and 90th percentile of the error")
    for row in sizes:
        print(
            f"  {row.method:18} {row.n / n:6.1%} {row.bias_cm:+6.2f} cm {row.median_error_cm:6.2f}"
            f" cm {row.p90_error_cm:6.2f} cm"
        )
    print(f"{(datetime.now() - began).total_seconds():.0f} s")


def _print(what: str, found: Figures) -> None:
    print(
        f"{what}: {found.coverage:.1%} of {found.n:,} named without a person, "
        f"{found.precision:.2%} of them rightly"
    )
    for (text, name), n in found.wrong.most_common(8):
        print(f"    {n:4} × {text} → {name}")
