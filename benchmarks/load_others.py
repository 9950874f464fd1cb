"""Time to first token by model and gaps of all streams, asked of pandas or Polars: `load_others.py NAME FILE...`.

As load.py asks our tables: p50, p95 and p99, exact. Only what the questions need is kept of each line. Prints one
line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time

QUANTILES = [0.5, 0.95, 0.99]
NUMBERS = ("seq", "at", "chunk", "block", "chars")
WORDS = ("kind", "stream", "event", "delta")


def with_polars(files: list[str]) -> list[list[float]]:
    import polars as pl

    def quantiles(name: str) -> list[pl.Expr]:
        return [pl.col(name).quantile(one, "linear").alias(str(one)) / 1e9 for one in QUANTILES]

    model = pl.Struct({"model": pl.String})
    schema = dict.fromkeys(WORDS, pl.String) | dict.fromkeys(NUMBERS, pl.Int64)
    lines = pl.scan_ndjson(files, schema=schema | {"data": model, "summary": model})
    lines = lines.with_columns(
        asked=pl.col("data").struct.field("model"), answered=pl.col("summary").struct.field("model")
    )
    models = lines.filter(pl.col("kind").is_in(["request", "end"])).group_by("stream")
    models = models.agg(
        model=pl.coalesce(pl.col("answered").drop_nulls().first(), pl.col("asked").drop_nulls().first())
    )
    output = lines.filter(
        (pl.col("event") == "content_block_delta") & (pl.col("chars") > 0) & (pl.col("delta") != "signature_delta")
    ).select("stream", *NUMBERS)
    ttft = output.group_by("stream").agg(pl.col("at").min()).join(models, on="stream")
    ttft = ttft.group_by("model").agg(*quantiles("at")).sort("model").drop("model").collect()
    before = [pl.col(name).shift().over("stream").alias(f"{name}_before") for name in ("at", "chunk", "block")]
    ordered = output.sort("stream", "seq").with_columns(*before)
    ordered = ordered.filter(
        (pl.col("block") == pl.col("block_before")) & (pl.col("chunk") != pl.col("chunk_before"))
    ).select(gap=pl.col("at") - pl.col("at_before"))
    return [list(row) for row in [*ttft.rows(), *ordered.select(*quantiles("gap")).collect().rows()]]


def with_pandas(files: list[str]) -> list[list[float]]:
    import pandas as pd

    parts, requests, ends = [], [], []
    for file in files:
        for part in pd.read_json(file, lines=True, chunksize=100_000, dtype=False, convert_dates=False):
            asked, ended = part[part["kind"] == "request"], part[part["kind"] == "end"]
            requests.append(asked["data"].str.get("model").set_axis(asked["stream"]))
            ends.append(ended["summary"].str.get("model").set_axis(ended["stream"]))
            is_output = (part["event"] == "content_block_delta") & (part["chars"] > 0)
            parts.append(part[is_output & (part["delta"] != "signature_delta")][["stream", *NUMBERS]])
    models = pd.concat(ends).dropna().combine_first(pd.concat(requests))
    output = pd.concat(parts).sort_values(["stream", "seq"])
    first = output.groupby("stream")["at"].min()
    ttft = first.groupby(models.reindex(first.index)).quantile(QUANTILES).unstack().sort_index()
    before = output.groupby("stream")[["at", "chunk", "block"]].shift()
    is_gap = (output["block"] == before["block"]) & (output["chunk"] != before["chunk"])
    gaps = (output["at"] - before["at"])[is_gap].quantile(QUANTILES)
    return [list(row) for row in (ttft / 1e9).to_numpy()] + [list(gaps / 1e9)]


def main() -> None:
    name, *files = sys.argv[1:]
    wall, cpu = time.perf_counter(), time.process_time()
    answers = {"polars": with_polars, "pandas": with_pandas}[name](files)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "answers": answers}))


if __name__ == "__main__":
    main()
