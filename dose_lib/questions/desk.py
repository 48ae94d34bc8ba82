"""What a question is answered with: store, words, levels, settings, model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dose_lib.questions.compile import Limits
from dose_lib.questions.model import Model
from dose_lib.questions.vocabulary import Vocabulary, load_vocabulary, read_values
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
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


def today_of(settings: Settings) -> date:
    """Today in the zone of the site."""
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
