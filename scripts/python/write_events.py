"""Writes the same events as DuckDB, pandas and pyarrow write CSV and Parquet, for timelines to be made of.

    write_events.py FOLDER

Beside the files there are `events.json`, what each of them holds as JSON, and `nested.json`, what the files have that hold
lists and structs. One JSON object is written: {"events": [FILE, ...], "nested": [FILE, ...]}.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone

import duckdb
import pandas
import pyarrow
import pyarrow.parquet

EVENTS = 500
START = datetime(2024, 5, 1, tzinfo=timezone.utc)


def main(folder):
    rows = [event(i, random.Random(i)) for i in range(EVENTS)]
    events = table = pyarrow.table(
        {
            "_type": pyarrow.array([row["_type"] for row in rows]),
            "_time": pyarrow.array([row["_time"] for row in rows], pyarrow.timestamp("us", "UTC")),
            "_id": pyarrow.array([row["_id"] for row in rows]),
            "shop": pyarrow.array([row["shop"] for row in rows]),
            "cents": pyarrow.array([row["cents"] for row in rows], pyarrow.int64()),
            "mean": pyarrow.array([row["mean"] for row in rows], pyarrow.float64()),
            "open": pyarrow.array([row["open"] for row in rows], pyarrow.bool_()),
        }
    )
    files = []

    def path(name):
        files.append(name)
        return f"{folder}/{name}"

    frame = table.to_pandas()
    frame["cents"] = pandas.array([row["cents"] for row in rows], dtype="Int64")
    frame.to_csv(path("pandas.csv"), index=False)
    frame.to_csv(path("pandas.tsv.gz"), index=False, sep="\t")
    frame.to_parquet(path("pandas.parquet"))
    duckdb.sql("SET TimeZone = 'UTC'")
    duckdb.sql(f"COPY events TO '{path('duckdb.csv')}' (HEADER)")
    duckdb.sql(f"COPY (SELECT * REPLACE (_time::TIMESTAMP AS _time) FROM events) TO '{path('naive.csv')}' (HEADER)")
    for codec in ["snappy", "zstd", "gzip", "uncompressed"]:
        duckdb.sql(f"COPY events TO '{path(f'duckdb_{codec}.parquet')}' (FORMAT parquet, CODEC {codec}, ROW_GROUP_SIZE 200)")
    pyarrow.parquet.write_table(table, path("groups.parquet"), row_group_size=70, compression="lz4")
    pyarrow.parquet.write_table(table, path("brotli.parquet"), compression="brotli", data_page_version="2.0")
    millis = [int(micros(row["_time"])) // 1000 for row in rows]
    in_millis = table.set_column(1, "_time", pyarrow.array(millis, pyarrow.int64()))
    pyarrow.parquet.write_table(in_millis, path("millis.parquet"))
    nanos = table.set_column(1, "_time", table["_time"].cast(pyarrow.timestamp("ns", "UTC")))
    pyarrow.parquet.write_table(nanos, path("nanos.parquet"))
    dump(f"{folder}/events.json", [expected(row) for row in rows])

    nested = pyarrow.Table.from_pylist([nested_event(i, random.Random(i)) for i in range(100)], schema=NESTED)
    pyarrow.parquet.write_table(nested, f"{folder}/nested.parquet", row_group_size=33)
    duckdb.sql(f"COPY nested TO '{folder}/nested_duckdb.parquet' (FORMAT parquet)")
    dump(f"{folder}/nested.json", [nested_expected(row) for row in nested.to_pylist()])
    print(json.dumps({"events": files, "nested": ["nested.parquet", "nested_duckdb.parquet"]}))


def event(i, chance):
    """No two are of the same time; times have whole milliseconds."""
    return {
        "_type": chance.choice(["sale", "visit"]),
        "_time": START + timedelta(seconds=i, milliseconds=chance.randrange(1000)),
        "_id": f"e{i}",
        "shop": chance.choice(["north", "süd, \"alt\"", "a\nb", "x" * 40, None]),
        "cents": chance.choice([None, 0, -5, 2**53 + 1, -(2**63), 2**63 - 1, chance.randrange(10**6)]),
        "mean": chance.choice([None, 0.1, -2.5e-7, 1e300, float("inf"), float("-inf"), chance.random()]),
        "open": chance.choice([None, True, False]),
    }


def expected(row):
    data = {name: value for name, value in row.items() if not name.startswith("_") and value is not None}
    return {"type": row["_type"], "micros": micros(row["_time"]), "id": row["_id"], "data": said(data)}


def said(data):
    """What JSON cannot say as a number is told as a text, and so are integers that a double does not hold."""
    spelled = {}
    for name, value in data.items():
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            value = "inf" if value > 0 else "-inf"
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        spelled[name] = value
    return spelled


NESTED = pyarrow.schema(
    [
        ("_type", pyarrow.string()),
        ("_time", pyarrow.timestamp("us", "UTC")),
        ("tags", pyarrow.list_(pyarrow.string())),
        ("crew", pyarrow.list_(pyarrow.struct([("name", pyarrow.string()), ("hours", pyarrow.float64())]))),
        ("home", pyarrow.struct([("street", pyarrow.string()), ("at", pyarrow.timestamp("us", "UTC"))])),
        ("day", pyarrow.date32()),
        ("small", pyarrow.float32()),
    ]
)


def nested_event(i, chance):
    return {
        "_type": "nested",
        "_time": START + timedelta(seconds=i),
        "tags": chance.choice([None, [], ["a"], ["b", "c", "d"]]),
        "crew": chance.choice([None, [], [{"name": "x", "hours": 1.5}, {"name": None, "hours": 2.0}]]),
        "home": chance.choice([None, {"street": "s", "at": START + timedelta(microseconds=i)}]),
        "day": chance.choice([None, (START + timedelta(days=i)).date()]),
        "small": chance.choice([None, 0.5, 1.25]),
    }


def nested_expected(row):
    data = {name: plain(value) for name, value in row.items() if not name.startswith("_") and value is not None}
    return {"type": row["_type"], "micros": micros(row["_time"]), "data": data}


def plain(value):
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, datetime):
        return {"micros": micros(value)}
    if hasattr(value, "isoformat"):
        return {"micros": micros(datetime(value.year, value.month, value.day, tzinfo=timezone.utc))}
    return value


def micros(time):
    return str((time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1))


def dump(path, value):
    with open(path, "w") as file:
        json.dump(value, file)


main(sys.argv[1])
