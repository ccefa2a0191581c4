"""The same as duckdb_replay.py by chDB, which is ClickHouse in a process: what docs/bench.md says of it was measured with this.

chdb_replay.py EVENTS.ndjson THREADS OUT.parquet: prints as JSON {"seconds", "version", "sums"}. chDB comes with `pip install chdb`; the
benchmark does not ask for it.
"""

import json
import os
import sys
import time

import chdb

HOUR, DAY = 3_600_000, 86_400_000
AGGREGATES = {"views": "count()", "ms": "sum(ms)", "likes": "countIf(liked)"}
WINDOWS = {
    "_2h": f"RANGE BETWEEN {2 * HOUR} PRECEDING AND CURRENT ROW",
    "_1d": f"RANGE BETWEEN {DAY} PRECEDING AND CURRENT ROW",
    "": "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
}
NAMES = [(key, name, length) for key in ("post", "user") for name in AGGREGATES for length in WINDOWS]


def column(key, name, length):
    over = f"PARTITION BY {key} ORDER BY moment {WINDOWS[length]}"
    return f"{AGGREGATES[name]} OVER ({over}) AS {key}_{name}{length}"


path, threads, out = os.path.abspath(sys.argv[1]), int(sys.argv[2]), os.path.abspath(sys.argv[3])
columns = [column(*name) for name in NAMES]
latest = "PARTITION BY user ORDER BY moment ROWS BETWEEN 4 PRECEDING AND CURRENT ROW"
columns.append(f"groupArray(post) OVER ({latest}) AS user_posts")
fields = "id String, time DateTime64(3), data Tuple(user String, post String, ms Int64, liked Bool)"
if os.path.exists(out):
    os.remove(out)
start = time.perf_counter()
chdb.query(
    f"""INSERT INTO FUNCTION file('{out}', Parquet)
    SELECT id, moment, {", ".join(columns)} FROM (
      SELECT id, toUnixTimestamp64Milli(time) AS moment, data.user AS user, data.post AS post, data.ms AS ms, data.liked AS liked
      FROM file('{path}', JSONEachRow, '{fields}'))
    SETTINGS max_threads = {threads}, date_time_input_format = 'best_effort'"""
)
seconds = time.perf_counter() - start

weight = "(moment % 1009 + 1)"
sums = [f"toString(sum(toInt128({key}_{name}{length}) * {weight}))" for key, name, length in NAMES]
posts = "arrayMap(p -> toInt128(substring(p, 2)), user_posts)"
lists = f"arraySum(arrayMap((p, i) -> p * i, arrayReverse({posts}), arrayEnumerate(user_posts)))"
sums.append(f"toString(sum({lists} * {weight}))")
found = chdb.query(f"SELECT {', '.join(sums)} FROM file('{out}', Parquet)", "JSONCompactEachRow")
names = [f"{key}_{name}{length}" for key, name, length in NAMES] + ["user_posts"]
values = json.loads(str(found).strip().splitlines()[0])
print(json.dumps({"seconds": seconds, "version": chdb.__version__, "sums": dict(zip(names, values))}))
