"""The features of scripts/bench/features/replay, written by hand as window functions of DuckDB, over the same NDJSON.

duckdb_replay.py EVENTS.ndjson THREADS OUT.parquet: reads the events, computes the columns of each, writes them, and prints as JSON
{"seconds", "version", "sums"}: how long that took, and what the columns come to. No two events are of one millisecond.
"""

import json
import sys
import time

import duckdb

HOUR, DAY = 3_600_000, 86_400_000
AGGREGATES = {"views": "count(*)", "ms": "sum(ms)", "likes": "count(*) FILTER (WHERE liked)"}
WINDOWS = {"_2h": f"RANGE {2 * HOUR} PRECEDING", "_1d": f"RANGE {DAY} PRECEDING", "": "ROWS UNBOUNDED PRECEDING"}


def column(key, name, length):
    over = f'PARTITION BY "{key}" ORDER BY moment {WINDOWS[length]}'
    return f"({AGGREGATES[name]} OVER ({over}))::BIGINT AS {key}_{name}{length}"


NAMES = [(key, name, length) for key in ("post", "user") for name in AGGREGATES for length in WINDOWS]
COLUMNS = [column(*name) for name in NAMES]
COLUMNS.append('list(post) OVER (PARTITION BY "user" ORDER BY moment ROWS 4 PRECEDING) AS user_posts')

path, threads, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
db = duckdb.connect()
db.execute(f"SET threads = {threads}")
start = time.perf_counter()
fields = "{id: 'VARCHAR', time: 'TIMESTAMP', data: 'STRUCT(\"user\" VARCHAR, post VARCHAR, ms BIGINT, liked BOOLEAN)'}"
db.execute(
    f"""COPY (
      SELECT id, moment, {", ".join(COLUMNS)} FROM (
        SELECT id, epoch_ms(time) AS moment, data."user" AS "user", data.post AS post, data.ms AS ms, data.liked AS liked
        FROM read_json(?, format = 'newline_delimited', columns = {fields})))
    TO '{out}' (FORMAT parquet)""",
    [path],
)
seconds = time.perf_counter() - start

# Each value by when its event was, so that those of two events cannot change places; the posts of a list by their places too.
weight = "(moment % 1009 + 1)"
sums = [f"sum({key}_{name}{length}::HUGEINT * {weight})::VARCHAR" for key, name, length in NAMES]
lists = "list_sum(list_transform(list_reverse(user_posts), lambda p, i: i * substr(p, 2)::BIGINT))"
sums.append(f"sum({lists}::HUGEINT * {weight})::VARCHAR")
found = db.execute(f"SELECT {', '.join(sums)} FROM read_parquet('{out}')").fetchone()
names = [f"{key}_{name}{length}" for key, name, length in NAMES] + ["user_posts"]
print(json.dumps({"seconds": seconds, "version": duckdb.__version__, "sums": dict(zip(names, found))}))
