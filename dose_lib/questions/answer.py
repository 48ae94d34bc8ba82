"""The answer to a question: what was understood, table, picture, SQL, and how to go on."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_lib.errors import QuestionError, UsageError, did_you_mean
from dose_lib.questions import view
from dose_lib.questions.audit import Entry, write_entry
from dose_lib.questions.compile import run
from dose_lib.questions.desk import Desk, open_desk, today_of
from dose_lib.questions.gate import Gate
from dose_lib.questions.model import Model, read_with_model
from dose_lib.questions.parser import Interpretation, interpret
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reading import Origin
from dose_lib.questions.refusals import Refusal, ask_back
from dose_lib.questions.result import Result
from dose_lib.questions.saved import save_question
from dose_lib.questions.vocabulary import NAMED, Vocabulary
from dose_lib.questions.words import Chip, chips, plain, sentence
from dose_lib.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from dose_lib.reference import Level


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

    def save(self, name: str) -> Path:
        """Keep the question under a name; `load_question` gives it back.

        Raises
        ------
        UsageError
            For a name that cannot be a file.
        QuestionError
            If this question was refused.
        """
        return save_question(
            name,
            self._asked(),
            question=self.question,
            vocabulary=self.desk.vocabulary.digest,
            settings=self.desk.settings,
        )

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
        question, desk, day or today_of(desk.settings), previous=previous, guess=guess_follow_up
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
    day = today or today_of(desk.settings)
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
