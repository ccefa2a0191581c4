/**
 * Whether bytes are a message of a type: each field as its type is written, and each length within the one around it. Libraries
 * that read messages take the writer's word for it, and would make something else of bytes that are of another type.
 */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Messages within messages: as deep as libraries for protobuf go. */
const DEPTH_MAX = 100;

/** @throws Error that says what is wrong, and at which byte */
export function checkWire(type: DescMessage, bytes: Uint8Array): void {
  checkMessage(type, new BinaryReader(bytes), bytes.length, 0, null);
}

/** @param group the number of the field that the message is, where it ends with a tag of its own */
function checkMessage(type: DescMessage, reader: BinaryReader, end: number, depth: number, group: number | null): void {
  if (depth > DEPTH_MAX) throw new Error(`messages are more than ${DEPTH_MAX} deep`);
  const fields = fieldsOf(type);
  while (reader.pos < end) {
    const at = reader.pos;
    const [number, wire] = reader.tag();
    if (wire === WireType.EndGroup && number === group) return;
    const field = fields.get(number);
    if (field) checkField(field, reader, wire, end, depth);
    else if (wire === WireType.EndGroup) throw new Error(`a group ends at byte ${at} that has not begun`);
    else skip(reader, wire, number);
    if (reader.pos > end)
      throw new Error(`field ${number} at byte ${at} ends at ${reader.pos}, and what it is in at ${end}`);
  }
  if (group !== null) throw new Error(`the group of field ${group} has no end`);
}

/** Of 64 bits. */
const VARINT_MAX_BYTES = 10;

function skip(reader: BinaryReader, wire: WireType, number: number): void {
  const at = reader.pos;
  reader.skip(wire, number, DEPTH_MAX);
  if (wire === WireType.Varint && reader.pos - at > VARINT_MAX_BYTES)
    throw new Error(`field ${number} at byte ${at} is a varint of more than 64 bits`);
}

/** What may stand on the wire for a field. */
interface WireField {
  name: string;
  wire: WireType;
  /** Many of them may stand in one. */
  isPacked: boolean;
  message: DescMessage | null;
  /** Of the entries of a map: its two fields. */
  entry: Map<number, WireField> | null;
  number: number;
}

function checkField(field: WireField, reader: BinaryReader, wire: WireType, end: number, depth: number): void {
  if (wire !== field.wire && !(field.isPacked && wire === WireType.LengthDelimited))
    throw new Error(`field ${field.name} is ${nameOf(wire)} at byte ${reader.pos}, wanted ${nameOf(field.wire)}`);
  if (wire === WireType.StartGroup) checkMessage(field.message!, reader, end, depth + 1, field.number);
  else if (wire === WireType.LengthDelimited) checkLength(field, reader, end, depth);
  else skip(reader, wire, field.number);
}

/** What stands behind its length. */
function checkLength(field: WireField, reader: BinaryReader, end: number, depth: number): void {
  const length = reader.uint32();
  const inner = reader.pos + length;
  if (inner > end) throw new Error(`field ${field.name} ends at byte ${inner}, and what it is in at ${end}`);
  if (field.entry) checkEntry(field.entry, reader, inner, depth + 1);
  else if (field.message) checkMessage(field.message, reader, inner, depth + 1, null);
  else if (field.wire === WireType.LengthDelimited) reader.pos = inner;
  else while (reader.pos < inner) skip(reader, field.wire, field.number);
  if (reader.pos !== inner)
    throw new Error(`field ${field.name} ends at byte ${reader.pos}, and its length says ${inner}`);
}

function checkEntry(fields: Map<number, WireField>, reader: BinaryReader, end: number, depth: number): void {
  while (reader.pos < end) {
    const [number, wire] = reader.tag();
    const field = fields.get(number);
    // Libraries do not agree on what becomes of an entry that has more than a key and a value.
    if (!field) throw new Error(`an entry of a map has a field ${number} at byte ${reader.pos}`);
    checkField(field, reader, wire, end, depth);
  }
}

const KNOWN = new WeakMap<DescMessage, Map<number, WireField>>();

function fieldsOf(type: DescMessage): Map<number, WireField> {
  const known = KNOWN.get(type);
  if (known) return known;
  const fields = new Map(type.fields.map(field => [field.number, wireField(field)]));
  KNOWN.set(type, fields);
  return fields;
}

function wireField(field: DescField): WireField {
  const { name, number } = field;
  const plain = { name, number, isPacked: false, message: null, entry: null };
  const scalar = (of: ScalarType, more: Partial<WireField> = {}) => ({ ...plain, wire: wireOf(of), ...more });
  const message = (of: DescMessage, isGroup: boolean, more: Partial<WireField> = {}) => {
    const wire = isGroup ? WireType.StartGroup : WireType.LengthDelimited;
    return { ...plain, wire, message: of, ...more };
  };
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar);
    case 'enum':
      return scalar(ScalarType.INT32);
    case 'message':
      return message(field.message, field.delimitedEncoding);
    case 'list': {
      if (field.listKind === 'message') return message(field.message, field.delimitedEncoding);
      const of = field.listKind === 'enum' ? ScalarType.INT32 : field.scalar;
      return scalar(of, { isPacked: wireOf(of) !== WireType.LengthDelimited });
    }
    case 'map': {
      const as = { name: `${name} within a map`, number: 2 };
      const value =
        field.mapKind === 'message'
          ? message(field.message, false, as)
          : scalar(field.mapKind === 'enum' ? ScalarType.INT32 : field.scalar, as);
      const entry = new Map([
        [1, scalar(field.mapKey, { name: `a key of ${name}`, number: 1 })],
        [2, value],
      ]);
      return { ...plain, wire: WireType.LengthDelimited, entry };
    }
  }
}

function wireOf(scalar: ScalarType): WireType {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    default:
      return WireType.Varint;
  }
}

const NAMES: Record<WireType, string> = {
  [WireType.Varint]: 'a varint',
  [WireType.Bit64]: '64 bits',
  [WireType.LengthDelimited]: 'of a length',
  [WireType.StartGroup]: 'a group',
  [WireType.EndGroup]: 'the end of a group',
  [WireType.Bit32]: '32 bits',
};

function nameOf(wire: WireType): string {
  return NAMES[wire];
}
