"""Values in the text of a query, where DuckDB takes no parameter."""

from __future__ import annotations


def literal(text: str) -> str:
    """A string of SQL."""
    return "'" + text.replace("'", "''") + "'"
