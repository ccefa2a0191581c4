/** Events that a topic has as messages of protobuf: as lines, for whoever reads them, and lines as such messages, for whoever sends them. */
import { readFile } from 'node:fs/promises';
import {
  createFileRegistry,
  createRegistry,
  type DescField,
  type DescMessage,
  type DescOneof,
  fromBinary,
  isFieldSet,
  type Message,
  type Registry,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '../base/fault.ts';
import { parseNumbers } from '../base/json.ts';
import { didYouMean } from '../base/name.ts';
import { formatMicros } from '../base/time.ts';
import { EventSchema } from '../gen/tilefold/v1/event_pb.ts';
import { Digits, jsonMessage, microsIn, objectIn, setField, setMembers, setMicros } from './json_protobuf.ts';
import { type EventCoding, Unsayable } from './partition.ts';
import { JsonWriter } from './protobuf_json.ts';
import { checkWire } from './protobuf_wire.ts';

/** What messages of a topic are, and which of their fields say what an event is. */
export interface ProtobufSettings {
  /** Path of a FileDescriptorSet, and the message in it; null for tilefold.v1.Event. */
  of: { descriptors: string; message: string } | null;
  /** What all events are, or the field that says it: a text, an enum, or a oneof of messages, of which each is the data of its type. */
  type: { fixed: string } | { field: string };
  time: string;
  id: string | null;
  /** The field that has the data; null where the message itself is. */
  data: string | null;
}

export const OWN_EVENT: ProtobufSettings = { of: null, type: { field: 'type' }, time: 'time', id: 'id', data: 'data' };

/** Of a message, shown in base 16. */
const SAMPLE_BYTES = 100;

/** @throws Fault `config` where the descriptors cannot be read, or have not what the settings name */
export async function openProtobuf(settings: ProtobufSettings): Promise<EventCoding> {
  const { type, registry } = settings.of ? await described(settings.of) : OWN;
  const shape = shapeOf(type, settings);
  const write = lineWriter(type, shape, registry);
  return {
    lineOf(bytes) {
      try {
        checkWire(type, bytes);
        return ENCODER.encode(write(fromBinary(type, bytes, READ)));
      } catch (error) {
        const reason = `the message is no ${type.typeName}: ${(error as Error).message}`;
        return { code: 'not_protobuf', reason, sample: bytes.subarray(0, SAMPLE_BYTES).toHex() };
      }
    },
    messageOf: line => toBinary(type, messageOf(type, shape, DECODER.decode(line)).message),
  };
}

const OWN: { type: DescMessage; registry: Registry } = { type: EventSchema, registry: createRegistry(EventSchema) };
const READ = { readUnknownFields: false };
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

async function described({ descriptors, message }: NonNullable<ProtobufSettings['of']>) {
  const registry = registryOf(await readDescriptors(descriptors), descriptors);
  const type = registry.getMessage(message);
  if (type) return { type, registry };
  const names = [...registry].filter(one => one.kind === 'message').map(one => one.typeName);
  throw new Fault('config', `${descriptors} has no message ${message}${didYouMean(message, names)}`);
}

async function readDescriptors(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `${path}, which kafka.protobuf.descriptors names, cannot be read (${error.code})`);
  });
}

function registryOf(bytes: Uint8Array, path: string) {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (error) {
    const how = '`protoc --include_imports --descriptor_set_out=FILE` and `buf build -o FILE` make one';
    throw new Fault(
      'config',
      `${path} is no FileDescriptorSet with all that it imports: ${(error as Error).message}; ${how}`,
    );
  }
}

/** Where in a message the parts of an event are. */
interface Shape {
  type: { fixed: string } | { field: DescField } | { oneof: DescOneof };
  time: DescField;
  id: DescField | null;
  data: DescField | null;
}

/** @throws Fault `config` */
function shapeOf(message: DescMessage, { type, time, id, data }: ProtobufSettings): Shape {
  const field = (key: string, name: string, isFit: (one: DescField) => boolean, wanted: string): DescField => {
    const found = message.fields.find(one => one.name === name);
    if (!found) throw lacking(message, key, name);
    if (isFit(found)) return found;
    throw new Fault('config', `kafka.protobuf.${key}: ${message.typeName}.${name} is none of ${wanted}`);
  };
  const oneof = 'field' in type ? message.oneofs.find(({ name }) => name === type.field) : undefined;
  if (oneof && data !== null)
    throw new Fault('config', `kafka.protobuf.data: the oneof ${oneof.name}, which says the type, has the data`);
  if (oneof?.fields.some(one => one.fieldKind !== 'message'))
    throw new Fault('config', `kafka.protobuf.type_field: the oneof ${oneof.name} has fields that are no messages`);
  return {
    type:
      'fixed' in type
        ? type
        : oneof
          ? { oneof }
          : { field: field('type_field', type.field, isTypeField, 'a string, an enum and a oneof of messages') },
    time: field('time', time, isTimeField, 'a Timestamp, an int64 of epoch milliseconds and a string'),
    id: id === null ? null : field('id', id, isIdField, 'a string and an integer'),
    data: data === null ? null : field('data', data, isDataField, 'a message and a map of strings'),
  };
}

function lacking({ typeName, fields, oneofs }: DescMessage, key: string, name: string): Fault {
  const names = [...fields, ...oneofs].map(one => one.name);
  return new Fault('config', `kafka.protobuf.${key}: ${typeName} has no field ${name}${didYouMean(name, names)}`);
}

const isTypeField = (one: DescField) => one.fieldKind === 'enum' || one.scalar === ScalarType.STRING;
const isIdField = (one: DescField) =>
  one.fieldKind === 'scalar' && (one.scalar === ScalarType.STRING || isInteger(one.scalar));
const isTimeField = (one: DescField) =>
  (one.fieldKind === 'message' && one.message.typeName === 'google.protobuf.Timestamp') ||
  (one.fieldKind === 'scalar' && (one.scalar === ScalarType.STRING || LONGS.has(one.scalar)));
const isDataField = (one: DescField) =>
  one.fieldKind === 'message' || (one.fieldKind === 'map' && one.mapKey === ScalarType.STRING);

const LONGS = new Set([
  ...[ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64],
]);
const NO_INTEGERS = [ScalarType.DOUBLE, ScalarType.FLOAT, ScalarType.STRING, ScalarType.BYTES, ScalarType.BOOL];

function isInteger(scalar: ScalarType): boolean {
  return !NO_INTEGERS.includes(scalar);
}

type Part = (message: Message) => string | null;

/** What an event says, as JSON, where the message says it. */
function lineWriter(message: DescMessage, shape: Shape, registry: Registry): (message: Message) => string {
  const writer = new JsonWriter(registry);
  const { type, data } = typeAndData(message, shape, writer);
  const { time, id } = shape;
  const parts: [name: string, Part][] = [
    ['type', type],
    ['time', writer.field(time)],
    ['id', id ? idPart(id, writer) : () => null],
    ['data', data],
  ];
  return message => {
    const said: string[] = [];
    for (const [name, part] of parts) {
      const text = part(message);
      if (text !== null) said.push(`"${name}":${text}`);
    }
    return `{${said.join()}}`;
  };
}

function typeAndData(message: DescMessage, { type, data }: Shape, writer: JsonWriter): { type: Part; data: Part } {
  if ('oneof' in type) {
    const ways = type.oneof.fields.map(field => ({ field, write: writer.field(field) }));
    const way = (message: Message) => ways.find(({ field }) => isFieldSet(message, field));
    return {
      type: message => {
        const name = way(message)?.field.name;
        return name === undefined ? null : JSON.stringify(name);
      },
      data: message => way(message)?.write(message) ?? null,
    };
  }
  const whole = writer.message(message);
  const said = data ? writer.field(data) : (message: Message) => whole(message);
  if ('fixed' in type) return { type: () => JSON.stringify(type.fixed), data: said };
  return { type: setPart(type.field, writer), data: said };
}

/** A field that says nothing where it is what it is without being set. */
function setPart(field: DescField, writer: JsonWriter): Part {
  const write = writer.field(field);
  return message => (isFieldSet(message, field) ? write(message) : null);
}

/** A text, whatever it is. */
function idPart(field: DescField, writer: JsonWriter): Part {
  const write = setPart(field, writer);
  return message => {
    const said = write(message);
    return said === null || said.startsWith('"') ? said : `"${said}"`;
  };
}

/** An event of JSON, nested or flat. */
interface Said {
  type: unknown;
  time: unknown;
  id: unknown;
  data: Record<string, unknown>;
}

function eventIn(line: string): Said {
  const object = objectIn(
    parseNumbers(line, digits => new Digits(digits)),
    'the event',
  );
  if (Object.hasOwn(object, 'type')) {
    const { type, time, id, data } = object;
    return { type, time, id, data: objectIn(data ?? {}, 'data') };
  }
  const { _type: type, _time: time, _id: id, ...data } = object;
  return { type, time, id, data };
}

/** @throws Unsayable */
function messageOf(desc: DescMessage, shape: Shape, line: string): ReflectMessage {
  const said = eventIn(line);
  const message = reflect(desc);
  const { type, time, id, data } = shape;
  if ('fixed' in type && said.type !== type.fixed)
    throw new Unsayable(`type: got ${JSON.stringify(said.type)}, and all messages of the topic are ${type.fixed}`);
  if ('oneof' in type) {
    const field = type.oneof.fields.find(one => one.name === said.type);
    if (!field?.message)
      throw new Unsayable(`type: ${desc.typeName}.${type.oneof.name} has no ${JSON.stringify(said.type)}`);
    message.set(field, jsonMessage(field.message, said.data, 'data'));
  } else if (data) setField(message, data, said.data, 'data');
  else setMembers(message, said.data, 'data');
  if ('field' in type) setField(message, type.field, said.type, 'type');
  setTime(message, time, said.time);
  if (id) setField(message, id, id.scalar === ScalarType.STRING ? said.id : idDigits(said.id), 'id');
  else if (typeof said.id === 'string') throw new Unsayable(`id: ${desc.typeName} has no field for it`);
  return message;
}

function idDigits(id: unknown): unknown {
  return typeof id === 'string' && /^-?\d+$/.test(id) ? new Digits(id) : id;
}

/** As the field has it: milliseconds have no room for what is beyond. */
function setTime(message: ReflectMessage, field: DescField, time: unknown): void {
  const micros = microsIn(time, 'time');
  if (field.fieldKind === 'message') {
    const stamp = reflect(field.message);
    setMicros(stamp, micros);
    message.set(field, stamp);
  } else if (field.scalar === ScalarType.STRING) message.set(field, formatMicros(micros));
  else if (micros % 1000n === 0n) message.set(field, micros / 1000n);
  else throw new Unsayable(`time: got ${String(time)}, and ${field.name} has milliseconds`);
}
