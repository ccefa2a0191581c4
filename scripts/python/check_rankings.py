"""Reads a replay of aggregates that keep values in an order over flights, and computes it once more with DuckDB.

    check_rankings.py ARROW LOG

ARROW is a replay of LOG (NDJSON of flights in the order of time) with the feature set of test/checks/rankings.test.ts. One JSON
object is written:

    {"rows": 3767, "compared": 120544, "differences": ["ranked:top_2h at 17: [3] by DuckDB, [4] in Arrow", ...],
     "approximate": {"count": 15068, "exact": 14002, "worst": 0.021}}

`approximate` says of the counts of distinct values how many there are, how many are exact, and how far the worst is off.
"""

import json
import sys

import pyarrow
import pyarrow.feather

from check_frame import compare, place, preceding
from check_lists import DIFFERENCES_MAX
from duckdb_values import WINDOWS, load

# A value that ranks, and of equal ones the earliest first: `place` is (time, position) as one number.
EARLIEST_OF_MOST = "delay::HUGEINT * 1000000000000000 - place"
EARLIEST_OF_LEAST = "delay::HUGEINT * 1000000000000000 + place"

# name -> what DuckDB computes over a window
RANKED = {
    "greatest": "max(destination) OVER w",
    "least": "min(destination) OVER w",
    "top": "coalesce(max(delay, 5) OVER w, [])",
    "low": "coalesce(min(delay, 3) OVER w, [])",
    "best": f"arg_max(destination, {EARLIEST_OF_MOST}) FILTER (delay IS NOT NULL) OVER w",
    "worst": f"coalesce(arg_min(destination, {EARLIEST_OF_LEAST}, 4) FILTER (delay IS NOT NULL) OVER w, [])",
    "first": "coalesce(list(delay) FILTER (delay IS NOT NULL) OVER w, [])[:3]",
    "delays": "coalesce(list(delay) FILTER (delay IS NOT NULL) OVER w, [])",
    "places": "list_sort(list_distinct(coalesce(list(destination) OVER w, [])))",
    "recent": "coalesce(list(destination) OVER w, [])",
    "since": "epoch_us(make_timestamp(time)) - max(time) FILTER (delay > 60) OVER w",
}
LIST_MAX = 1000
RECENT = 3


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    arrow, log = sys.argv[1:]
    table = pyarrow.feather.read_table(arrow)
    table.validate(full=True)
    theirs, counts = from_duckdb(log)
    differences = []
    compared = 0
    for name, column in theirs.items():
        compared += compare(name, table[name].to_pylist(), column, "by DuckDB", differences)
    print(
        json.dumps(
            {
                "rows": table.num_rows,
                "compared": compared,
                "differences": differences[:DIFFERENCES_MAX],
                "approximate": approximate(table, counts),
            }
        )
    )


def approximate(table, counts):
    errors = []
    for name, exact in counts.items():
        errors += [abs(ours - theirs) / theirs for ours, theirs in zip(table[name].to_pylist(), exact) if theirs > 0]
    return {"count": len(errors), "exact": errors.count(0), "worst": max(errors)}


def from_duckdb(log):
    connection = load(log)
    windows = [
        f"w_{window} AS (PARTITION BY origin ORDER BY place RANGE BETWEEN {preceding(shape)} PRECEDING AND CURRENT ROW)"
        for window, shape in WINDOWS.items()
    ]
    distinct = {"about": "count(DISTINCT destination) OVER w"}
    columns = [
        f'{sql.replace("OVER w", f"OVER w_{window}")} AS "ranked:{name}_{window}"'
        for name, sql in {**RANKED, **distinct}.items()
        for window in WINDOWS
    ]
    result = connection.execute(f"""
        WITH placed AS (SELECT *, {place("time")} + position AS place FROM flight)
        SELECT {", ".join(columns)} FROM placed WINDOW {", ".join(windows)} ORDER BY position""")
    names = [column[0] for column in result.description]
    values = dict(zip(names, map(list, zip(*result.fetchall()))))
    counts = {name: values.pop(name) for name in names if name.startswith("ranked:about_")}
    for name in values:
        if name.startswith("ranked:delays_"):
            values[name] = [one if len(one) <= LIST_MAX else None for one in values[name]]
        if name.startswith("ranked:recent_"):
            values[name] = [latest(one) for one in values[name]]
    return values, counts


def latest(values):
    """The distinct ones that were latest, the latest first."""
    return list(dict.fromkeys(reversed(values)))[:RECENT]


if __name__ == "__main__":
    main()
