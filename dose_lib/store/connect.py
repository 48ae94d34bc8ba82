"""`dose_lib.connect()`: the store as an ibis backend, for notebooks and everything else.

It is ibis' DuckDB backend with another way to run SQL: the query is compiled by ibis and
sent whole to the owner, or run on the file where no owner runs (see `link`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import msgspec
import pyarrow as pa
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends import BaseBackend
from ibis.backends.duckdb import Backend as DuckDBBackend
from ibis.common.exceptions import TableNotFound

from dose_lib.errors import QueryRefusedError, StoreError, UsageError
from dose_lib.settings import Settings, load_settings
from dose_lib.store.endpoint import Endpoint
from dose_lib.store.guard import parse_select
from dose_lib.store.link import FileLink, HomeLink, Link, RemoteLink

# Rows of a table in memory that may travel inside a query.
MAX_MEMTABLE_ROWS = 5_000

_VIEWS = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = 'main' AND table_type = 'VIEW' ORDER BY table_name
"""


@cache
def _type_of(mapper: Any, kind: str, is_nullable: bool) -> Any:
    """Type of a column; a view has two hundred of a dozen types, and each is parsed as SQL."""
    return mapper.from_string(kind, nullable=is_nullable)


class _Answer:
    """What ibis takes for a DuckDB relation: an answer that is here already."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow_table(self) -> pa.Table:
        """The whole answer."""
        return self._table


class StoreBackend(DuckDBBackend):  # type: ignore[misc]
    """ibis backend on the store; read-only.

    Everything ibis offers for DuckDB works except what would write. Tables in memory
    (`ibis.memtable`) may take part in a query up to 5,000 rows.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.link: Link
        self.imported_history = True

    @classmethod
    def over(cls, link: Link) -> StoreBackend:
        """A backend that asks through `link`."""
        backend: StoreBackend = cls.from_connection(duckdb.connect(":memory:"))
        backend.link = link
        return backend

    def __repr__(self) -> str:
        return f"<DoseLoop store at {self.link.place}>"

    def table(self, name: str, /, **kwargs: Any) -> ir.Table:
        """A view or table; without imported history if the connection was asked for so."""
        table = super().table(name, **kwargs)
        if self.imported_history or "is_history" not in table.columns:
            return table
        return table.filter(~table.is_history.fill_null(False))

    def query(self, sql: str) -> pa.Table:
        """Result of one SELECT as an Arrow table."""
        return self.link.query(sql)

    def raw_sql(self, query: str | sge.Expression, **kwargs: Any) -> Any:
        """Result of one SELECT as a DuckDB relation in memory."""
        text = query if isinstance(query, str) else query.sql(dialect=self.name)
        return self.con.cursor().from_arrow(self.query(text))

    def get_schema(
        self, table_name: str, *, catalog: str | None = None, database: str | None = None
    ) -> sch.Schema:
        """Schema of a table or view.

        Raises
        ------
        ibis.common.exceptions.TableNotFound
            If there is none of this name, with those there are.
        """
        table = sge.table_(table_name, db=database, catalog=catalog, quoted=True)
        try:
            return self._get_schema_using_query(sg.select("*").from_(table).sql(self.dialect))
        except StoreError as error:
            if "there is no table" in error.seen:
                raise TableNotFound(f"{error.seen}; {error.todo}") from None
            raise

    def list_tables(
        self, *, like: str | None = None, database: tuple[str, str] | str | None = None
    ) -> list[str]:
        """Names of the views, which are what is meant to be queried."""
        names = self.query(_VIEWS).column("table_name").to_pylist()
        return list(self._filter_with_like(names, like))

    def _get_schema_using_query(self, query: str) -> sch.Schema:
        # A cursor each: threads that share one connection take each other's results.
        with contextlib.closing(self.con.cursor()) as cursor:
            parse_select(cursor, query)
        described = self.query(f"DESCRIBE {query}").to_pydict()
        return sch.Schema(
            {
                name: _type_of(self.compiler.type_mapper, kind, nullable == "YES")
                for name, kind, nullable in zip(
                    described["column_name"],
                    described["column_type"],
                    described["null"],
                    strict=True,
                )
            }
        )

    def _to_duckdb_relation(
        self,
        expr: ir.Expr,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        **kwargs: Any,
    ) -> _Answer:
        return _Answer(self.query(self._with_memtables(expr, params=params, limit=limit)))

    def to_pyarrow_batches(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        chunk_size: int = 1_000_000,
        **_: Any,
    ) -> pa.ipc.RecordBatchReader:
        """Result of an expression in batches of at most `chunk_size` rows."""
        table = self.to_pyarrow(expr.as_table(), params=params, limit=limit)
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(chunk_size))

    # Through Arrow: COPY would need access to files, which the owner does not have.
    to_parquet = BaseBackend.to_parquet
    to_csv = BaseBackend.to_csv

    def _with_memtables(self, expr: ir.Expr, **options: Any) -> str:
        """SQL of an expression, with its in-memory tables as VALUES in front."""
        if expr.op().find((ops.ScalarUDF, ops.AggUDF)):
            raise UsageError(
                "functions of your own do not travel to the store",
                todo="Fetch the rows first, then apply the function to the data frame",
            )
        query = self.compiler.to_sqlglot(expr.as_table(), **options)
        tables = expr.op().find(ops.InMemoryTable)
        if tables:
            ctes = [_memtable_cte(self, op) for op in tables]
            before = query.args.get("with_") or query.args.get("with")
            ctes.extend(before.expressions if before is not None else ())
            query = query.copy()
            query.set("with_" if "with_" in query.arg_types else "with", sge.With(expressions=ctes))
        text: str = query.sql(
            dialect=self.dialect, copy=False, unsupported_level=sg.ErrorLevel.RAISE
        )
        self._log(text)
        return text

    @contextlib.contextmanager
    def _safe_raw_sql(
        self, query: str | sge.Expression, *args: Any, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.raw_sql(query)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise QueryRefusedError(
            "the store is read-only here",
            todo="Work on the data frame, or use `ibis.memtable`; decisions: `submit_decision`",
        )

    create_table = create_view = create_database = _refuse
    drop_table = drop_view = drop_database = _refuse
    insert = upsert = truncate_table = rename_table = _refuse
    attach = detach = attach_sqlite = load_extension = _refuse
    read_csv = read_parquet = read_json = read_delta = read_geo = read_xlsx = _refuse
    read_postgres = read_mysql = read_sqlite = register_filesystem = _refuse
    to_xlsx = to_geo = to_json = _refuse


def connect(
    home_or_url: str | Path | None = None,
    *,
    settings: Settings | None = None,
    imported_history: bool = True,
) -> StoreBackend:
    """Connect to the store as an ibis backend.

    Parameters
    ----------
    home_or_url
        Folder of the installation; `duckdb:///path/to/file.duckdb` for a store file by
        itself; `quack:host:port` for an owner at a known address, whose token the
        environment variable DOSE_STORE_TOKEN holds. Default: this user's installation.
    settings
        Of the installation, where they are at hand.
    imported_history
        False: every table is without exams known from exports of other dose systems alone.
        SQL of your own sees them in any case.

    Returns
    -------
    StoreBackend
        `.table("studies")`, `.sql(...)`, `.list_tables()` as in ibis. It stays good when
        the service starts, stops or restarts.

    Raises
    ------
    StoreError
        If there is no store yet, or it cannot be reached.

    Examples
    --------
    >>> con = connect()                                         # doctest: +SKIP
    >>> studies = con.table("studies")                          # doctest: +SKIP
    >>> studies.group_by("device").agg(n=studies.count()).execute()  # doctest: +SKIP
    """
    link = _link(home_or_url, settings)
    backend = StoreBackend.over(link)
    backend.imported_history = imported_history
    backend.query("SELECT 1")  # no store, or one that is in use: said here, not later
    return backend


def _link(home_or_url: str | Path | None, settings: Settings | None) -> Link:
    url = home_or_url if isinstance(home_or_url, str) else ""
    if url.startswith("duckdb://"):
        return FileLink(Path(url.removeprefix("duckdb://")), settings or load_settings())
    if url.startswith("quack:"):
        token = os.environ.get("DOSE_STORE_TOKEN")
        if not token:
            raise StoreError(
                "the token of the store is not known",
                where=url,
                todo="Put it into the environment variable DOSE_STORE_TOKEN",
            )
        address = "quack:" + url.removeprefix("quack:").removeprefix("//")
        return RemoteLink(Endpoint(address, token, 0), settings or load_settings())
    if "://" in url:
        raise UsageError(
            f"no store can be reached by {url!r}",
            expected="a folder, duckdb:///file or quack:host:port",
        )
    return HomeLink(settings or load_settings(Path(home_or_url) if home_or_url else None))


def _memtable_cte(backend: StoreBackend, op: ops.InMemoryTable) -> sge.CTE:
    """A small in-memory table as a common table expression of typed values."""
    frame = op.data.to_pyarrow(op.schema)
    if frame.num_rows > MAX_MEMTABLE_ROWS:
        raise UsageError(
            f"a table in memory of {frame.num_rows} rows does not travel in a query",
            expected=f"{MAX_MEMTABLE_ROWS} rows at most",
            todo="Fetch the store's rows and join the data frames",
        )
    row_type = backend.compiler.type_mapper.from_ibis(op.schema.as_struct())
    values = msgspec.json.encode(frame.to_pylist()).decode()
    # JSON carries every type that a table in memory may have, quoted once.
    typed = sge.Cast(
        this=sge.Cast(this=sge.Literal.string(values), to=sge.DataType.build("JSON")),
        to=sge.DataType(this=sge.DataType.Type.ARRAY, expressions=[row_type], nested=True),
    )
    unnested = sg.select(sge.alias_(sg.func("unnest", typed), "row")).subquery("t")
    star = sge.Column(this=sge.Star(), table=sg.to_identifier("row"))
    return sge.CTE(
        this=sg.select(star).from_(unnested),
        alias=sge.TableAlias(this=sg.to_identifier(op.name, quoted=True)),
    )
