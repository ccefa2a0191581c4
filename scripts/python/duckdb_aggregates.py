"""One aggregate of the log that scripts/bench/aggregates.ts makes, by DuckDB on one thread.

    duckdb_aggregates.py EVENTS EXPRESSION RUNS

Prints {"seconds": median of RUNS, "version", "values": {key: value}}: the time is that of grouping by key and day a table
that is in memory already, the values are those of each key over all days.
"""

import json
import statistics
import sys
import time

import duckdb

COLUMNS = "{time: 'TIMESTAMP', data: 'STRUCT(k VARCHAR, n BIGINT, x DOUBLE, s VARCHAR, v DOUBLE[])'}"


def main(events, expression, runs):
    db = duckdb.connect()
    db.execute("SET threads = 1")
    db.execute(
        f"""CREATE TEMP TABLE e AS SELECT time, time::DATE AS day, data.k AS k, data.n AS n, data.x AS x, data.s AS s, data.v AS v
        FROM read_json(?, format = 'newline_delimited', columns = {COLUMNS})""",
        [events],
    )
    seconds = []
    for _ in range(int(runs)):
        since = time.perf_counter()
        db.execute(f"CREATE OR REPLACE TEMP TABLE tiles AS SELECT k, day, {expression} AS value FROM e GROUP BY k, day")
        seconds.append(time.perf_counter() - since)
    rows = db.execute(f"SELECT k, {expression} AS value FROM e GROUP BY k").fetchall()
    print(json.dumps({"seconds": statistics.median(seconds), "version": duckdb.__version__, "values": dict(rows)}))


main(*sys.argv[1:])
