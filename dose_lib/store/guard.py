"""What a reader may ask: one plain SELECT over the store's own tables.

DuckDB's parser turns the query into a tree; the tree is walked and everything in it must be
on a list: tables that exist, functions that DuckDB's catalogue calls free of side effects, and
a handful of table functions. What is on no list is refused, so that a function which a new
DuckDB brings is refused until somebody has looked at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

import duckdb
import msgspec

from dose_lib.errors import QueryRefusedError, StoreError, did_you_mean
from dose_lib.store.lengths import too_long

MAX_QUERY_BYTES = 1_000_000

_TABLE_FUNCTIONS = frozenset(
    {"unnest", "range", "generate_series", "json_each", "json_tree", "generate_subscripts"}
)
# Without side effects by the catalogue, yet not for readers: they tell about the process and
# its settings, or parse and run SQL.
_NOT_FOR_READERS = re.compile(
    r"^(quack_|dose_|pg_|has_|inet_|whoami|which_|json_serialize_|json_deserialize_"
    r"|json_execute_|parse_duckdb_|current_setting$|getvariable$|getenv$|get_block_size$"
    r"|in_search_path$|txid_current$|format_pg_type$|col_description$|obj_description$"
    r"|shobj_description$|stats$|icu_collate)"
)
# Volatile by the catalogue, or missing in it, and harmless.
_HARMLESS = frozenset({"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "error", "unnest"})
_SYSTEM_NAME = re.compile(r"^(duckdb_|pg_|sqlite_|pragma_|dose_|quack_)", re.IGNORECASE)
_FUNCTIONS = """
    SELECT lower(function_name), bool_and(NOT coalesce(has_side_effects, false)),
        any_value(macro_definition)
    FROM duckdb_functions()
    WHERE function_type IN ('scalar', 'aggregate', 'macro')
    GROUP BY lower(function_name)
"""
_TABLES = """
    SELECT lower(table_name) FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary
    UNION ALL
    SELECT lower(view_name) FROM duckdb_views()
    WHERE schema_name = 'main' AND NOT internal AND NOT temporary
"""

Node = dict[str, Any]


@cache
def admitted_functions() -> frozenset[str]:
    """Names of the functions that readers may use, by DuckDB's own catalogue."""
    with duckdb.connect(":memory:") as con:
        rows = con.execute(_FUNCTIONS).fetchall()
        admitted = {name for name, is_plain, _ in rows if is_plain}
        admitted = {n for n in admitted if not _NOT_FOR_READERS.match(n)} | _HARMLESS
        # A macro is what it expands to.
        macros = {name: text for name, _, text in rows if text is not None}
        bad = {m for m, text in macros.items() if not _is_harmless(con, text, admitted)}
        return frozenset(admitted - bad)


def _is_harmless(con: duckdb.DuckDBPyConnection, definition: str, admitted: set[str]) -> bool:
    try:
        tree = parse_select(con, f"SELECT {definition}")
    except StoreError:
        return False
    used = {str(n["function_name"]).lower() for n in _walk(tree) if "function_name" in n}
    return used <= admitted


class Guard:
    """Judges queries for one opened store.

    Parameters
    ----------
    con
        The opened store; its tables and views are what readers may ask for.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._admitted = admitted_functions()
        self._tables = {row[0] for row in con.execute(_TABLES).fetchall()}

    def check(self, con: duckdb.DuckDBPyConnection, query: str) -> None:
        """Return if the query may run.

        Raises
        ------
        QueryRefusedError
            If it is not a single SELECT, or uses a table or function not on the lists.
        StoreError
            If DuckDB's parser does not understand it.
        """
        if len(query.encode()) > MAX_QUERY_BYTES:
            raise QueryRefusedError(
                f"the query has {len(query.encode())} bytes",
                expected=f"{MAX_QUERY_BYTES} at most",
                todo="Send data as a table of its own, not inside the query",
            )
        tree = parse_select(con, query)
        ctes = {key.lower() for node in _walk(tree) for key in _cte_names(node)}
        for name in ctes:
            if _SYSTEM_NAME.match(name) or "." in name or "/" in name:
                raise _refused(f"the name {name!r} for a subquery")
        for node in _walk(tree):
            self._check_node(node, ctes)

    def _check_node(self, node: Node, ctes: set[str]) -> None:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            self._check_table(node, ctes)
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise _refused(f"the table function {name!r}")
        elif kind == "SHOW_REF" and node.get("show_type") not in ("DESCRIBE", "SUMMARY"):
            raise _refused("SHOW")
        elif "function_name" in node and not node.get("_is_table_function"):
            self._check_function(node)

    def _check_function(self, node: Node) -> None:
        name = str(node["function_name"]).lower()
        is_window = node.get("class") == "WINDOW" and node.get("type") != "WINDOW_AGGREGATE"
        if name in self._admitted or is_window:
            if why := too_long(name, node.get("children") or []):
                raise _refused(why)
            return
        near = get_close_matches(name, self._admitted, n=1, cutoff=0.8)
        raise _refused(f"the function {name!r}", f"did you mean {near[0]!r}?" if near else None)

    def _check_table(self, node: Node, ctes: set[str]) -> None:
        name = str(node.get("table_name", "")).lower()
        schema = str(node.get("schema_name") or "").lower()
        if schema == "information_schema":
            return
        if schema in ("", "main") and (name in self._tables or (not schema and name in ctes)):
            return
        if _SYSTEM_NAME.match(name) or schema not in ("", "main") or not name.isidentifier():
            raise _refused(f"the table {name!r}")
        raise StoreError(f"there is no table {name!r}", todo=did_you_mean(name, self._tables))


def parse_select(con: duckdb.DuckDBPyConnection, query: str) -> Node:
    """Syntax tree of a query that is one SELECT, by DuckDB's own parser.

    Raises
    ------
    QueryRefusedError
        If it is anything else, or more than one.
    StoreError
        If the parser does not understand it.
    """
    try:
        row = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    except duckdb.Error as error:
        raise StoreError(f"the query is not understood ({_line(str(error))})") from None
    try:
        tree: Node = msgspec.json.decode(row[0]) if row else {"error": True}
    except RecursionError:
        raise _refused(
            "expressions nested this deep", "Write the query in steps, by WITH"
        ) from None
    if tree.get("error"):
        message = str(tree.get("error_message", "no message"))
        if tree.get("error_type") == "parser":
            raise StoreError(f"the query is not understood ({_line(message)})")
        raise _refused("anything but SELECT")
    if len(tree["statements"]) != 1:
        raise _refused(f"{len(tree['statements'])} statements at once")
    return tree


def _walk(tree: Node) -> Iterator[Node]:
    """Every object of the tree; not recursive, since queries may nest deeply."""
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            if item.get("type") == "TABLE_FUNCTION":
                # Its name is judged as that of a table function, its arguments as any other.
                stack.append({**item["function"], "_is_table_function": True})
                stack.extend(v for k, v in item.items() if k != "function")
            else:
                stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _cte_names(node: Node) -> Iterator[str]:
    table = node.get("cte_map")
    if isinstance(table, dict):
        for entry in table.get("map", ()):
            yield str(entry["key"])
    if node.get("type") == "RECURSIVE_CTE_NODE" or "cte_name" in node:
        yield str(node.get("cte_name", ""))


def _refused(what: str, todo: str | None = None) -> QueryRefusedError:
    return QueryRefusedError(
        f"the store does not let readers use {what}",
        expected="one SELECT over its tables and views",
        todo=todo or "Decisions go through `submit_decision`; everything else is read-only",
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
