"""Recordings as DuckDB tables. Nothing here is imported until it is asked for: DuckDB is slow to load."""
