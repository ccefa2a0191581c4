"""What DuckDB makes of SQL expressions over rows of a table.

Standard input is one JSON object:

    {"columns": {"s": "VARCHAR", ...}, "rows": [{"s": "x", "i": "42", "x": "0x1.8p+0", "t": "1000000"}, ...],
     "sql": ["UPPER(s)", ...]}

With `"as_written": true` expressions are not rewritten: DuckDB makes LIKE of some regular expressions, wrongly where a
part of one is empty ('(?:)a').

Numbers and times (microseconds) come as text, so that none is rounded on the way; null is null. A list (`BIGINT[]`) is a
list of these, a struct (`STRUCT(name VARCHAR, legs BIGINT[])`) an object. One line is written for each expression, a
JSON list with a value for each row: integers and times as text, doubles as in Python's float.hex, lists and structs of
those. What DuckDB ends with an error is null.
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


def arrow_type(kind):
    if kind.endswith("[]"):
        return pyarrow.list_(arrow_type(kind[:-2]))
    if kind.startswith("STRUCT("):
        return pyarrow.struct([(name, arrow_type(of)) for name, of in fields(kind)])
    return ARROW[kind]


def fields(kind):
    return [field.split(" ", 1) for field in kind[len("STRUCT(") : -1].split(", ")]


def main():
    asked = json.load(sys.stdin)
    columns = asked["columns"]
    arrays = {
        name: pyarrow.array([read_as(row[name], kind) for row in asked["rows"]], type=arrow_type(kind))
        for name, kind in columns.items()
    }
    arrays["position"] = pyarrow.array(range(len(asked["rows"])), type=pyarrow.int64())
    connection = duckdb.connect()
    if asked.get("as_written"):
        connection.execute("SET disabled_optimizers = 'expression_rewriter'")
    connection.register("given", pyarrow.table(arrays))
    connection.execute("CREATE TABLE rows AS SELECT * FROM given")
    for sql in asked["sql"]:
        kind = connection.execute(f"SELECT typeof({sql}) FROM rows LIMIT 1").fetchone()[0]
        value = f"epoch_us(TRY({sql}))" if kind == "TIMESTAMP" else f"TRY({sql})"
        found = connection.execute(f"SELECT {value} FROM rows ORDER BY position").fetchall()
        print(json.dumps([written(row[0]) for row in found]))


def read_as(value, kind):
    if value is None:
        return None
    if kind.endswith("[]"):
        return [read_as(one, kind[:-2]) for one in value]
    if kind.startswith("STRUCT("):
        return {name: read_as(value[name], of) for name, of in fields(kind)}
    return READ[kind](value)


def written(value):
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, list):
        return [written(one) for one in value]
    if isinstance(value, dict):
        return {name: written(one) for name, one in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


main()
