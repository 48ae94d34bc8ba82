"""What the question box knows: curated words, the site's own, and the names in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from dose_lib.errors import SettingsError, did_you_mean
from dose_lib.questions.quantities import QUANTITY_WORDS
from dose_lib.questions.text import NUMBERS, stem, words_of
from dose_lib.questions.times import TIME_WORDS

Phrase = tuple[str, ...]
NAMED = ("device", "operator", "site", "manufacturer", "procedure")
# kinds whose YAML entry is value -> phrases
_BY_VALUE = (
    *("measure", "stand_in", "statistic", "modality", "body_region", "procedure", "dimension"),
    *("step", "grain", "chart", "level", "earlier", "sex", "edit", "slot_names", "not_offered"),
)
# kinds whose YAML entry is a list of phrases
_PLAIN = (
    *("default_statistic", "picture", "level_pairs", "compare", "over", "desc", "asc", "rank"),
    *("group", "which", "who", "exam", "domain", "patient"),
)
_MOST_ALIASES = 400


@dataclass(frozen=True, slots=True)
class Meaning:
    """One sense of a phrase: kind (slot or cue) and value within it."""

    kind: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class StoreValues:
    """Names that exist in the store; read at start, never guessed.

    `modality_of` gives the modalities of a device.
    """

    device: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    manufacturer: tuple[str, ...] = ()
    procedure: tuple[str, ...] = ()
    modality_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def names(self) -> Iterator[tuple[str, str]]:
        """(slot, name) of every value."""
        for slot in NAMED:
            for name in getattr(self, slot):
                yield slot, name


@dataclass(frozen=True)
class Vocabulary:
    """Phrases with their meanings, and what hangs on the names of the store."""

    phrases: Mapping[Phrase, tuple[Meaning, ...]]
    values: StoreValues
    filler: frozenset[str]
    titles: frozenset[str]
    brands: frozenset[str]
    given_names: frozenset[str]
    stems: Mapping[Phrase, Mapping[str, tuple[str, ...]]]
    typo_first: frozenset[str]

    @cached_property
    def longest(self) -> int:
        """Words of the longest phrase."""
        return max(len(p) for p in self.phrases)

    @cached_property
    def words(self) -> frozenset[str]:
        """Every single word the box knows, as stems."""
        own = {w for phrase in self.phrases for w in phrase}
        grammar = {stem(w) for w in (*TIME_WORDS, *QUANTITY_WORDS, *NUMBERS)}
        return frozenset(own | grammar | {stem(w) for w in self.filler | self.titles})

    @cached_property
    def correctable(self) -> tuple[str, ...]:
        """Words a typing error may be mended to."""
        return tuple(sorted(w for w in self.words if len(w) > 3 and w.isalpha()))

    @cached_property
    def digest(self) -> str:
        """Twelve digits that change with any word: kept with saved questions."""
        text = repr(sorted((p, repr(m)) for p, m in self.phrases.items()))
        return sha256(text.encode()).hexdigest()[:12]

    def meanings(self, phrase: Phrase) -> tuple[Meaning, ...]:
        """Senses of a phrase of stems."""
        return self.phrases.get(phrase, ())

    def is_name(self, word: str) -> bool:
        """True for a given name."""
        return word in self.given_names


def load_vocabulary(
    values: StoreValues | None = None, *, site_file: Path | None = None
) -> Vocabulary:
    """The packaged words, the site's additions and the names of the store as one vocabulary.

    Parameters
    ----------
    values
        Names in the store.
    site_file
        `<home>/site/vocabulary.yaml`; may be absent.

    Raises
    ------
    SettingsError
        If the site's file cannot be read or has an unknown section.
    """
    values = values or StoreValues()
    raw = _packaged()
    own = _read_site(site_file) if site_file and site_file.is_file() else {}
    found: dict[Phrase, list[Meaning]] = {}
    _add_curated(found, raw)
    stems = _add_names(found, values, raw)
    mine: dict[Phrase, list[Meaning]] = {}
    _add_curated(mine, own)
    _add_site_names(mine, own)
    found.update(mine)
    return Vocabulary(
        phrases={p: tuple(dict.fromkeys(m)) for p, m in found.items() if p},
        values=values,
        filler=frozenset(w for w in str(raw["filler"]).split()) | frozenset("stdlm"),
        titles=frozenset(raw["titles"]),
        brands=frozenset(raw["brands"]),
        given_names=_given_names(),
        stems=stems,
        typo_first=frozenset(raw["typo_first"]),
    )


@lru_cache(maxsize=1)
def _packaged() -> dict[str, Any]:
    text = files("dose_lib.questions").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@lru_cache(maxsize=1)
def _given_names() -> frozenset[str]:
    text = files("dose_lib.questions").joinpath("names.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(w for line in lines for w in line.split())


def _read_site(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"the vocabulary cannot be read ({error})", expected="YAML", where=str(file)
        ) from None
    known = {*_BY_VALUE, *_PLAIN, *NAMED, "combined", "group_of_patients"}
    if not isinstance(found, dict):
        raise SettingsError(
            "the vocabulary is no mapping", expected="sections with phrases", where=str(file)
        )
    for section in found:
        if section not in known:
            raise SettingsError(
                f"unknown section {section!r}",
                where=str(file),
                todo=did_you_mean(str(section), known),
            )
    return found


def _add(found: dict[Phrase, list[Meaning]], phrase: object, meaning: Meaning) -> None:
    key = words_of(str(phrase))
    if key and meaning not in found.setdefault(key, []):
        found[key].append(meaning)


def _add_curated(found: dict[Phrase, list[Meaning]], raw: Mapping[str, Any]) -> None:
    for kind in _BY_VALUE:
        for value, phrases in (raw.get(kind) or {}).items():
            for phrase in phrases:
                _add(found, phrase, Meaning(kind, value))
    for kind in _PLAIN:
        for phrase in raw.get(kind) or ():
            _add(found, phrase, Meaning(kind))
    for brand in raw.get("brands") or ():
        _add(found, brand, Meaning("brand", brand))
    _add_combined(found, raw)


def _add_combined(found: dict[Phrase, list[Meaning]], raw: Mapping[str, Any]) -> None:
    """Phrases that set several slots, and groups of patients with their number."""
    for entry in raw.get("combined") or ():
        for phrase in entry["phrases"]:
            for slot in entry.keys() - {"phrases"}:
                _add(found, phrase, Meaning(slot, entry[slot]))
    for entry in raw.get("group_of_patients") or ():
        given = entry["value"]
        value = tuple(given) if isinstance(given, list) else given
        for phrase in entry["phrases"]:
            _add(found, phrase, Meaning("patients", (entry["field"], entry["op"], value)))


def _add_site_names(found: dict[Phrase, list[Meaning]], own: Mapping[str, Any]) -> None:
    for slot in ("device", "operator", "site", "manufacturer"):
        for value, phrases in (own.get(slot) or {}).items():
            for phrase in phrases:
                _add(found, phrase, Meaning(slot, (value,)))


def _add_names(
    found: dict[Phrase, list[Meaning]], values: StoreValues, raw: Mapping[str, Any]
) -> dict[Phrase, dict[str, tuple[str, ...]]]:
    alike = _alike(raw)
    numbers = tuple(raw["number_words"])
    stems: dict[Phrase, dict[str, tuple[str, ...]]] = {}
    owners: dict[tuple[str, Phrase], list[str]] = {}
    for name in values.device:
        for phrase in _device_phrases(name, alike, numbers):
            owners.setdefault(("device", phrase), []).append(name)
        _add_stems(stems, name, alike)
    for name in values.site:
        for phrase in _variants(words_of(name), alike):
            owners.setdefault(("site", phrase), []).append(name)
    for name in values.operator:
        for phrase in _operator_phrases(name):
            owners.setdefault(("operator", phrase), []).append(name)
    for name in values.manufacturer:
        for phrase in _brand_phrases(name, raw):
            owners.setdefault(("manufacturer", phrase), []).append(name)
    for (slot, phrase), names in owners.items():
        exact = tuple(n for n in names if words_of(n) == phrase) or tuple(dict.fromkeys(names))
        found.setdefault(phrase, []).insert(0, Meaning(slot, exact))
    _add_groups(found, stems)
    _add_procedures(found, values, raw)
    return stems


def _alike(raw: Mapping[str, Any]) -> dict[Phrase, tuple[Phrase, ...]]:
    table: dict[Phrase, tuple[Phrase, ...]] = {}
    for group in raw["alike"]:
        keys = tuple(dict.fromkeys(words_of(str(w)) for w in group))
        table.setdefault(keys[0], keys)
    return table


def _variants(words: Phrase, alike: Mapping[Phrase, tuple[Phrase, ...]]) -> set[Phrase]:
    """All ways to write a name by swapping parts that mean the same."""
    choices: list[tuple[Phrase, ...]] = []
    place = 0
    while place < len(words):
        for size in (3, 2, 1):
            part = words[place : place + size]
            if len(part) == size and (part in alike or size == 1):
                choices.append(alike.get(part, (part,)))
                place += size
                break
    found = set()
    for number, combination in enumerate(product(*choices)):
        if number >= _MOST_ALIASES:
            break
        found.add(tuple(w for part in combination for w in part))
    return found | {words}


def _suffix(words: Phrase) -> str | None:
    """The number or single letter a numbered name ends with."""
    if len(words) > 1 and (words[-1].isdigit() or len(words[-1]) == 1):
        return words[-1]
    return None


def _device_phrases(
    name: str, alike: Mapping[Phrase, tuple[Phrase, ...]], numbers: tuple[str, ...]
) -> set[Phrase]:
    words = words_of(name)
    suffix = _suffix(words)
    if suffix is None:
        return _variants(words, alike)
    ends: list[Phrase] = [(suffix,), *((words_of(n)[0], suffix) for n in numbers if words_of(n))]
    ends += [(word,) for word, n in NUMBERS.items() if str(n) == suffix]
    if suffix == "1":
        ends.append(("one",))
    return {(*v, *e) for v in _variants(words[:-1], alike) for e in ends}


def _add_stems(
    stems: dict[Phrase, dict[str, tuple[str, ...]]],
    name: str,
    alike: Mapping[Phrase, tuple[Phrase, ...]],
) -> None:
    words = words_of(name)
    suffix = _suffix(words)
    if suffix is None:
        return
    for variant in _variants(words[:-1], alike):
        known = stems.setdefault(variant, {})
        known[suffix] = (*known.get(suffix, ()), name)


def _operator_phrases(name: str) -> set[Phrase]:
    words = words_of(name)
    found = {words}
    surnames = [w for w in words if len(w) > 2]
    if len(surnames) >= 1 and all(w.isalpha() for w in words):
        found.add((surnames[-1],))
    return found


def _brand_phrases(name: str, raw: Mapping[str, Any]) -> set[Phrase]:
    words = words_of(name)
    brands = [words_of(str(b)) for b in raw["brands"]]
    short = {b for b in brands if b == words[: len(b)] or (len(b) == 1 and b[0] in words)}
    return {words} | short


def _add_groups(
    found: dict[Phrase, list[Meaning]], stems: Mapping[Phrase, Mapping[str, tuple[str, ...]]]
) -> None:
    """“the cath labs”: all devices of a numbered family, unless the word means more than them."""
    for phrase, members in stems.items():
        if any(m.kind in ("dimension", "modality") for m in found.get(phrase, ())):
            continue
        if phrase[0] != "cath" and _is_modality(found, phrase):
            continue  # "mammography units" is a modality and a dimension
        names = tuple(sorted({n for owners in members.values() for n in owners}))
        known = found.setdefault(phrase, [])
        known.insert(0, Meaning("device_group", names))


def _is_modality(found: Mapping[Phrase, list[Meaning]], phrase: Phrase) -> bool:
    return any(m.kind == "modality" for size in (1, 2) for m in found.get(phrase[:size], ()))


def _add_procedures(
    found: dict[Phrase, list[Meaning]], values: StoreValues, raw: Mapping[str, Any]
) -> None:
    plain = {
        (*words_of(m), *words_of(r.replace("-", " ")))
        for m in raw["modality"]
        for r in raw["body_region"]
        if r != "chest-abdomen-pelvis"
    }
    for name in values.procedure:
        words = words_of(name)
        if words in plain:  # modality and region say the same; those are the slots
            continue
        ways = {words}
        if words and words[0] == "ct":
            ways.add((*words[1:], "ct"))
        for phrase in ways:
            known = found.setdefault(phrase, [])
            if not any(m.kind == "procedure" for m in known):
                known.insert(0, Meaning("procedure", name))


def packaged_values(slot: str) -> set[str]:
    """Values of a slot in our own words, none of them out of a DICOM file."""
    return {str(v) for v in _packaged()[slot]}


def read_values(tables: Any, *, limit: int = 5000) -> StoreValues:
    """Names in the `studies` view of an ibis backend.

    Parameters
    ----------
    tables
        What `dose_lib.connect()` gives.
    limit
        Most names read for one slot.
    """
    studies = tables.table("studies")
    columns = {
        "device": "device",
        "operator": "operator",
        "site": "site",
        "manufacturer": "manufacturer",
        "procedure": "procedure_name",
    }
    found: dict[str, Any] = {}
    for slot, column in columns.items():
        expression = studies.select(name=studies[column].cast("string")).distinct().limit(limit)
        names: Iterable[str | None] = expression.to_pyarrow()["name"].to_pylist()
        found[slot] = tuple(sorted({n for n in names if n}))
    pairs = studies.select("device", "modality").distinct().limit(limit).to_pyarrow().to_pylist()
    modalities: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        if pair["device"] and pair["modality"]:
            modalities[pair["device"]] = (*modalities.get(pair["device"], ()), pair["modality"])
    return StoreValues(**found, modality_of=modalities)
