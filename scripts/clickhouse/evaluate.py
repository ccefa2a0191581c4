"""What ClickHouse says of expressions over rows: JSON in, and an answer a line out. It runs inside of this process (pip install chdb)."""

import json
import sys

from chdb import session

# Times are UTC wherever no zone is written, and 1/0 has a spelling.
SETTINGS = (
    "SETTINGS session_timezone = 'UTC', output_format_json_quote_64bit_integers = 0, "
    "output_format_json_quote_denormals = 1"
)


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(literal(one) for one in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)


def text(value):
    """As it is written in JSON, numbers to the last digit."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def answer(database, sql, source):
    try:
        said = database.query(f"SELECT toTypeName(q), q FROM ({source(sql)}) ORDER BY id {SETTINGS}", "JSONCompactEachRow")
        lines = [json.loads(line, parse_int=str, parse_float=str) for line in str(said).strip().split("\n")]
        return {"sql": sql, "type": lines[0][0], "values": [text(value) for _, value in lines]}
    except RuntimeError as error:
        return {"sql": sql, "error": str(error).split(": while executing")[0].split(": In scope")[0][:200]}


def main():
    asked = json.load(sys.stdin)
    database = session.Session()
    database.query(f"CREATE TABLE rows ({asked['columns']}) ENGINE = Memory")
    for row in asked["rows"]:
        database.query(f"INSERT INTO rows VALUES ({', '.join(literal(value) for value in row)})")
    for sql in asked["expressions"]:
        print(json.dumps(answer(database, sql, lambda of: f"SELECT n AS id, {of} AS q FROM rows"), ensure_ascii=False))
    for sql in asked["aggregates"]:
        grouped = lambda of: f"SELECT i IS NULL AS id, {of} AS q FROM (SELECT * FROM rows ORDER BY n) GROUP BY id"
        print(json.dumps(answer(database, sql, grouped), ensure_ascii=False))
    print(json.dumps({"sql": "version()", "values": [str(database.query("SELECT version()", "TSVRaw")).strip()]}))


if __name__ == "__main__":
    main()
