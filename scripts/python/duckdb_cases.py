"""Answers random cases by DuckDB (test/proof/duckdb.test.ts).

Reads JSON from standard input: a list of {"tables": [{name, columns: [[name, type]], rows}], "queries": [text]}, and
writes a list of lists of rows. Times are microseconds since 1970 UTC both ways; whole numbers, which may be longer than
a double, times, infinities and NaN come as text. Of a query that ends in an overflow there is null: what is null for us is an error there.
"""

import datetime
import decimal
import json
import math
import sys

import duckdb

EPOCH = datetime.datetime(1970, 1, 1)


def shown(value):
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool) or value is None or isinstance(value, (float, str)):
        return value
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.datetime):
        return str((value - EPOCH) // datetime.timedelta(microseconds=1))
    if isinstance(value, list):
        return [shown(one) for one in value]
    raise TypeError(f"{value!r} of {type(value)}")


def made(value, kind):
    if value is None or kind != "TIMESTAMP":
        return value
    return EPOCH + datetime.timedelta(microseconds=int(value))


def answers(case):
    connection = duckdb.connect()
    for table in case["tables"]:
        columns = table["columns"]
        connection.execute(f"CREATE TABLE {table['name']} ({', '.join(f'{name} {kind}' for name, kind in columns)})")
        rows = [[made(value, kind) for value, (_, kind) in zip(row, columns)] for row in table["rows"]]
        if rows:
            marks = ", ".join("?" for _ in columns)
            connection.executemany(f"INSERT INTO {table['name']} VALUES ({marks})", rows)
    found = []
    for query in case["queries"]:
        try:
            found.append([[shown(value) for value in row] for row in connection.execute(query).fetchall()])
        except duckdb.OutOfRangeException:
            found.append(None)
        except duckdb.Error as error:
            raise RuntimeError(f"{query}: {error}") from error
    return found


json.dump([answers(case) for case in json.load(sys.stdin)], sys.stdout)
