"""Tiles of posts by DuckDB, for scripts/bench.

    duckdb_tiles.py make EVENTS OUT THREADS [memory]
                                        tiles of 1 minute, 30 minutes and 1 day, each from the one before, to OUT (Parquet)
    duckdb_tiles.py compare OUT CSV     exits with 1 where these are not the rows that tilefold has made

`make` prints {"seconds", "rows", "bytes", "version"}: from the first byte of the NDJSON to the last of the Parquet, which
has so many bytes; with `memory` to the last of three TEMP TABLEs, which take so many, and Parquet is written after that.
"""

import json
import os
import sys
import time

import duckdb

MINUTE, HALF_HOUR, DAY = 60_000, 1_800_000, 86_400_000
ROWS = "post, {level}::BIGINT AS level, start, n, ms, liked"


def make(events, out, threads, where="parquet"):
    db = duckdb.connect()
    db.execute(f"SET threads = {int(threads)}")
    table = "TEMP TABLE" if where == "memory" else "TABLE"
    columns = "{time: 'TIMESTAMP', data: 'STRUCT(post VARCHAR, ms BIGINT, liked BOOLEAN)'}"
    since = time.perf_counter()
    db.execute(
        f"""CREATE {table} minutes AS
        SELECT data.post AS post, epoch_ms(time) // {MINUTE} * {MINUTE} AS start,
               count(*) AS n, sum(data.ms)::BIGINT AS ms, count_if(data.liked)::BIGINT AS liked
        FROM read_json(?, format = 'newline_delimited', columns = {columns}) GROUP BY ALL""",
        [events],
    )
    for name, finer, level in (("half_hours", "minutes", HALF_HOUR), ("days", "half_hours", DAY)):
        db.execute(
            f"""CREATE {table} {name} AS
            SELECT post, start // {level} * {level} AS start,
                   sum(n)::BIGINT AS n, sum(ms)::BIGINT AS ms, sum(liked)::BIGINT AS liked
            FROM {finer} GROUP BY ALL"""
        )
    seconds = time.perf_counter() - since
    size = db.execute("SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").fetchone()[0]
    levels = (("minutes", MINUTE), ("half_hours", HALF_HOUR), ("days", DAY))
    union = " UNION ALL ".join(f"SELECT {ROWS.format(level=level)} FROM {name}" for name, level in levels)
    (rows,) = db.execute(f"COPY ({union}) TO '{out}' (FORMAT parquet)").fetchone()
    if where != "memory":
        seconds = time.perf_counter() - since
        size = os.path.getsize(out)
    print(json.dumps({"seconds": seconds, "rows": rows, "bytes": size, "version": duckdb.__version__}))


def compare(out, csv):
    db = duckdb.connect()
    types = "{post: 'VARCHAR', level: 'BIGINT', start: 'BIGINT', n: 'BIGINT', ms: 'BIGINT', liked: 'BIGINT'}"
    ours = f"(FROM read_csv('{csv}', header = false, columns = {types}))"
    theirs = f"(SELECT post, level, start, n, ms, liked FROM read_parquet('{out}'))"
    counts = [db.execute(f"SELECT count(*) FROM {rows}").fetchone()[0] for rows in (ours, theirs)]
    different = [
        row
        for one, other in ((ours, theirs), (theirs, ours))
        for row in db.execute(f"{one} EXCEPT ALL {other} LIMIT 3").fetchall()
    ]
    print(json.dumps({"rows": counts}))
    if counts[0] != counts[1] or different:
        sys.exit(f"{counts[0]} rows of tilefold, {counts[1]} of DuckDB; different: {different}")


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
