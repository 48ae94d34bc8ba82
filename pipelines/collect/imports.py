"""Importing an export: what would be taken, taking it, and what is known of earlier imports.

An import is known by its file and its mapping: the same again finds everything done, after
an interruption it goes on where it was. Rows that could not be taken are kept, as they stood,
in a file beside the note of the import.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.errors import UsageError, did_you_mean
from dose_lib.history import (
    HistoryExam,
    Origin,
    Plan,
    Problem,
    Row,
    TableMapping,
    exam_key,
    fits,
    make_plan,
    read_exam,
    shipped_mappings,
    write_exam,
)
from dose_lib.store import site_key
from pipelines.collect.feed import Feed
from pipelines.collect.tables import TableFile, open_table, read_rows
from pipelines.disk import make_folder

Progress = Callable[[str, int, int], None]

_SHOWN_PROBLEMS = 1000  # all are counted and all rows are kept; so many are told one by one
_SHOWN_EXAMS = 5


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An export under its mapping, ready to be read."""

    table: TableFile
    plan: Plan
    import_id: str

    @property
    def mapping(self) -> TableMapping:
        """The mapping."""
        return self.plan.mapping


class Tally(msgspec.Struct, kw_only=True):
    """What was found in an export.

    Attributes
    ----------
    n_rows, n_exams
        Read, and made of them.
    n_left_out
        Rows that were not taken.
    by_year
        Exams by modality and year, by device.
    problems
        The first of them; `n_problems` counts all by column and what was expected.
    first
        The first exams, for a look.
    """

    n_rows: int = 0
    n_exams: int = 0
    n_left_out: int = 0
    n_known: int = 0
    by_year: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter)
    by_device: Counter[str] = msgspec.field(default_factory=Counter)
    n_problems: Counter[tuple[str, str, bool]] = msgspec.field(default_factory=Counter)
    problems: list[Problem] = msgspec.field(default_factory=list)
    first: list[HistoryExam] = msgspec.field(default_factory=list)


class ImportNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an import, as JSON; nothing in it identifies a patient."""

    import_id: str
    file_name: str
    file_sha256: str
    mapping: str
    mapping_sha256: str
    started_at: datetime
    n_rows: int
    n_exams: int
    n_left_out: int
    n_problems: int
    unmapped: tuple[str, ...]


def import_uid(import_id: str) -> str:
    """UID under which the store knows an import."""
    return f"2.25.{int(import_id, 16)}"


def open_export(
    file: Path, mapping: TableMapping | None = None, *, delimiter: str | None = None
) -> Opened:
    """An export under its mapping; without one, under the shipped mapping that fits its heads.

    Raises
    ------
    UsageError
        If the file is no table, or no mapping fits it.
    """
    if mapping is None:
        table, found = _detect(file, delimiter)
    else:
        found = mapping
        table = open_table(
            file, sheet=found.sheet, header_row=found.header_row, delimiter=delimiter
        )
    digest = hashlib.sha256(f"{table.sha256} {found.sha256}".encode()).hexdigest()
    return Opened(table=table, plan=make_plan(found, table.heads), import_id=digest[:12])


def _detect(file: Path, delimiter: str | None) -> tuple[TableFile, TableMapping]:
    known = shipped_mappings()
    table = open_table(file, sheet="All data", delimiter=delimiter)
    fitting = [m for m in known if fits(m, table.heads)]
    if len(fitting) == 1:
        return table, fitting[0]
    seen = "several mappings fit" if fitting else "no shipped mapping fits"
    names = ", ".join(m.name for m in fitting or known)
    heads = ", ".join(table.heads[:8])
    raise UsageError(
        f"{seen} the heads ({heads}{', ...' if len(table.heads) > 8 else ''})",
        expected=f"--mapping with one of {names}, or a file of yours",
        where=str(file),
        todo="docs/history.md shows how to write one",
    )


def find_mapping(name: str) -> TableMapping:
    """A mapping by the name of a shipped one, or by its file."""
    known = {m.name: m for m in shipped_mappings()}
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        raise UsageError(f"there is no mapping {name!r}", todo=did_you_mean(name, known))
    return dose_lib.history.read_mapping(path)


class _Exams:
    """Exams of an export, one after another; counts and keeps notes on the way."""

    def __init__(self, opened: Opened, key: bytes, on_left_out: Callable[[Row], None]) -> None:
        self._opened, self._on_left_out = opened, on_left_out
        uid = import_uid(opened.import_id)
        self._origin = Origin(opened.table.sha256, uid, key)
        self._seen: dict[bytes, int] = {}
        self.tally = Tally()

    def read(self, progress: Callable[[int, int], None]) -> Iterator[HistoryExam]:
        """All exams that can be taken, in the order of the file."""
        group: list[Row] = []
        current: tuple[str, ...] | None = None
        by_event = self._opened.mapping.rows == "event"
        for row in read_rows(self._opened.table, progress=progress):
            self.tally.n_rows += 1
            key = exam_key(self._opened.plan, row)
            if group and not (by_event and key == current):
                yield from self._exam(group, current or ())
                group = []
            current = key
            group.append(row)
        if group:
            yield from self._exam(group, current or ())

    def _exam(self, rows: list[Row], key: tuple[str, ...]) -> Iterator[HistoryExam]:
        exam, problems = read_exam(self._opened.plan, rows, self._origin)
        earlier = self._seen.setdefault(_digest(key), rows[0].number) if exam else None
        if exam is not None and earlier != rows[0].number:
            problems.append(_repeated(rows[0], earlier))
            exam = None
        self._note(problems)
        if exam is None:
            self.tally.n_left_out += len(rows)
            for row in rows:
                self._on_left_out(row)
            return
        self._count(exam)
        yield exam

    def _note(self, problems: list[Problem]) -> None:
        for problem in problems:
            self.tally.n_problems[problem.column, problem.expected, problem.is_fatal] += 1
            if len(self.tally.problems) < _SHOWN_PROBLEMS:
                self.tally.problems.append(problem)

    def _count(self, exam: HistoryExam) -> None:
        part, tally = exam.part, self.tally
        tally.n_exams += 1
        year = part.started_at.year if part.started_at else 0
        tally.by_year[part.modality.value, year] += 1
        device = part.device
        kind = " ".join(w for w in (device.manufacturer, device.model) if w)
        tally.by_device[device.display_name or device.station_name or kind or "(no device)"] += 1
        if len(tally.first) < _SHOWN_EXAMS:
            tally.first.append(exam)


def _digest(key: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\x1f".join(key).encode()).digest()[:16]


def _repeated(row: Row, earlier: int | None) -> Problem:
    return Problem(
        row=row.number,
        column="(what tells exams apart)",
        seen=f"the exam of row {earlier} again",
        expected="an exam once, its rows one after another",
    )


def look(opened: Opened, settings: Settings, progress: Progress = lambda *_: None) -> Tally:
    """What an import would take; nothing is stored."""
    exams = _Exams(opened, site_key(settings), lambda _: None)
    for _ in exams.read(lambda done, total: progress("reading", done, total)):
        pass
    return exams.tally


def take(opened: Opened, settings: Settings, progress: Progress = lambda *_: None) -> Tally:
    """Import an export, and return when all of it can be queried.

    Rows that an earlier run of the same import has stored are not put into the spool again.
    """
    started_at = datetime.now(UTC)
    known = _rows_taken(settings, opened.import_id)
    folder = make_folder(imports_dir(settings))
    with _Rejects(folder / f"{opened.import_id}.rejects.csv", opened.table.heads) as rejects:
        exams = _Exams(opened, site_key(settings), rejects.keep)
        with Feed(settings, on_stored=lambda n, of: progress("storing", n, of)) as feed:
            for exam in exams.read(lambda done, total: progress("reading", done, total)):
                if exam.rows[0] in known:
                    exams.tally.n_known += 1
                else:
                    feed.push(write_exam(exam), "history")
            feed.finish()
    _write_note(opened, exams.tally, folder, started_at)
    return exams.tally


def imports_dir(settings: Settings) -> Path:
    """Notes of imports, and the rows that could not be taken; mode 0700."""
    return settings.collect_dir / "imports"


def rejects_file(settings: Settings, import_id: str) -> Path:
    """Where the rows of an import lie that could not be taken; identifiers among them."""
    return imports_dir(settings) / f"{import_id}.rejects.csv"


class _Rejects:
    """A csv file of rows as they stood; it comes to be with the first of them."""

    def __init__(self, path: Path, heads: tuple[str, ...]) -> None:
        self._path, self._heads = path, heads
        self._temporary = path.with_suffix(".part")
        self._n = 0

    def __enter__(self) -> _Rejects:
        self._temporary.unlink(missing_ok=True)
        self._temporary.touch(mode=0o600)
        self._file = self._temporary.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(("row", *self._heads))
        return self

    def keep(self, row: Row) -> None:
        """Keep a row with its number."""
        self._n += 1
        self._writer.writerow((row.number, *("" if c is None else c for c in row.cells)))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()
        if self._n and error is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()


def _write_note(opened: Opened, tally: Tally, folder: Path, started_at: datetime) -> None:
    note = ImportNote(
        import_id=opened.import_id,
        file_name=opened.table.path.name,
        file_sha256=opened.table.sha256,
        mapping=opened.mapping.name,
        mapping_sha256=opened.mapping.sha256,
        started_at=started_at,
        n_rows=tally.n_rows,
        n_exams=tally.n_exams,
        n_left_out=tally.n_left_out,
        n_problems=tally.n_problems.total(),
        unmapped=opened.plan.unmapped,
    )
    file = folder / f"{opened.import_id}.json"
    temporary = file.with_suffix(".part")
    temporary.touch(mode=0o600)
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(note)))
    temporary.replace(file)


def read_notes(settings: Settings) -> list[ImportNote]:
    """What is kept of earlier imports, the oldest first."""
    folder = imports_dir(settings)
    notes = [
        msgspec.json.decode(f.read_bytes(), type=ImportNote) for f in sorted(folder.glob("*.json"))
    ]
    return sorted(notes, key=lambda n: n.started_at)


def _rows_taken(settings: Settings, import_id: str) -> set[int]:
    if not settings.store_file.exists():
        return set()
    table = dose_lib.connect(settings=settings).table("history")
    rows = table.filter(table.import_uid == import_uid(import_id)).select("row_number")
    return set(rows.to_pyarrow()["row_number"].to_pylist())
