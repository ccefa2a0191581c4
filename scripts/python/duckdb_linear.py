"""What DuckDB, and Python's fractions, make of the linear aggregates of test/checks/linear.test.ts.

Standard input is NDJSON: {"who": text, "i": int or null, "d": float or null, "s": text or null, "time": microseconds}. One
JSON object is written for each `who`: exact variances as in Python's float.hex, and DuckDB's values.
"""

import json
import sys
from fractions import Fraction

import duckdb
import pyarrow

HALF_LIFE = 3_600_000_000


def variance(values, less):
    n = len(values)
    if n <= less:
        return None
    total = sum(values)
    squares = sum(value * value for value in values)
    return float((n * squares - total * total) / Fraction(n * (n - less))).hex()


rows = [json.loads(line) for line in sys.stdin]
schema = pyarrow.schema(
    [("who", pyarrow.string()), ("i", pyarrow.int64()), ("d", pyarrow.float64()), ("s", pyarrow.string()), ("time", pyarrow.int64())]
)
events = pyarrow.Table.from_pylist(rows, schema=schema)
now = max(row["time"] for row in rows)

found = duckdb.sql(
    f"""SELECT who, var_pop(d), var_samp(d), stddev_pop(d), stddev_samp(i), count(DISTINCT s), count(DISTINCT i),
               to_json(map_entries(histogram(s))), to_json(map_entries(histogram(i))),
               [count(*) FILTER (i <= -10), count(*) FILTER (i > -10 AND i <= 0), count(*) FILTER (i > 0)],
               quantile_disc(d, [0, 0.25, 0.5, 0.99, 1]), sum(d * pow(2, (time - {now}) / {HALF_LIFE})),
               sum(pow(2, (time - {now}) / {HALF_LIFE})) FILTER (s IS NOT NULL)
        FROM events GROUP BY who ORDER BY who"""
).fetchall()

for row in found:
    mine = [one for one in rows if one["who"] == row[0]]
    exact = {
        name: [variance([Fraction(one[name]) for one in mine if one[name] is not None], less) for less in (0, 1)]
        for name in ("i", "d")
    }
    print(json.dumps({"who": row[0], "exact": exact, "duckdb": row[1:]}))
