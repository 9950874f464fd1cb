"""The questions, the macros and the views of a lake in the dialects of other engines.

DuckDB's text is the only source; sqlglot turns it. Where that is not enough there is a row in `DIFFERENCES`: what
DuckDB has, what stands for it elsewhere, and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Any, Literal, cast, get_args

from msgspec import Struct

from recorder.optional import need

Dialect = Literal["clickhouse", "spark", "trino", "bigquery", "snowflake"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
_MACRO = re.compile(r"CREATE OR REPLACE MACRO (\w+)\((.*?)\) AS TABLE\n(.*?);", re.DOTALL)
_PART = "part_"
"""What a column in a template begins with that stands for a part of the original."""
_COLOUR = re.compile(r"\x1b\[\d+m")


class Untranslatable(ValueError):
    """A query that has no counterpart there, or that is no SQL. One line."""


class Difference(Struct, frozen=True, kw_only=True):
    """Something of DuckDB's and what stands for it, by dialect; a dialect that is not named takes sqlglot's own.

    `inexact`: dialects in which answers may differ, by as much as `reason` says.
    """

    duckdb: str
    instead: Mapping[Dialect, str]
    reason: str
    inexact: tuple[Dialect, ...] = ()


DIFFERENCES: dict[str, Difference] = {
    "quantile": Difference(
        duckdb="quantile_cont(x, q), median(x)",
        instead={
            "clickhouse": "quantileExactInclusive(part_q)(part_x)",
            "spark": "percentile(part_x, part_q)",
            "trino": "approx_percentile(part_x, part_q)",
            "bigquery": "APPROX_QUANTILES(part_x, 1000)[OFFSET(CAST(part_q * 1000 AS INT64))]",
        },
        reason="ClickHouse's quantile and median draw a sample, and Spark's percentile_cont is no window "
        "function: these two sort, and interpolate as quantile_cont does, but for the last bits (below 1e-12). "
        "Trino and BigQuery have no exact percentile that is an aggregate: these are estimates, not tried here",
        inexact=("trino", "bigquery"),
    ),
    "whole": Difference(
        duckdb="x::BIGINT",
        instead=dict.fromkeys(DIALECTS, "CAST(round(part_x) AS BIGINT)"),
        reason="DuckDB rounds to the nearest whole number, others cut off. Half a microsecond may go either way",
    ),
    "microseconds": Difference(
        duckdb="to_microseconds(n)",
        instead={
            "clickhouse": "toIntervalMicrosecond(part_x)",
            "spark": "make_dt_interval(0, 0, 0, part_x / 1000000)",
            "trino": "part_x * INTERVAL '0.000001' SECOND",
            "bigquery": "INTERVAL part_x MICROSECOND",
            "snowflake": "part_x * INTERVAL '1 MICROSECOND'",
        },
        reason="no other engine has a function of this name",
    ),
    "range": Difference(
        duckdb="range(n) AS t (run)",
        instead={
            "clickhouse": "SELECT number AS run FROM numbers(part_n)",
            "spark": "SELECT id AS run FROM range(part_n)",
            "trino": "SELECT run FROM UNNEST(sequence(0, part_n - 1)) AS one(run)",
            "bigquery": "SELECT run FROM UNNEST(GENERATE_ARRAY(0, part_n - 1)) AS run",
            "snowflake": "SELECT value AS run FROM TABLE(FLATTEN(ARRAY_GENERATE_RANGE(0, part_n)))",
        },
        reason="a table of numbers has another name everywhere, and sqlglot takes the end for the last",
    ),
    "each": Difference(
        duckdb="[f(i) FOR i IN range(n)]",
        instead={
            "clickhouse": "arrayMap(i -> part_x, range(part_n))",
            "spark": "transform(sequence(0, part_n - 1), i -> part_x)",
            "trino": "transform(sequence(0, part_n - 1), i -> part_x)",
            "bigquery": "ARRAY(SELECT part_x FROM UNNEST(GENERATE_ARRAY(0, part_n - 1)) AS i)",
            "snowflake": "transform(ARRAY_GENERATE_RANGE(0, part_n), i -> part_x)",
        },
        reason="no other engine has list comprehensions",
    ),
    "list_median": Difference(
        duckdb="list_median(list)",
        instead={
            "clickhouse": "arrayReduce('quantileExactInclusive(0.5)', part_x)",
            # of an array around the array, so that it is made and sorted once
            "spark": "transform(array(sort_array(part_x)),"
            " s -> (s[(size(s) - 1) DIV 2] + s[size(s) DIV 2]) / 2)[0]",
            "trino": "(element_at(array_sort(part_x), (cardinality(part_x) + 1) / 2)"
            " + element_at(array_sort(part_x), cardinality(part_x) / 2 + 1)) / 2",
            "bigquery": "(SELECT PERCENTILE_CONT(one, 0.5) OVER () FROM UNNEST(part_x) AS one LIMIT 1)",
            "snowflake": "(GET(ARRAY_SORT(part_x), FLOOR((ARRAY_SIZE(part_x) - 1) / 2))"
            " + GET(ARRAY_SORT(part_x), FLOOR(ARRAY_SIZE(part_x) / 2))) / 2",
        },
        reason="no other engine has a function of this name",
    ),
    "sorted": Difference(
        duckdb="list(x ORDER BY x)",
        instead={
            "clickhouse": "arraySort(groupArray(part_x))",
            "spark": "array_sort(collect_list(part_x))",
            "bigquery": "ARRAY_AGG(part_x ORDER BY part_x)",
        },
        reason="ClickHouse and Spark sort no aggregate, but its list; BigQuery knows no NULLS LAST there",
    ),
    "hash": Difference(
        duckdb="hash(a, b, c)",
        instead={
            "clickhouse": "cityHash64(part_0, part_1, part_2)",
            "spark": "abs(xxhash64(part_0, part_1, part_2) % 2147483647)",
            "trino": "abs(from_big_endian_64(xxhash64(to_utf8(CONCAT(CAST(part_0 AS VARCHAR), ' ',"
            " CAST(part_1 AS VARCHAR), ' ', CAST(part_2 AS VARCHAR))))) % 2147483647)",
            "bigquery": "ABS(MOD(FARM_FINGERPRINT(FORMAT('%d %d %d', part_0, part_1, part_2)), 2147483647))",
            "snowflake": "abs(hash(part_0, part_1, part_2) % 2147483647)",
        },
        reason="each engine has hashes of its own, and so draws other resamples: the ends of the interval of "
        "question 17 lie elsewhere, by less than a quarter of its width (1,000 resamples; tested)",
        inexact=DIALECTS,
    ),
    "divide": Difference(
        duckdb="a / b",
        instead={"spark": "try_divide(part_a, part_b)"},
        reason="Spark ends a query that divides by 0. NULL stands there where DuckDB says inf or nan",
        inexact=("spark",),
    ),
    "order": Difference(
        duckdb="SELECT a AS b ... ORDER BY b",
        instead={"clickhouse": "ORDER BY 1"},
        reason="where the table has a column b, too, ClickHouse is told to take that one (SETTINGS), and does so "
        "in ORDER BY as well",
    ),
    "macro": Difference(
        duckdb="FROM goodput(...), FROM fluidity(...)",
        instead={},
        reason="no other engine has tables with named arguments: the macro's query stands there, and they in it",
    ),
    "frame": Difference(
        duckdb="quantile_cont(x, q) OVER (ROWS ...)",
        instead={"bigquery": "", "snowflake": ""},
        reason="BigQuery and Snowflake have no percentile over a moving frame: question 13 is not asked there",
    ),
}
"""All that sqlglot does not know by itself, or does otherwise than the answers need."""

SETTINGS: dict[Dialect, dict[str, str]] = {
    "clickhouse": {
        "aggregate_functions_null_for_empty": "1",  # the sum of nothing is NULL, not 0
        "group_by_use_nulls": "1",  # a grouping set has NULL for a column that it is without, not ''
        "join_use_nulls": "1",  # so has an outer join
        "prefer_column_name_to_alias": "1",  # `sum(chars) AS chars` is of the column
        "session_timezone": "UTC",
    },
    "spark": {
        "spark.sql.ansi.enabled": "true",  # a sum that does not fit is an error, not another number
        "spark.sql.session.timeZone": "UTC",
    },
}
"""What a session must say for the answers to be the same."""

LATEST_CALL = "row_number() OVER (PARTITION BY call ORDER BY attempts DESC, wall_ns) = 1"
"""Of a call that was retried after its segment was shipped there is a row more, with the attempts up to then."""
CALLS = f"SELECT * FROM shipped_calls QUALIFY {LATEST_CALL}"  # noqa: S608 - no input
"""The view `calls` of a lake, over the rows that were shipped: LAKE.md says why."""


def translate(query: str, dialect: Dialect) -> str:
    """A query of ours for another engine. Raises Untranslatable, and MissingPackage without sqlglot."""
    glot = need("sqlglot", "clickhouse")
    try:
        [tree] = glot.parse(query, read="duckdb")
        if tree is None:
            raise ValueError("no query")
        tree = _Rewriter(dialect).rewritten(tree)
        text = tree.sql(dialect=dialect, pretty=True, unsupported_level=glot.ErrorLevel.IGNORE)
        glot.parse(text, read=dialect)
    except (glot.errors.SqlglotError, ValueError) as error:
        said = _COLOUR.sub("", str(error)).partition("\n")[0]
        raise Untranslatable(f"not in {dialect}: {said}") from None
    return cast("str", text)


def macros() -> dict[str, tuple[dict[str, str], str]]:
    """By name, the parameters of a macro with their defaults, and its query."""
    text = resources("recorder.analytics").joinpath("sql", "macros.sql").read_text(encoding="utf-8")
    found: dict[str, tuple[dict[str, str], str]] = {}
    for name, parameters, body in _MACRO.findall(text):
        pairs = (one.split(":=") for one in parameters.split(","))
        found[name] = ({left.strip(): right.strip() for left, right in pairs}, body)
    return found


class _Rewriter:
    """Applies the differences to a tree of DuckDB's SQL."""

    def __init__(self, dialect: Dialect) -> None:
        self._glot = need("sqlglot", "clickhouse")
        self._exp = need("sqlglot.expressions", "clickhouse")
        self._dialect: Dialect = dialect

    def rewritten(self, tree: Any) -> Any:
        tree = self._expanded(tree)
        if self._dialect in ("bigquery", "snowflake"):
            self._check_frames(tree)
        if self._dialect in DIFFERENCES["order"].instead:
            self._order_by_place(tree)
        # the inner ones first: what stands in the place of a part is not looked into again
        for rule in (
            self._divide, self._hash, self._table, self._aggregate, self._each, self._call, self._whole,
        ):  # fmt: skip
            tree = tree.transform(rule)
        return tree

    def _instead(self, name: str, node: Any, **parts: Any) -> Any:
        """What stands for `node`, its parts in their places."""
        template = DIFFERENCES[name].instead.get(self._dialect)
        if template is None:
            return node
        tree = self._glot.parse_one(template, read=self._dialect)
        for column in list(tree.find_all(self._exp.Column)):
            if column.name.startswith(_PART):
                part = parts[column.name.removeprefix(_PART)].copy()
                column.replace(self._exp.paren(part) if isinstance(part, self._exp.Binary) else part)
        return tree

    def _expanded(self, tree: Any) -> Any:
        """With the queries of macros where they are called."""
        exp, known = self._exp, macros()
        for table in list(tree.find_all(exp.Table)):
            if not isinstance(table.this, exp.Anonymous) or table.this.name not in known:
                continue
            defaults, body = known[table.this.name]
            values = {
                **defaults,
                **{one.this.name: one.expression.sql("duckdb") for one in table.this.expressions},
            }
            inner = self._glot.parse_one(body, read="duckdb")
            for column in list(inner.find_all(exp.Column)):
                if not column.table and column.name in values:
                    column.replace(self._glot.parse_one(values[column.name], read="duckdb"))
            table.replace(inner.subquery(table.this.name))
        return tree

    def _check_frames(self, tree: Any) -> None:
        exp = self._exp
        for window in tree.find_all(exp.Window):
            if isinstance(window.this, exp.PercentileCont | exp.Median):
                raise ValueError("no percentile over a moving frame")  # noqa: TRY004

    def _order_by_place(self, tree: Any) -> None:
        exp = self._exp
        for select in tree.find_all(exp.Select):
            places = {
                one.alias: str(n) for n, one in enumerate(select.expressions, 1) if isinstance(one, exp.Alias)
            }
            for ordered in select.args["order"].expressions if select.args.get("order") else ():
                column = ordered.this
                if isinstance(column, exp.Column) and not column.table and column.name in places:
                    column.replace(exp.Literal.number(places[column.name]))

    def _table(self, node: Any) -> Any:
        exp = self._exp
        if not (isinstance(node, exp.Table) and isinstance(node.this, exp.GenerateSeries)):
            return node
        tree = self._instead("range", node, n=node.this.args["end"])
        alias = node.args["alias"]
        for name in [one for one in tree.find_all(exp.Identifier) if one.name == "run"]:
            name.set("this", alias.columns[0].name)
        return tree.subquery(alias.name)

    def _aggregate(self, node: Any) -> Any:
        exp = self._exp
        if isinstance(node, exp.Median):
            return self._instead("quantile", node, x=node.this, q=exp.Literal.number("0.5"))
        if isinstance(node, exp.PercentileCont):
            if self._dialect == "snowflake":
                order = exp.Order(expressions=[exp.Ordered(this=node.this)])
                return exp.WithinGroup(this=exp.PercentileCont(this=node.expression), expression=order)
            return self._instead("quantile", node, x=node.this, q=node.expression)
        if isinstance(node, exp.ArrayAgg) and isinstance(node.this, exp.Order):
            return self._instead("sorted", node, x=node.this.this)
        return node

    def _each(self, node: Any) -> Any:
        exp = self._exp
        if not (isinstance(node, exp.Array) and len(node.expressions) == 1):
            return node
        [each] = node.expressions
        if not isinstance(each, exp.Comprehension):
            return node
        return self._instead("each", node, x=each.this, n=each.args["iterator"].args["end"])

    def _divide(self, node: Any) -> Any:
        if not isinstance(node, self._exp.Div) or isinstance(node.expression, self._exp.Literal):
            return node
        return self._instead("divide", node, a=node.this, b=node.expression)

    def _hash(self, node: Any) -> Any:
        if not isinstance(node, self._exp.Anonymous) or node.name.lower() != "hash":
            return node
        return self._instead("hash", node, **{str(n): one for n, one in enumerate(node.expressions)})

    def _call(self, node: Any) -> Any:
        names = {"to_microseconds": "microseconds", "list_median": "list_median"}
        if not isinstance(node, self._exp.Anonymous) or node.name.lower() not in names:
            return node
        return self._instead(names[node.name.lower()], node, x=node.expressions[0])

    def _whole(self, node: Any) -> Any:
        exp = self._exp
        if isinstance(node, exp.Cast) and node.to.is_type("bigint") and not isinstance(node.this, exp.Round):
            node.set("this", exp.Round(this=node.this))
        return node
