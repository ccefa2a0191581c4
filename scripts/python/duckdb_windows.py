"""Windows that are over, and series of them, computed by DuckDB from the bundled week, or another log in the order of time.

    duckdb_windows.py POSITIONS [LOG]       POSITIONS are indices of the log, with commas between them

For each position one JSON object, one a line: the prefix up to it, read at its time, by origin:

    {"position": 1234, "origins": {"ATL": {"n_1h_tumbling": 3, "delay_3x1d": [4, null, 7], ...}, ...}}

Tiles begin at 5:30 UTC. Where a window begins and ends is said by time_bucket, so nothing is shared with what it judges.
"""

import gzip
import json
import sys
from pathlib import Path

import duckdb
import pyarrow

WEEK = Path(__file__).parents[2] / "examples/flights/flights-week.ndjson.gz"
ORIGIN = "TIMESTAMP '1970-01-01 05:30:00'"


def floor(step, time):
    return f"time_bucket(INTERVAL '{step}', {time}, {ORIGIN})"


def between(start, end):
    return f"time >= {start} AND time < {end}"


def ago(window, step, *offsets):
    """Moves by `step`, and ended so long ago."""
    end = " - ".join(["now", *(f"INTERVAL '{offset}'" for offset in offsets)])
    return between(floor(step, f"{end} - INTERVAL '{window}'"), floor(step, end))


def hopping(window, every, *offsets):
    end = floor(every, " - ".join(["now", *(f"INTERVAL '{offset}'" for offset in offsets)]))
    return between(f"{end} - INTERVAL '{window}'", end)


def sliding(window, step):
    return f"time >= {floor(step, f'''now - INTERVAL '{window}' ''')}"


# One condition for each window, a list of them for a series.
WINDOWS = {
    "1h_tumbling": hopping("1 hour", "1 hour"),
    "1d_tumbling": hopping("1 day", "1 day"),
    "45m_tumbling": hopping("45 minutes", "45 minutes"),
    "1d_every_6h": hopping("1 day", "6 hours"),
    "2h_every_30m_offset_1d": hopping("2 hours", "30 minutes", "1 day"),
    "1d_offset_2d": ago("1 day", "30 minutes", "2 days"),
    "2h_offset_37m": ago("2 hours", "1 minute", "37 minutes"),
    "3x1d": [sliding("1 day", "30 minutes"), ago("1 day", "30 minutes", "1 day"), ago("1 day", "30 minutes", "2 days")],
    "2x1d_tumbling": [hopping("1 day", "1 day"), hopping("1 day", "1 day", "1 day")],
}
AGGREGATES = {"n": "count(*) FILTER ({})", "delay": "max(delay) FILTER ({})", "mean": "avg(delay) FILTER ({})"}


def column(sql, window):
    if isinstance(window, list):
        return f"[{', '.join(sql.format(each) for each in window)}]"
    return sql.format(window)


def main():
    path = sys.argv[2] if len(sys.argv) > 2 else str(WEEK)
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line]
    connection = duckdb.connect()
    connection.register("log", pyarrow.table({"position": list(range(len(lines))), "line": lines}))
    connection.execute("""
        CREATE TABLE flight AS
        SELECT position,
               (line->>'$.time')::TIMESTAMP AS time,
               line->>'$.data.origin' AS origin,
               (line->>'$.data.delay')::BIGINT AS delay
        FROM log""")
    columns = [
        f"{column(sql, window)} AS {alias}_{label}"
        for alias, sql in AGGREGATES.items()
        for label, window in WINDOWS.items()
    ]
    for position in map(int, sys.argv[1].split(",")):
        result = connection.execute(f"""
            WITH prefix AS (SELECT * FROM flight WHERE position <= {position}),
            moment AS (SELECT max(time) AS now FROM prefix)
            SELECT origin, {", ".join(columns)} FROM prefix, moment GROUP BY origin""")
        names = [each[0] for each in result.description][1:]
        origins = {row[0]: dict(zip(names, row[1:])) for row in result.fetchall()}
        print(json.dumps({"position": position, "origins": origins}))


main()
