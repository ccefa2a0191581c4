"""Prints what pyarrow and Polars read of nested columns.

    check_nested.py ARROW PARQUET

One JSON object: for each reader and file the rows, each an object. Maps are objects, times RFC 3339 texts.
"""

import json
import sys
from datetime import datetime

import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet


def main(arrow, parquet):
    tables = {
        "pyarrow of Arrow": pyarrow.ipc.open_file(arrow).read_all(),
        "pyarrow of Parquet": pyarrow.parquet.read_table(parquet),
    }
    read = {name: [plain(row) for row in table.to_pylist()] for name, table in tables.items()}
    read["Polars of Arrow"] = [plain(row) for row in polars.read_ipc(arrow, use_pyarrow=False).to_dicts()]
    read["Polars of Parquet"] = [plain(row) for row in polars.read_parquet(parquet).to_dicts()]
    print(json.dumps(read))


def plain(value):
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: plain(of) for name, of in value.items()}
    if not isinstance(value, list):
        return value
    # A map comes as pairs, or as structs of a key and a value.
    if value and all(isinstance(one, tuple) for one in value):
        return {key: plain(of) for key, of in value}
    if value and all(isinstance(one, dict) and set(one) == {"key", "value"} for one in value):
        return {one["key"]: plain(one["value"]) for one in value}
    return [plain(one) for one in value]


main(*sys.argv[1:])
