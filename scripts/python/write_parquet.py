"""Writes a few rows as pyarrow and DuckDB write Parquet: pages of both versions, lists, and every way to compress and to write values.

    write_parquet.py FOLDER

One JSON object is written: {"rows": COUNT, "files": [FILE, ...]}.
"""

import json
import sys

import duckdb
import pyarrow
import pyarrow.parquet

ROWS = 60


def main(folder):
    index = range(ROWS)
    flat = {
        "id": pyarrow.array([str(i) for i in index]),
        "at": pyarrow.array([1_700_000_000_000_000 + i for i in index], pyarrow.timestamp("us", "UTC")),
        "cents": pyarrow.array([None if i % 7 == 0 else i << 20 for i in index], pyarrow.int64()),
        "small": pyarrow.array([i * 3 for i in index], pyarrow.int32()),
        "mean": pyarrow.array([i / 4 for i in index], pyarrow.float64()),
        "open": pyarrow.array([None if i % 5 == 0 else i % 2 == 0 for i in index], pyarrow.bool_()),
    }
    nested = {
        "none": pyarrow.array([None for _ in index], pyarrow.string()),
        "tags": pyarrow.array([[f"t{i % 5}"] * (i % 4) if i % 7 else None for i in index]),
        "items": pyarrow.array([[{"a": i, "b": None if i % 3 else "x" * (i % 9)}] * (i % 3) for i in index]),
    }
    ways = {
        "cents": "DELTA_BINARY_PACKED",
        "small": "DELTA_BINARY_PACKED",
        "id": "DELTA_BYTE_ARRAY",
        "mean": "BYTE_STREAM_SPLIT",
        "open": "RLE",
    }
    files = []

    def write(name, columns, **options):
        files.append(name)
        pyarrow.parquet.write_table(pyarrow.table(columns), f"{folder}/{name}", row_group_size=40, **options)

    for version in ["1.0", "2.0"]:
        for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
            write(f"{codec}{version[0]}.parquet", {**flat, **nested}, compression=codec, data_page_version=version)
        options = {"compression": "none", "data_page_version": version}
        write(f"ways{version[0]}.parquet", flat, use_dictionary=False, column_encoding=ways, **options)
        write(f"checked{version[0]}.parquet", flat, write_page_checksum=True, **options)
    events = pyarrow.table({**flat, **nested})
    for version in ["v1", "v2"]:
        files.append(f"duckdb_{version}.parquet")
        options = f"FORMAT parquet, PARQUET_VERSION {version}, CODEC uncompressed"
        duckdb.sql(f"COPY (SELECT * FROM events) TO '{folder}/{files[-1]}' ({options})")
    print(json.dumps({"rows": ROWS, "files": files}))


main(sys.argv[1])
