"""
Messages as JSON, by Google's protobuf.

  protobuf_json.py DESCRIPTORS MESSAGE < MESSAGES

MESSAGES is any number of messages, each after its length (4 bytes, little-endian). Prints a line of JSON for each, or `null` for
bytes that are none. Integers have their digits, floats are the doubles that they are, NaN is null; infinities are +-1e999.
"""

import base64
import json
import math
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

OWN = ("Timestamp", "Duration", "FieldMask")


def load(path, name):
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    for one in files.file:
        pool.Add(one)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name)), pool


def real(value):
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def scalar(field, value):
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            value = base64.b64encode(value).decode()
        return json.dumps(value)
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return real(value)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return "true" if value else "false"
    if field.cpp_type == field.CPPTYPE_ENUM:
        named = field.enum_type.values_by_number.get(value)
        return json.dumps(named.name) if named else str(value)
    return str(value)


def one(field, value, pool):
    return text(value, pool) if field.cpp_type == field.CPPTYPE_MESSAGE else scalar(field, value)


def members(message, pool):
    written = []
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            of = field.message_type.fields_by_name["value"]
            name = lambda key: str(key).lower() if isinstance(key, bool) else str(key)
            said = ",".join(f"{json.dumps(name(key))}:{one(of, value[key], pool)}" for key in value)
            written.append((field.name, f"{{{said}}}"))
        elif field.is_repeated:
            written.append((field.name, f"[{','.join(one(field, each, pool) for each in value)}]"))
        elif not field.has_presence or message.HasField(field.name):
            written.append((field.name, one(field, value, pool)))
    return [f"{json.dumps(name)}:{said}" for name, said in written]


def text(message, pool):
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Any":
        inner = message_factory.GetMessageClass(pool.FindMessageTypeByName(message.TypeName()))()
        inner.ParseFromString(message.value)
        return "{" + ",".join([f'"@type":{json.dumps(message.type_url)}', *members(inner, pool)]) + "}"
    if name in ("google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Value"):
        return json.dumps(json_format.MessageToDict(message))
    if name.startswith("google.protobuf.") and name.split(".")[-1] in OWN:
        return json_format.MessageToJson(message)
    if name.endswith("Value") and name.startswith("google.protobuf."):
        return scalar(message.DESCRIPTOR.fields[0], message.value)
    return "{" + ",".join(members(message, pool)) + "}"


def main():
    kind, pool = load(sys.argv[1], sys.argv[2])
    data = sys.stdin.buffer.read()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        message = kind()
        try:
            message.ParseFromString(data[at + 4 : at + 4 + length])
            print(text(message, pool))
        except Exception:
            print("null")
        at += 4 + length


main()
