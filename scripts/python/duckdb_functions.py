"""What DuckDB makes of SQL expressions over rows of a table.

Standard input is one JSON object:

    {"columns": {"s": "VARCHAR", ...}, "rows": [{"s": "x", "i": "42", "x": "0x1.8p+0", "t": "1000000"}, ...],
     "sql": ["UPPER(s)", ...]}

Numbers and times (microseconds) come as text, so that none is rounded on the way; null is null. One line is written for
each expression, a JSON list with a value for each row: integers and times as text, doubles as in Python's float.hex.
What DuckDB ends with an error is null.
"""

import json
import sys

import duckdb
import pyarrow

READ = {"VARCHAR": str, "BIGINT": int, "DOUBLE": float.fromhex, "BOOLEAN": bool, "TIMESTAMP": int}
ARROW = {
    "VARCHAR": pyarrow.string(),
    "BIGINT": pyarrow.int64(),
    "DOUBLE": pyarrow.float64(),
    "BOOLEAN": pyarrow.bool_(),
    "TIMESTAMP": pyarrow.timestamp("us"),
}


def main():
    asked = json.load(sys.stdin)
    columns = asked["columns"]
    arrays = {
        name: pyarrow.array([read_as(row[name], kind) for row in asked["rows"]], type=ARROW[kind])
        for name, kind in columns.items()
    }
    arrays["position"] = pyarrow.array(range(len(asked["rows"])), type=pyarrow.int64())
    connection = duckdb.connect()
    connection.register("given", pyarrow.table(arrays))
    connection.execute("CREATE TABLE rows AS SELECT * FROM given")
    for sql in asked["sql"]:
        kind = connection.execute(f"SELECT typeof({sql}) FROM rows LIMIT 1").fetchone()[0]
        value = f"epoch_us(TRY({sql}))" if kind == "TIMESTAMP" else f"TRY({sql})"
        found = connection.execute(f"SELECT {value} FROM rows ORDER BY position").fetchall()
        print(json.dumps([written(row[0]) for row in found]))


def read_as(value, kind):
    return None if value is None else READ[kind](value)


def written(value):
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


main()
