"""Holds an export of the tiles of examples/flights against what DuckDB makes of the same log.

    check_tiles.py PARQUET LOG

LOG is NDJSON of good flights in the order of time. Tiles of each entity and level are compared both ways; those that
nothing can ask for any more may have left, and only those. One JSON object is written:

    {"rows": 21008, "compared": {"origin 1m": 2299, ...}, "gone": 12, "differences": [...]}
"""

import json
import sys

from duckdb_values import ENTITIES, MINUTE, load

DIFFERENCES_MAX = 20
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Level -> (length, how long a tile is kept from its start: longest window, itself, lateness), in microseconds.
LEVELS = {
    "1m": (MINUTE, 2 * HOUR + MINUTE + HOUR),
    "30m": (30 * MINUTE, 5 * DAY + 30 * MINUTE + HOUR),
    "1d": (DAY, 5 * DAY + DAY + HOUR),
    "lifetime": (None, None),
}
NAMES = ["flights", "delay_sum", "delay_mean", "delay_min", "delay_max", "late"]
VALUES = """count(*), coalesce(sum(delay), 0)::BIGINT, avg(delay), min(delay), max(delay),
            (count(*) FILTER (delay > 15))::BIGINT"""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    parquet, log = sys.argv[1:]
    connection = load(log)
    connection.execute("CREATE TABLE tile AS FROM read_parquet(?)", [parquet])
    (clock,) = connection.execute("SELECT max(time) FROM flight").fetchone()
    differences, compared, gone = [], {}, 0
    for entity, of in ENTITIES.items():
        for level, (length, kept) in LEVELS.items():
            ours = rows(connection.execute(f"""
                SELECT {", ".join(f"_key_{i + 1}" for i in range(len(of["keys"])))}, epoch_us(_tile_start),
                       {", ".join(f'"{entity}_delays:{name}"' for name in NAMES)}
                FROM tile WHERE _entity = '{entity}' AND _level = '{level}'"""), len(of["keys"]))
            start = "NULL::BIGINT" if length is None else f"time - time % {length}"
            theirs = rows(connection.execute(f"""
                SELECT {", ".join(of["keys"])}, {start} AS start, {VALUES} FROM flight GROUP BY ALL"""), len(of["keys"]))
            for place in ours.keys() | theirs.keys():
                if place not in ours and kept is not None and place[-1] + kept <= clock:
                    gone += 1
                elif ours.get(place) != theirs.get(place):
                    differences.append(f"{entity} {level} {place}: {ours.get(place)}, {theirs.get(place)} by DuckDB")
            compared[f"{entity} {level}"] = len(ours)
    (count,) = connection.execute("SELECT count(*) FROM tile").fetchone()
    others = connection.execute("SELECT count(*) FROM tile WHERE (_entity = 'route') = (_key_2 IS NULL)").fetchone()
    if others != (0,):
        differences.append(f"{others} rows have keys of another entity")
    print(json.dumps({"rows": count, "compared": compared, "gone": gone, "differences": differences[:DIFFERENCES_MAX]}))


def rows(result, keys):
    """(key, tile start) -> values, each with its type."""
    return {row[: keys + 1]: [(type(v).__name__, v) for v in row[keys + 1 :]] for row in result.fetchall()}


if __name__ == "__main__":
    main()
