"""The topology of scripts/bench/sequence.ts, written by hand as window functions of DuckDB, over the same NDJSON.

duckdb_sequence.py EVENTS.ndjson THREADS: reads the events, computes the ten columns for each, and prints as JSON how long it took, how many
rows there are, and the sums of some columns: those of the replay have to be the same.
"""

import json
import sys
import time

import duckdb

MS = 1
MINUTE = 60_000
DAY = 86_400_000


def window(aggregate: str, key: str, length: int, name: str) -> str:
    frame = f"RANGE BETWEEN {length} PRECEDING AND CURRENT ROW"
    return f"{aggregate} OVER (PARTITION BY {key} ORDER BY ms {frame}) AS {name}"


COLUMNS = [
    window("count(*)", "email", 10 * MINUTE, "n_x"),
    window("sum(cents)", "email", 60 * MINUTE, "spent_x"),
    window("avg(amount)", "email", DAY, "mean_x"),
    window("max(cents)", "email", DAY, "most_x"),
    window("count(DISTINCT ip)", "email", DAY, "ips_x"),
    window("count(*) FILTER (WHERE ok)", "email", 30 * DAY, "good_x"),
    window("count(*)", "ip", 10 * MINUTE, "of_ip_x"),
    window("sum(cents)", "ip", DAY, "ip_spent_x"),
    window("sum(cents)", "merchant", 30 * DAY, "sold_x"),
    window("count(*)", "merchant", DAY, "sales_x"),
]

path, threads = sys.argv[1], int(sys.argv[2])
connection = duckdb.connect()
connection.execute(f"SET threads = {threads}")
start = time.monotonic()
connection.execute(
    f"""
    CREATE TABLE payment AS
    SELECT data.email AS email, data.ip AS ip, data.merchant AS merchant, data.amount AS amount, data.cents AS cents,
           data.ok AS ok, epoch_ms(time) AS ms
    FROM read_json('{path}', format = 'newline_delimited', columns = {{
      'time': 'TIMESTAMP',
      'data': 'STRUCT(email VARCHAR, ip VARCHAR, merchant VARCHAR, amount DOUBLE, cents BIGINT, ok BOOLEAN)'}})
    """
)
connection.execute(f"CREATE TABLE answered AS SELECT {', '.join(COLUMNS)} FROM payment")
seconds = time.monotonic() - start
rows, *sums = connection.execute(
    "SELECT count(*), sum(n_x), sum(spent_x), sum(most_x), sum(ips_x), sum(good_x), sum(of_ip_x), sum(sales_x) FROM answered"
).fetchone()
print(json.dumps({"seconds": seconds, "rows": rows, "sums": [int(each) for each in sums], "version": duckdb.__version__}))
