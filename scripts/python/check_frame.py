"""Reads a replay of flights with Polars and with pandas, and computes all of it once more with DuckDB.

    check_frame.py ARROW NDJSON [LOG]

ARROW and NDJSON are replays of the same LOG (NDJSON of flights in the order of time, gzipped or not; without it the
bundled week). One JSON object is written:

    {"rows": 112987, "polars": {"_time": "Datetime(time_unit='us', time_zone='UTC')", ...},
     "pandas": {"_time": "datetime64[us, UTC]", ...}, "nulls": 12, "compared": {"ndjson": ..., "pandas": ..., "duckdb": ...},
     "differences": ["origin_delays:flights_2h at 17: 3 in NDJSON, 4 in Arrow", ...]}

Doubles have to be the same to the last bit. A value of the event at position p over a window of length W and
resolution r is that of the events at positions up to p with time >= floor(t - W, r), t being its own time.
"""

import json
import sys

import pandas
import polars

from duckdb_values import ENTITIES, WEEK, WINDOWS, load

DIFFERENCES_MAX = 20

# Larger than any position: (time, position) as one number, in the order of both.
POSITIONS = 1 << 22

# `w` is the window that is asked for.
AGGREGATES = {
    "flights": "count(*) OVER w",
    "delay_sum": "coalesce(sum(delay) OVER w, 0)",
    "delay_mean": "avg(delay) OVER w",
    "delay_min": "min(delay) OVER w",
    "delay_max": "max(delay) OVER w",
    "late": "count(*) FILTER (delay > 15) OVER w",
}


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    arrow, ndjson, log = *sys.argv[1:3], sys.argv[3] if len(sys.argv) == 4 else str(WEEK)
    frame = polars.read_ipc(arrow)
    other = pandas.read_feather(arrow)
    differences = []
    compared = {
        "ndjson": compare_ndjson(frame, ndjson, differences),
        "pandas": compare_pandas(frame, other, differences),
        "duckdb": compare_duckdb(frame, log, differences),
    }
    print(
        json.dumps(
            {
                "rows": frame.height,
                "polars": {name: str(dtype) for name, dtype in frame.schema.items()},
                "pandas": {name: str(dtype) for name, dtype in other.dtypes.items()},
                "nulls": sum(frame.null_count().row(0)),
                "compared": compared,
                "differences": differences[:DIFFERENCES_MAX],
            }
        )
    )


def compare(name, ours, theirs, who, differences):
    """Two lists of a column; None is null, and nothing is equal to it but None. Returns how many values there were."""
    if len(ours) != len(theirs):
        differences.append(f"{name}: {len(theirs)} rows {who}, {len(ours)} in Arrow")
    for row, (a, b) in enumerate(zip(ours, theirs)):
        # An integer is not a double, even where Python calls them equal.
        if a != b or type(a) is not type(b):
            differences.append(f"{name} at {row}: {b!r} {who}, {a!r} in Arrow")
    return len(ours)


def compare_ndjson(frame, path, differences):
    """Line by line with Python's own json, which keeps integers whole and doubles exact."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    if lines and list(lines[0]) != frame.columns:
        differences.append(f"NDJSON has the columns {list(lines[0])}")
    count = 0
    for name in frame.columns:
        column = frame[name]
        if name == "_time":
            column = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        theirs = [line.get(name) for line in lines]
        if column.dtype == polars.Float64:
            # JSON writes a whole double without a point.
            theirs = [float(value) if type(value) is int else value for value in theirs]
        count += compare(name, column.to_list(), theirs, "in NDJSON", differences)
    return count


def compare_pandas(frame, other, differences):
    """pandas shows a column of integers with nulls as doubles: those are held against doubles."""
    count = 0
    for name in frame.columns:
        column = frame[name]
        if name == "_time":
            column = column.dt.epoch("us")
            theirs = other[name].astype("int64").to_list()
        else:
            if str(other[name].dtype) == "float64":
                column = column.cast(polars.Float64)
            theirs = [None if pandas.isna(value) else value for value in other[name].to_list()]
        count += compare(name, column.to_list(), theirs, "in pandas", differences)
    return count


def compare_duckdb(frame, log, differences):
    """The whole log by window functions: RANGE over (time, position) as one number is exactly the prefix of an event."""
    connection = load(log)
    ours = frame.sort("_position")
    count = 0
    for entity, of in ENTITIES.items():
        by = ", ".join(of["keys"])
        windows = [
            f"w_{window} AS (PARTITION BY {by} ORDER BY place RANGE BETWEEN {preceding(shape)} PRECEDING AND CURRENT ROW)"
            for window, shape in WINDOWS.items()
        ]
        columns = [
            f"{sql.replace('OVER w', f'OVER w_{window}')} AS {alias}_{window}"
            for alias, sql in AGGREGATES.items()
            for window in WINDOWS
        ]
        rates = [f"late_{w}::DOUBLE / nullif(flights_{w}, 0)::DOUBLE AS late_rate_{w}" for w in of["rates"]]
        result = connection.execute(f"""
            WITH placed AS (SELECT *, {place("time")} + position AS place FROM flight),
            windowed AS (SELECT position, {", ".join(columns)} FROM placed WINDOW {", ".join(windows)})
            SELECT *, {", ".join(rates)} FROM windowed ORDER BY position""")
        names = [column[0] for column in result.description]
        for name, theirs in zip(names, map(list, zip(*result.fetchall()))):
            name = "_position" if name == "position" else f"{entity}_delays:{name}"
            count += compare(name, ours[name].to_list(), theirs, "by DuckDB", differences)
    return count


def place(time):
    """Flights leave at whole minutes, so that seconds lose nothing."""
    return f"({time} // 1000000 - epoch(TIMESTAMP '2001-01-01')::BIGINT) * {POSITIONS}"


def preceding(shape):
    """How far before (time, position) a window begins: at its first second, and at any position."""
    if shape is None:
        return "UNBOUNDED"
    length, resolution = shape
    return f"(place - {place(f'((time - {length}) - (time - {length}) % {resolution})')})"


if __name__ == "__main__":
    main()
