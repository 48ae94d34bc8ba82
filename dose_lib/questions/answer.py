"""The answer to a question: what was understood, table, picture, SQL, and how to go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dose_lib.errors import QuestionError, UsageError, did_you_mean
from dose_lib.questions import view
from dose_lib.questions.audit import Entry, write_entry
from dose_lib.questions.compile import Limits, run
from dose_lib.questions.gate import Gate
from dose_lib.questions.model import Model, read_with_model
from dose_lib.questions.parser import Interpretation, interpret
from dose_lib.questions.period import Period
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reading import Origin
from dose_lib.questions.refusals import Refusal, ask_back
from dose_lib.questions.result import Result
from dose_lib.questions.vocabulary import NAMED, Vocabulary, load_vocabulary, read_values
from dose_lib.questions.words import Chip, chips, plain, sentence
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.reference import Level

DAY_FIRST_NOT = ("US",)  # where 01/09 is the ninth of January
_FRESH_S = 30.0  # names of the store are read again after this


@dataclass(frozen=True)
class Desk:
    """What a question is answered with: store, words, levels, settings, model."""

    con: Any
    settings: Settings
    vocabulary: Vocabulary
    levels: tuple[Level, ...]
    model: Model | None = None
    is_shared: bool = False

    @property
    def limits(self) -> Limits:
        """What the settings ask of tables and pictures."""
        return Limits(
            small_cell_n=self.settings.small_cell_n,
            minimum_n=self.settings.minimum_n,
            child_age_y=self.settings.child_age_y,
            country=self.settings.country,
            is_shared=self.is_shared,
            show_operators=self.settings.show_operators,
        )

    @property
    def day_first(self) -> bool:
        """True where the day is written before the month."""
        return self.settings.country not in DAY_FIRST_NOT


class Answer:
    """How a question was understood, and what came out.

    Attributes
    ----------
    query
        The structured query; None where the question was refused.
    df
        The table; empty where there is none.
    unused_words
        Words with content that were used for nothing.
    """

    def __init__(
        self, reading: Interpretation, desk: Desk, today: date, previous: Answer | None = None
    ) -> None:
        self.reading, self.desk, self.today, self.previous = reading, desk, today, previous
        self.result: Result | None = None
        if reading.query is not None:
            self.result = run(
                reading.query, desk.con, levels=desk.levels, limits=desk.limits, today=today
            )

    @property
    def question(self) -> str:
        """The words asked."""
        return self.reading.text

    @property
    def query(self) -> DoseQuery | None:
        """The structured query."""
        return self.reading.query

    @property
    def refusal(self) -> Refusal | None:
        """Why there is no answer."""
        return self.reading.refusal

    @property
    def unused_words(self) -> tuple[str, ...]:
        """Words that were used for nothing."""
        return self.reading.unused_words

    @property
    def df(self) -> pd.DataFrame:
        """The table of the answer."""
        import pandas as pd

        return self.result.table if self.result is not None else pd.DataFrame()

    @property
    def sql(self) -> str:
        """The SQL that was run."""
        return "\n\n".join(self.result.sql) if self.result else ""

    @cached_property
    def chart(self) -> Any:
        """The picture; None where the table says it all."""
        from dose_lib.questions.picture import draw

        if self.query is None or self.result is None:
            return None
        return draw(self.query, self.result, small_cell_n=self.desk.settings.small_cell_n)

    @cached_property
    def chips(self) -> tuple[Chip, ...]:
        """Every slot with where it came from."""
        return chips(self.reading, self.result)

    def explain(self) -> str:
        """How the question was understood and what came out, in words."""
        lines = [plain(self.reading, self.result, self.chips)]
        lines += [f"  {c.title}: {c.value} ({c.origin})" for c in self.chips]
        return "\n".join(lines)

    # --- going on -----------------------------------------------------------------------------

    def refine(self, question: str) -> Answer:
        """Answer a follow-up: an edit of this answer's query."""
        return _answer(question, self.desk, self.today, previous=self)

    def edit(self, **slots: Any) -> Answer:
        """The answer with some slots set; None clears one. No language involved.

        Raises
        ------
        UsageError
            For a slot that does not exist or a value that does not fit.
        QuestionError
            If this question was refused.
        """
        query = self._asked()
        for name in slots:
            if name not in DoseQuery.model_fields:
                raise UsageError(
                    f"unknown slot {name!r}", todo=did_you_mean(name, DoseQuery.model_fields)
                )
        try:
            changed = query.edited(**slots)
        except ValueError as error:
            raise UsageError(f"the slots do not fit: {_first(error)}") from None
        origins = dict(self.reading.origins) | {s: Origin("edited") for s in slots}
        reading = Interpretation(
            sentence(changed, None),
            query=changed,
            origins={s: o for s, o in origins.items() if s in changed.slots},
        )
        refusal = unknown_value(changed, self.desk.vocabulary)
        if refusal is not None:
            reading = Interpretation(reading.text, refusal=refusal)
        return Answer(reading, self.desk, self.today, self)

    def _asked(self) -> DoseQuery:
        if self.query is None:
            raise QuestionError(
                "this question was not answered", todo="Ask again, or see .refusal for the reason"
            )
        return self.query

    def to_code(self) -> str:
        """Python that rebuilds this answer without any parser."""
        if self.query is None:
            return f"# not answered: {self.refusal.message if self.refusal else ''}"
        return (
            f"from dose_lib.questions import answer_query\nanswer_query({self.query.to_json()!r})"
        )

    def save(self, name: str) -> Any:
        """Keep the question under a name (`dose_lib.questions.saved.load_question`)."""
        from dose_lib.questions.saved import save_question

        return save_question(self, name)

    # --- showing ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        text = plain(self.reading, self.result, self.chips)
        if self.result is None or self.result.table.empty:
            return text
        rows = self.result.table.drop(columns=["part_key"], errors="ignore")
        return f"{text}\n{rows.head(20).to_string(index=False)}"

    def _parts(self) -> tuple[str, str]:
        from dose_lib.charts.style import CSS

        head = view.head(self.reading, self.result, self.chips)
        foot = view.table(self.df) + view.foot(self.reading, self.result, self.to_code())
        style = f"<style>{CSS}</style>"
        return style + f'<div class="dl">{view.page(head)}</div>', (
            f'<div class="dl">{view.page(foot)}</div>'
        )

    def _repr_html_(self) -> str:
        from dose_lib.charts import Chart, Html, Side, mode

        head, foot = self._parts()
        picture = ""
        if self.chart is not None and mode() == "report":
            data = self.chart._repr_mimebundle_() if isinstance(self.chart, Chart | Side) else None
            picture = data["text/html"] if data else str(self.chart.body)
        elif isinstance(self.chart, Html):
            picture = self.chart.body
        return head + picture + foot

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from dose_lib.charts import mode

        if mode() == "report" or self.chart is None:
            return {"text/html": self._repr_html_(), "text/plain": repr(self)}
        bundle = self.__panel__()._repr_mimebundle_(include, exclude)
        data, rest = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": repr(self)}, rest

    def __panel__(self) -> Any:
        import panel as pn

        from dose_lib.charts.style import CSS

        head, foot = self._parts()
        parts: list[Any] = [pn.pane.HTML(head, stylesheets=[CSS], sizing_mode="stretch_width")]
        if self.chart is not None:
            parts.append(pn.panel(self.chart))
        parts.append(pn.pane.HTML(foot, stylesheets=[CSS], sizing_mode="stretch_width"))
        return pn.Column(*parts, sizing_mode="stretch_width", margin=0)


def ask(
    question: str,
    *,
    con: Any = None,
    previous: Answer | DoseQuery | None = None,
    today: date | None = None,
    settings: Settings | None = None,
    model: Model | None = None,
    levels: tuple[Level, ...] | None = None,
    is_shared: bool | None = None,
    guess_follow_up: bool = False,
) -> Answer:
    """Answer a question about recorded dose, asked in plain English.

    Parameters
    ----------
    question
        The question, at most 500 characters.
    con
        What `dose_lib.connect()` gives; default: this installation's store.
    previous
        Answer or query before it; the question is then an edit of it.
    today
        The day that "last week" counts from; default: today in the site's zone.
    settings
        Of the installation.
    model
        Chat model used where the offline reading leaves words unused; default: the one in
        the settings, if any. It never sees rows, results, names of staff or DICOM text.
    levels
        Reference levels; default: the library with the site's own.
    is_shared
        True where others will read the answer: no single exams, no extremes. Default: in
        reports.
    guess_follow_up
        Use `previous` only where the question looks like a fragment.

    Returns
    -------
    Answer
        Also where the question is refused: `.refusal` says why.

    Examples
    --------
    >>> a = ask("CT chest doses on Scanner 3 over the last six weeks")   # doctest: +SKIP
    >>> a.refine("break it down by technician").df                       # doctest: +SKIP
    """
    if isinstance(previous, Answer) and con is None and settings is None and model is None:
        desk = previous.desk
    else:
        desk = open_desk(con, settings, model=model, levels=levels, is_shared=is_shared)
    day = today or (previous.today if isinstance(previous, Answer) else None)
    return _answer(
        question, desk, day or _today(desk.settings), previous=previous, guess=guess_follow_up
    )


def answer_query(
    query: DoseQuery | str,
    *,
    con: Any = None,
    today: date | None = None,
    settings: Settings | None = None,
    levels: tuple[Level, ...] | None = None,
    is_shared: bool | None = None,
) -> Answer:
    """Answer a structured query, or its JSON, without any parser.

    Raises
    ------
    UsageError
        If the JSON is no query.
    """
    try:
        found = DoseQuery.model_validate_json(query) if isinstance(query, str) else query
    except ValueError as error:
        raise UsageError(
            f"this is no query: {_first(error)}", expected="JSON of a DoseQuery"
        ) from None
    desk = open_desk(con, settings, levels=levels, is_shared=is_shared)
    day = today or _today(desk.settings)
    if found.period is not None:
        found = found.edited(period=found.period.clamped(day))
    origins = {s: Origin("edited") for s in found.slots}
    reading = Interpretation(sentence(found, None), query=found, origins=origins)
    refusal = unknown_value(found, desk.vocabulary)
    if refusal is not None:
        reading = Interpretation(reading.text, refusal=refusal)
    return Answer(reading, desk, day)


def _first(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    return str(error)


def _today(settings: Settings) -> date:
    return datetime.now(ZoneInfo(settings.timezone)).date()


_desks: dict[tuple[int, str], tuple[float, Any, Desk]] = {}


def open_desk(
    con: Any,
    settings: Settings | None = None,
    *,
    model: Model | None = None,
    levels: tuple[Level, ...] | None = None,
    is_shared: bool | None = None,
) -> Desk:
    """Store, vocabulary and levels for questions; names of the store are kept for 30 s."""
    from dose_lib.charts import mode

    settings = settings or load_settings()
    key = (id(con), str(settings.home))
    known = _desks.get(key)
    if known and known[1] is con and time.monotonic() - known[0] < _FRESH_S and levels is None:
        desk = known[2]
        settled = (settings, model or Model.from_settings(settings))
        if desk.settings == settings and desk.model == settled[1]:
            return _shared(desk, is_shared, mode() == "report")
    if con is None:
        from dose_lib.store.connect import connect

        backend = connect(settings=settings)
    else:
        backend = con
    if levels is None:
        from dose_lib.reference import load_levels

        found = load_levels(settings, con=backend if "decisions" in _tables(backend) else None)
    else:
        found = levels
    words = load_vocabulary(read_values(backend), site_file=settings.site_dir / "vocabulary.yaml")
    desk = Desk(backend, settings, words, tuple(found), model or Model.from_settings(settings))
    _desks.clear()
    _desks[key] = (time.monotonic(), con, desk)
    return _shared(desk, is_shared, mode() == "report")


def _tables(backend: Any) -> list[str]:
    return list(backend.list_tables())


def _shared(desk: Desk, wanted: bool | None, is_report: bool) -> Desk:
    shared = is_report if wanted is None else wanted
    if shared == desk.is_shared:
        return desk
    return Desk(desk.con, desk.settings, desk.vocabulary, desk.levels, desk.model, shared)


def _answer(
    question: str,
    desk: Desk,
    today: date,
    *,
    previous: Answer | DoseQuery | None = None,
    guess: bool = False,
) -> Answer:
    before = previous.query if isinstance(previous, Answer) else previous
    reading = interpret(
        question,
        desk.vocabulary,
        today=today,
        previous=before,
        day_first=desk.day_first,
        guess_follow_up=guess,
    )
    if desk.model is not None:
        reading = read_with_model(reading, desk.model, desk.vocabulary, today, previous=before)
    if reading.query is not None and desk.settings.show_operators == "none":
        reading = _without_operators(reading)
    answer = Answer(reading, desk, today, previous if isinstance(previous, Answer) else None)
    _log(answer, desk)
    return answer


def _without_operators(reading: Interpretation) -> Interpretation:
    assert reading.query is not None  # noqa: S101
    if reading.query.operator or "operator" in reading.query.group_by:
        return Interpretation(
            reading.text,
            refusal=Refusal("scope", "This site does not show members of staff (show_operators)."),
        )
    return reading


def unknown_value(query: DoseQuery, vocabulary: Vocabulary) -> Refusal | None:
    """The refusal for a query that names what the store does not have."""
    for slot in NAMED:
        known = getattr(vocabulary.values, slot)
        for value in getattr(query, slot):
            if slot != "procedure" and value not in known:
                return ask_back(slot, value, known)
    return None


def _log(answer: Answer, desk: Desk) -> None:
    gate = Gate(desk.vocabulary)
    result = answer.result
    write_entry(
        desk.settings,
        Entry.of(
            answer.question,
            gated=gate.send(answer.question).text,
            source=answer.reading.source,
            query=gate.hide_query(answer.query) if answer.query else None,
            refusal=answer.refusal.kind if answer.refusal else None,
            rows=len(result.table) if result else 0,
            hidden=result.n_hidden if result else 0,
            ms=result.ms if result else 0.0,
        ),
    )


def current_period(period: Period, today: date) -> Period:
    """A saved period with the days it stands for today."""
    return period.clamped(today)
