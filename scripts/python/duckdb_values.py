"""The features of examples/flights, computed by DuckDB from an event log of good events in the order of time.

    duckdb_values.py [LOG] [--at TIME | --positions P,P,...] [--entities FILE] [--out FILE]
    duckdb_values.py [LOG] --demo           the entities of the demo, at the end of the log: expected.json
    duckdb_values.py [LOG] --check FILE     compares FILE with what --demo gives; exits 1 on a difference

LOG is NDJSON, gzipped or not; without it the bundled week. A position is a record's index in the log; the prefix up to
it includes it, and is read at the greatest time in it. `--at` takes the records up to a time and reads them then.
Without either: the whole log, at its last time.
One JSON object is written for each moment, one a line:

    {"time": "...", "position": 112986,
     "entities": {"origin": {"keys": [["ATL"], ...], "features": {"origin_delays:flights_2h": [...]}}, ...}}

All entities of the prefix, keys ascending. What a feature means is written here once more, in SQL, so that nothing is
shared with what it judges.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path

import duckdb
import pyarrow

WEEK = Path(__file__).parents[2] / "examples/flights/flights-week.ndjson.gz"

# Window -> (length, resolution) in microseconds: events with time >= floor(t - length, resolution) count.
MINUTE = 60_000_000
WINDOWS = {
    "2h": (120 * MINUTE, MINUTE),
    "1d": (1440 * MINUTE, 30 * MINUTE),
    "5d": (7200 * MINUTE, 30 * MINUTE),
    "lifetime": None,
}

# `inside` is true of the events in the window that is asked for.
AGGREGATES = {
    "flights": "count(*) FILTER (inside)",
    "delay_sum": "coalesce(sum(delay) FILTER (inside), 0)",
    "delay_mean": "avg(delay) FILTER (inside)",
    "delay_min": "min(delay) FILTER (inside)",
    "delay_max": "max(delay) FILTER (inside)",
    "late": "count(*) FILTER (inside AND delay > 15)",
}

ENTITIES = {
    "origin": {"keys": ["origin"], "rates": ["2h", "1d"]},
    "destination": {"keys": ["destination"], "rates": ["2h", "1d"]},
    "route": {"keys": ["origin", "destination"], "rates": ["1d", "5d"]},
}

# The last entity of each kind never flew: all windows are empty.
DEMO = {
    "origin": [["ATL"], ["ORD"], ["LAX"], ["JFK"], ["BIL"], ["ZZZ"]],
    "destination": [["ATL"], ["DFW"], ["SFO"], ["ZZZ"]],
    "route": [["ATL", "ORD"], ["LAX", "SFO"], ["SFO", "LAX"], ["ATL", "ZZZ"]],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", default=str(WEEK))
    parser.add_argument("--at")
    parser.add_argument("--positions")
    parser.add_argument("--entities", help='JSON {"origin": [["ATL"]], ...}: only these, in this order')
    parser.add_argument("--out")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--check")
    args = parser.parse_args()

    connection = load(args.log)
    wanted = json.load(open(args.entities)) if args.entities else DEMO if args.demo or args.check else None
    if args.check:
        sys.exit(check(args.check, values(connection, *end(connection), wanted)))
    out = open(args.out, "w") if args.out else sys.stdout
    for moment in moments(connection, args):
        answer = values(connection, *moment, wanted)
        out.write((spread(answer) if args.demo else json.dumps(answer, separators=(",", ":"))) + "\n")


def load(path):
    """A table `flight` of position, time (microseconds), origin, destination, delay."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line]
    log = pyarrow.table({"position": list(range(len(lines))), "line": lines})
    connection = duckdb.connect()
    connection.register("log", log)
    connection.execute("""
        CREATE TABLE flight AS
        SELECT position,
               epoch_us((line->>'$.time')::TIMESTAMP) AS time,
               line->>'$.data.origin' AS origin,
               line->>'$.data.destination' AS destination,
               (line->>'$.data.delay')::BIGINT AS delay
        FROM log""")
    (disorder,) = one(connection, """
        SELECT count(*) FROM (SELECT time, lag(time) OVER (ORDER BY position) AS before FROM flight)
        WHERE time < before""")
    if disorder:
        sys.exit(f"{path}: {disorder} events are earlier than the one before; only logs in the order of time will do")
    return connection


def one(connection, sql, parameters=()):
    """The only row of a query."""
    (row,) = connection.execute(sql, list(parameters)).fetchall()
    return row


def end(connection):
    return one(connection, "SELECT max(position), max(time) FROM flight")


def moments(connection, args):
    """(position, time in microseconds) of each answer."""
    if args.positions:
        for position in map(int, args.positions.split(",")):
            yield one(connection, "SELECT max(position), max(time) FROM flight WHERE position <= ?", [position])
    elif args.at:
        yield one(
            connection,
            "SELECT max(position), epoch_us(?::TIMESTAMP) FROM flight WHERE time <= epoch_us(?::TIMESTAMP)",
            [args.at, args.at],
        )
    else:
        yield end(connection)


def values(connection, position, time, wanted):
    entities = {name: entity_values(connection, name, position, time, wanted) for name in ENTITIES}
    (iso,) = one(connection, "SELECT strftime(make_timestamp(?), '%Y-%m-%dT%H:%M:%SZ')", [time])
    return {"time": iso, "position": position, "entities": entities}


def entity_values(connection, entity, position, time, wanted):
    keys, rates = ENTITIES[entity]["keys"], ENTITIES[entity]["rates"]
    columns = [
        f"{sql.replace('inside', inside(window, time))} AS {alias}_{window}"
        for alias, sql in AGGREGATES.items()
        for window in WINDOWS
    ]
    derived = [f"late_{w}::DOUBLE / nullif(flights_{w}, 0)::DOUBLE AS late_rate_{w}" for w in rates]
    by = ", ".join(keys)
    # An entity without events is one all the same: its row of the join is all null, outside every window.
    if wanted is None:
        asked = f"""
            SELECT row_number() OVER (ORDER BY {by}) AS ordinal, *
            FROM (SELECT DISTINCT {by} FROM flight WHERE position <= {position})"""
    else:
        asked = " UNION ALL ".join(
            f"SELECT {i} AS ordinal, " + ", ".join(f"'{part}' AS {key}" for part, key in zip(parts, keys))
            for i, parts in enumerate(wanted[entity])
        )
    result = connection.execute(f"""
        WITH asked AS ({asked}),
        prefix AS (SELECT * FROM flight WHERE position <= {position}),
        aggregated AS (
            SELECT ordinal, {by}, {", ".join(columns)}
            FROM asked LEFT JOIN prefix USING ({by}) GROUP BY ALL)
        SELECT *, {", ".join(derived)} FROM aggregated ORDER BY ordinal""")
    names = [column[0] for column in result.description]
    columns = dict(zip(names, map(list, zip(*result.fetchall()))))
    key_rows = [list(row) for row in zip(*(columns.pop(key) for key in keys))]
    del columns["ordinal"]
    return {"keys": key_rows, "features": {f"{entity}_delays:{name}": column for name, column in columns.items()}}


def inside(window, time):
    if WINDOWS[window] is None:
        return "time IS NOT NULL"
    length, resolution = WINDOWS[window]
    since = time - length
    return f"time >= {since - since % resolution}"


def spread(value):
    """JSON with a line for each feature, so that a change shows as one."""
    lines = [f'"time": {json.dumps(value["time"])}', f'"position": {value["position"]}']
    kinds = []
    for entity, of in value["entities"].items():
        features = ",\n".join(f"        {json.dumps(name)}: {json.dumps(row)}" for name, row in of["features"].items())
        keys = f'      "keys": {json.dumps(of["keys"])}'
        kinds.append(f'    {json.dumps(entity)}: {{\n{keys},\n      "features": {{\n{features}\n      }}\n    }}')
    return "{\n  " + ",\n  ".join(lines) + ',\n  "entities": {\n' + ",\n".join(kinds) + "\n  }\n}"


def check(path, made):
    """0 where the committed values are those just made; numbers must be the same to the last bit."""
    committed = json.load(open(path))
    differences = [f"{what}: {a!r} committed, {b!r} made" for what, a, b in pairs(committed, made) if a != b]
    for difference in differences:
        print(difference, file=sys.stderr)
    count = sum(len(list_) for of in made["entities"].values() for list_ in of["features"].values())
    verdict = f"{len(differences)} differences" if differences else f"{count} values are as DuckDB has them"
    print(f"{path}: {verdict}")
    return 1 if differences else 0


def pairs(committed, made):
    for top in ("time", "position"):
        yield top, committed.get(top), made[top]
    yield "entities", sorted(committed["entities"]), sorted(made["entities"])
    for entity, of in made["entities"].items():
        other = committed["entities"].get(entity, {"keys": None, "features": {}})
        yield f"{entity} keys", other["keys"], of["keys"]
        yield f"{entity} features", sorted(other["features"]), sorted(of["features"])
        for name, list_ in of["features"].items():
            yield name, other["features"].get(name), list_


if __name__ == "__main__":
    main()
