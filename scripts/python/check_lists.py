"""Reads a replay of LAST_N over flights with pyarrow, Polars and pandas, and computes it once more with DuckDB.

    check_lists.py ARROW NDJSON LOG

ARROW and NDJSON are replays of the same LOG (NDJSON of flights in the order of time) with the feature set of
test/checks/lists.test.ts. One JSON object is written:

    {"rows": 3767, "types": {"latest:delays_2h": "list<item: int64>", ...}, "compared": {"ndjson": ..., "polars": ...,
     "pandas": ..., "duckdb": ...}, "items": 81723, "differences": ["latest:delays_2h at 17: [3] in NDJSON, [4] in Arrow", ...]}

Times are compared as microseconds, doubles to the last bit.
"""

import json
import sys
from datetime import datetime, timezone

import pandas
import polars
import pyarrow
import pyarrow.feather

from check_frame import compare, place, preceding
from duckdb_values import WINDOWS, load

DIFFERENCES_MAX = 20

# name -> (values, condition, how many)
LISTS = {
    "delays": ("delay", "TRUE", 5),
    "late": ("delay", "delay > 15", 3),
    "destinations": ("destination", "TRUE", 1000),
    "sevenths": ("delay / 7", "TRUE", 10),
    "times": ("time", "TRUE", 2),
    "punctual": ("delay <= 0", "TRUE", 1),
}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    arrow, ndjson, log = sys.argv[1:]
    table = pyarrow.feather.read_table(arrow)
    table.validate(full=True)
    ours = {name: micros(table[name].to_pylist()) for name in table.column_names if ":" in name}
    differences = []
    compared = {
        "ndjson": compare_all(ours, from_ndjson(ndjson, table), "in NDJSON", differences),
        "polars": compare_all(ours, from_polars(arrow), "in Polars", differences),
        "pandas": compare_all(ours, from_pandas(arrow), "in pandas", differences),
        "duckdb": compare_all(ours, from_duckdb(log), "by DuckDB", differences),
    }
    print(
        json.dumps(
            {
                "rows": table.num_rows,
                "types": {name: str(table.schema.field(name).type) for name in ours},
                "compared": compared,
                "items": sum(len(one) for column in ours.values() for one in column),
                "differences": differences[:DIFFERENCES_MAX],
            }
        )
    )


def compare_all(ours, theirs, who, differences):
    if sorted(ours) != sorted(theirs):
        differences.append(f"{who} there are {sorted(theirs)}")
    return sum(compare(name, ours[name], theirs[name], who, differences) for name in ours if name in theirs)


def micros(lists):
    """Times as microseconds since 1970."""
    return [one and [item if not isinstance(item, datetime) else epoch(item) for item in one] for one in lists]


def epoch(time):
    since = time.replace(tzinfo=time.tzinfo or timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def from_ndjson(path, table):
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]

    def column(name):
        item = table.schema.field(name).type.value_type
        if pyarrow.types.is_floating(item):
            # JSON writes a whole double without a point.
            return [[float(value) for value in line[name]] for line in lines]
        if pyarrow.types.is_timestamp(item):
            return micros([[datetime.fromisoformat(value) for value in line[name]] for line in lines])
        return [line[name] for line in lines]

    return {name: column(name) for name in lines[0] if ":" in name}


def from_polars(path):
    frame = polars.read_ipc(path)
    return {name: micros(frame[name].to_list()) for name in frame.columns if ":" in name}


def from_pandas(path):
    frame = pandas.read_feather(path)
    return {name: [plain(one) for one in frame[name]] for name in frame.columns if ":" in name}


def plain(array):
    """A list of numpy's scalars as Python's."""
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]").astype("int64").tolist()
    return array.tolist()


def from_duckdb(log):
    """An event's list is the last few of all in its window, in the order of (time, position), turned around."""
    connection = load(log)
    windows = [
        f"w_{window} AS (PARTITION BY origin ORDER BY place RANGE BETWEEN {preceding(shape)} PRECEDING AND CURRENT ROW)"
        for window, shape in WINDOWS.items()
    ]
    columns = [
        f"list_reverse(coalesce(list({value}) FILTER (({value}) IS NOT NULL AND {condition}) OVER w_{window}, [])[-{count}:])"
        f' AS "latest:{name}_{window}"'
        for name, (value, condition, count) in LISTS.items()
        for window in WINDOWS
    ]
    result = connection.execute(f"""
        WITH placed AS (SELECT *, {place("time")} + position AS place FROM flight)
        SELECT {", ".join(columns)} FROM placed WINDOW {", ".join(windows)} ORDER BY position""")
    names = [column[0] for column in result.description]
    return dict(zip(names, map(list, zip(*result.fetchall()))))


if __name__ == "__main__":
    main()
