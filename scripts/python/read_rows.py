"""Reads feature rows with Google's protobuf, each as all three messages of proto/tilefold/v1/row.proto.

    read_rows.py DESCRIPTORS < ROWS

DESCRIPTORS is a FileDescriptorSet of the proto folder (`buf build -o descriptors.binpb`). ROWS is any number of rows,
each after its length as a 4-byte little-endian integer. For each row one line of JSON is written:

    {"combined": {"7": {"count": 3}}, "compatible": [[7, {"count": 3}]], "lazy": ["0807120208..."]}

`combined` is FeaturesCombined by id; `compatible` and `lazy` keep the row's order, and `lazy` shows each entry's bytes
in hexadecimal. A state names its case. A 128-bit sum is one integer, as is an extreme's; integers are JSON numbers of
any length, so read them with care. The doubles of lists are their bits in hexadecimal, and so are
the texts of rankings, which may be cut, and the registers of a sketch. Of a mean of vectors only the lengths are shown. Where a message that is written again does not give the same bytes, the script
exits with 1; a map may come out in any order, so there the entries are compared.
"""

import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    messages = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tilefold.v1.{name}"))
        for name in ("FeaturesCombined", "FeaturesCombinedCompatible", "FeaturesCombinedLazy", "MapFieldEntry")
    }
    for row in rows(sys.stdin.buffer):
        print(json.dumps(read_row(row, messages)))


def rows(stream):
    while prefix := stream.read(4):
        (size,) = struct.unpack("<I", prefix)
        row = stream.read(size)
        if len(row) != size:
            sys.exit(f"the input ends inside a row: {len(row)} of {size} bytes")
        yield row


def read_row(row, messages):
    combined = messages["FeaturesCombined"].FromString(row)
    compatible = messages["FeaturesCombinedCompatible"].FromString(row)
    lazy = messages["FeaturesCombinedLazy"].FromString(row)
    entries = [messages["MapFieldEntry"].FromString(entry) for entry in lazy.features]
    if list(compatible.features) != entries:
        sys.exit(f"{row.hex()}: the lazy entries are not the compatible ones")
    for name, message in (("compatible", compatible), ("lazy", lazy)):
        if (again := message.SerializeToString()) != row:
            sys.exit(f"{row.hex()}: written again as {name}: {again.hex()}")
    again = messages["FeaturesCombinedLazy"].FromString(combined.SerializeToString())
    if sorted(again.features) != sorted(lazy.features):
        sys.exit(f"{row.hex()}: written again as a map: {[entry.hex() for entry in again.features]}")
    return {
        "combined": {str(id): state(value) for id, value in sorted(combined.features.items())},
        "compatible": [[entry.key, state(entry.value)] for entry in compatible.features],
        "lazy": [entry.hex() for entry in lazy.features],
    }


def state(value):
    case = value.WhichOneof("state")
    of = getattr(value, case)
    if case == "count":
        return {case: of}
    if case == "sum":
        return {case: int128(of)}
    if case == "mean":
        return {case: {"sum": int128(of.sum), "count": of.count}}
    if case in ("min", "max"):
        held = of.WhichOneof("value")
        return {case: None if held is None else getattr(of, held)}
    if case == "last_n":
        return {case: recent(of)}
    if case in ("first_n", "last_distinct", "list", "greatest", "least", "set", "arg_max", "arg_min"):
        return {case: ranking(of)}
    if case == "distinct_sketch":
        return {case: {"precision": of.precision, "pairs": list(of.pairs), "registers": of.registers.hex()}}
    if case == "vector_mean":
        return {case: {"length": of.length, "sums": len(of.sums)}}
    sys.exit(f"a state that this script does not know: {case}")


def ranking(value):
    return {
        "limit": value.limit,
        "over": value.over,
        "times": list(value.times),
        "positions": list(value.positions),
        **cells(value.integers, value.reals, value.texts),
        "cut": list(value.cut),
        "ranks": cells(value.rank_integers, value.rank_reals, value.rank_texts),
        "rank_cut": list(value.rank_cut),
    }


def cells(integers, reals, texts):
    return {"integers": list(integers), "reals": [bits(real) for real in reals], "texts": [text.hex() for text in texts]}


def bits(real):
    return struct.pack(">d", real).hex()


def recent(value):
    times, positions = list(value.times), list(value.positions)
    reals = [bits(real) for real in value.reals]
    held = {"integers": list(value.integers), "reals": reals, "texts": list(value.texts), "too_long": list(value.too_long)}
    return {"limit": value.limit, "times": times, "positions": positions, **held}


def int128(value):
    if value.HasField("narrow"):
        return value.narrow
    return (value.high << 64) + value.low


if __name__ == "__main__":
    main()
