"""Writes changes of rows with Google's protobuf, as a program in front of the fold would.

    write_changes.py DESCRIPTORS SEED COUNT

DESCRIPTORS is a FileDescriptorSet of the proto folder. It prints the length of a ChangeBatch as a 4-byte little-endian
integer, the batch, which is COUNT changes: counts, sums, means and extremes of integers under ids from 1 to 5, of some keys and
tiles, and one JSON object: what there has to be of each row, by "entity/key/level/tile start" and then by id, summed up
by Python's integers.
"""

import json
import random
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

LIMIT = 1 << 63


def main(descriptors, seed, count):
    with open(descriptors, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    message = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tilefold.v1.{name}"))
    rng = random.Random(int(seed))
    rows = {}
    batch = b""
    for _ in range(int(count)):
        change = message("Change")(
            entity=rng.randint(1, 2),
            key=rng.choice(["a", "b", "né", ""]).encode(),
            level=rng.choice([0, 60_000]),
        )
        change.tile_start = 0 if change.level == 0 else rng.randint(-2, 2) * 60_000
        row = rows.setdefault(f"{change.entity}/{change.key.decode()}/{change.level}/{change.tile_start}", {})
        features = message("FeaturesCombinedCompatible")()
        # Entries stand in the order of their ids.
        for id in sorted(rng.sample(range(1, 6), rng.randint(1, 5))):
            entry = features.features.add(key=id)
            fill(entry.value, id, rng.choice([1, -1, 7, LIMIT - 1, -LIMIT]), row)
        change.features = features.SerializeToString()
        # A batch is a concatenation of changes, so it can be written change by change.
        batch += message("ChangeBatch")(changes=[change]).SerializeToString()
    sys.stdout.buffer.write(struct.pack("<I", len(batch)) + batch + json.dumps(rows).encode())


def fill(value, id, number, row):
    held = row.get(str(id))
    if id == 1:
        value.count = number % 1000
        row["1"] = (held or 0) + value.count
    elif id == 2:
        value.sum.narrow = number
        row["2"] = (held or 0) + number
    elif id == 3:
        value.mean.sum.narrow = number
        value.mean.count = 1
        row["3"] = [(held or [0, 0])[0] + number, (held or [0, 0])[1] + 1]
    elif id == 4:
        value.min.integer = number
        row["4"] = number if held is None else min(held, number)
    else:
        value.max.integer = number
        row["5"] = number if held is None else max(held, number)


main(*sys.argv[1:])
