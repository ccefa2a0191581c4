"""Reads a Parquet file and an Arrow file of the same table with pyarrow, Polars, pandas and DuckDB.

    check_parquet.py PARQUET ARROW
    check_parquet.py PARQUET            prints the rows of each row group, [65536, 464], and reads no value

pyarrow's Arrow is what the others are held against: every value, doubles by their bits (all NaN are one). One JSON object
is written:

    {"rows": 400, "types": {"_time": "timestamp[us, tz=UTC]", ...}, "required": ["_position", ...], "about": {...},
     "groups": [256, 144], "compared": {"pyarrow": ..., "polars": ..., "pandas": ..., "duckdb": ...}, "differences": [...]}
"""

import datetime
import json
import struct
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.feather
import pyarrow.parquet

DIFFERENCES_MAX = 20
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICRO = datetime.timedelta(microseconds=1)


def main():
    if len(sys.argv) == 2:
        print(json.dumps(groups(pyarrow.parquet.ParquetFile(sys.argv[1]).metadata)))
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    parquet, arrow = sys.argv[1:]
    wanted = pyarrow.feather.read_table(arrow)
    file = pyarrow.parquet.ParquetFile(parquet)
    found = file.read()
    duck = duckdb.sql("FROM read_parquet(?)", params=[parquet]).to_arrow_table()
    differences = []
    readers = {
        "pyarrow": found,
        "polars": polars.read_parquet(parquet),
        "pandas": pandas.read_parquet(parquet, dtype_backend="pyarrow"),
        "duckdb": duck,
    }
    compared = {who: compare(who, wanted, table, differences) for who, table in readers.items()}
    metadata = file.metadata
    print(
        json.dumps(
            {
                "rows": metadata.num_rows,
                "types": {field.name: str(field.type) for field in found.schema},
                "required": [field.name for field in found.schema if not field.nullable],
                "about": {
                    "parquet": {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()},
                    "arrow": {key.decode(): value.decode() for key, value in (wanted.schema.metadata or {}).items()},
                },
                "groups": groups(metadata),
                "compared": compared,
                "differences": differences[:DIFFERENCES_MAX],
            }
        )
    )


def groups(metadata):
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def compare(who, wanted, table, differences):
    """Returns how many values were compared."""
    names = list(table.columns) if not isinstance(table, pyarrow.Table) else table.column_names
    if names != wanted.column_names:
        differences.append(f"{who} has the columns {names}")
        return 0
    count = 0
    for name in names:
        ours = [plain(value) for value in wanted[name].to_pylist()]
        theirs = [plain(value) for value in listed(table[name])]
        if len(ours) != len(theirs):
            differences.append(f"{name}: {len(theirs)} rows by {who}, {len(ours)} in Arrow")
        for row, (a, b) in enumerate(zip(ours, theirs)):
            if a != b:
                differences.append(f"{name} at {row}: {b!r} by {who}, {a!r} in Arrow")
        count += len(ours)
    return count


def listed(column):
    if isinstance(column, pandas.Series):
        return pyarrow.array(column).to_pylist()
    return column.to_list() if isinstance(column, polars.Series) else column.to_pylist()


def plain(value):
    """With its type, as Python takes True for 1 and 0.0 for -0.0."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, datetime.datetime):
        return "time", (value - EPOCH) // MICRO
    if isinstance(value, float):
        return "double", "NaN" if value != value else struct.pack("<d", value).hex()
    return type(value).__name__, value


if __name__ == "__main__":
    main()
