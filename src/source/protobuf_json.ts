/**
 * A message as JSON: names as its file has them, integers with all their digits, and else as protobuf says it (times as RFC 3339,
 * bytes as base64, enums by name). What has no presence is written always, and what has, where it is set. How a type is written is
 * made out once, for all its messages.
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromBinary,
  isFieldSet,
  type Message,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence, isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { formatMicros } from '../base/time.ts';
import { checkWire } from './protobuf_wire.ts';

/** A message as the library has it: its fields are properties. */
type Fields = Message & Record<string, unknown>;

/** @throws Error that says what JSON cannot say */
type Write = (value: unknown) => string;

export class JsonWriter {
  readonly #known = new Map<DescMessage, Write>();

  /** @param registry of what an Any may hold */
  constructor(private readonly registry: Registry) {}

  /** How messages of a type are written. */
  message(type: DescMessage): Write {
    let write: Write | undefined = this.#known.get(type);
    if (write) return write;
    // A type may be within itself.
    this.#known.set(type, value => write!(value));
    write = this.#wellKnown(type) ?? this.#object(type);
    this.#known.set(type, write);
    return write;
  }

  /** How one field is written: null where it is not set. */
  field(field: DescField): (message: Message) => string | null {
    const [write, read] = [this.#value(field), readerOf(field)];
    return message => {
      const value = read(message as Fields);
      return value === undefined ? null : write(value);
    };
  }

  #object(type: DescMessage): Write {
    const members = this.#members(type);
    return value => `{${members(value).join()}}`;
  }

  #members(type: DescMessage): (value: unknown) => string[] {
    const fields = type.fields.map(field => ({ name: `${JSON.stringify(field.name)}:`, write: this.field(field) }));
    return value => {
      const written: string[] = [];
      for (const { name, write } of fields) {
        const text = write(value as Message);
        if (text !== null) written.push(name + text);
      }
      return written;
    };
  }

  #value(field: DescField): Write {
    switch (field.fieldKind) {
      case 'list': {
        const item = this.#item(field, field.listKind === 'scalar' ? field.scalar : null);
        return value => `[${(value as unknown[]).map(item).join()}]`;
      }
      case 'map': {
        const item = this.#item(field, field.mapKind === 'scalar' ? field.scalar : null);
        return value => {
          const entries = Object.entries(value as Record<string, unknown>);
          return `{${entries.map(([key, of]) => `${JSON.stringify(key)}:${item(of)}`).join()}}`;
        };
      }
      case 'message':
        // The library has the value of a wrapper in its place.
        if (isWrapperDesc(field.message) && !field.oneof) return this.#value(field.message.fields[0]);
        return this.#item(field, null);
      default:
        return this.#item(field, field.fieldKind === 'scalar' ? field.scalar : null);
    }
  }

  #item(field: DescField, scalar: ScalarType | null): Write {
    if (scalar !== null) return scalarWriter(scalar);
    if (field.enum) return enumWriter(field.enum);
    const { typeName } = field.message!;
    if (typeName === 'google.protobuf.Struct' && field.parent.typeName !== 'google.protobuf.Value') return plainJson;
    return this.message(field.message!);
  }

  /** Messages that JSON has something of its own for. */
  #wellKnown(type: DescMessage): Write | null {
    if (isWrapperDesc(type)) return this.#only(type);
    switch (type.typeName) {
      case 'google.protobuf.Timestamp':
        return value => `"${timestampText(value as Span)}"`;
      case 'google.protobuf.Duration':
        return value => `"${durationText(value as Span)}"`;
      case 'google.protobuf.FieldMask':
        return value => JSON.stringify(pathsText((value as { paths: string[] }).paths));
      case 'google.protobuf.Any':
        return value => this.#any(value as { typeUrl: string; value: Uint8Array });
      case 'google.protobuf.Struct':
      case 'google.protobuf.ListValue':
      case 'tilefold.v1.ValueList':
      case 'tilefold.v1.ValueMap':
        return this.#only(type);
      case 'google.protobuf.Value':
      case 'tilefold.v1.Value':
        return this.#kind(type);
      default:
        return null;
    }
  }

  /** A message that is nothing but its one field. */
  #only(type: DescMessage): Write {
    const write = this.field(type.fields[0]!);
    return value => write(value as Message)!;
  }

  /** One that is whichever of its fields is set. */
  #kind(type: DescMessage): Write {
    const [oneof] = type.oneofs;
    const kinds = new Map(oneof!.fields.map(field => [field.localName, this.#value(field)]));
    return value => {
      const { case: kind, value: said } = (value as Fields)[oneof!.localName] as { case?: string; value?: unknown };
      return kind === undefined ? 'null' : kinds.get(kind)!(said);
    };
  }

  #any({ typeUrl, value }: { typeUrl: string; value: Uint8Array }): string {
    if (typeUrl === '') return '{}';
    const type = this.registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
    if (!type) throw new Error(`an Any is a ${typeUrl}, which the descriptors do not have`);
    checkWire(type, value);
    const inner = fromBinary(type, value);
    const of = this.#wellKnown(type) ? [`"value":${this.message(type)(inner)}`] : this.#members(type)(inner);
    return `{${[`"@type":${JSON.stringify(typeUrl)}`, ...of].join()}}`;
  }
}

/** A field's value, as the library has it; undefined where it is not set. */
function readerOf(field: DescField): (message: Fields) => unknown {
  const { localName, oneof } = field;
  if (oneof)
    return message => {
      const { case: set, value } = message[oneof.localName] as { case?: string; value?: unknown };
      return set === localName ? value : undefined;
    };
  const isPlural = field.fieldKind === 'list' || field.fieldKind === 'map';
  if (isPlural || field.presence === FeatureSet_FieldPresence.IMPLICIT) return message => message[localName];
  return message => (isFieldSet(message, field) ? message[localName] : undefined);
}

function enumWriter({ values, typeName }: DescEnum): Write {
  if (typeName === 'google.protobuf.NullValue') return () => 'null';
  // Of names for the same number the first one counts.
  const names = new Map(values.toReversed().map(({ number, name }) => [number, JSON.stringify(name)]));
  return value => names.get(value as number) ?? String(value);
}

function scalarWriter(scalar: ScalarType): Write {
  switch (scalar) {
    case ScalarType.STRING:
      return JSON.stringify;
    case ScalarType.BYTES:
      return value => `"${(value as Uint8Array).toBase64()}"`;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return value => realJson(value as number);
    default:
      return String;
  }
}

/** JSON reads back what is too large for a double as an infinity, and has nothing for what is no number. */
function realJson(value: number): string {
  if (Number.isNaN(value)) return 'null';
  if (!Number.isFinite(value)) return value > 0 ? '1e999' : '-1e999';
  return Object.is(value, -0) ? '-0' : String(value);
}

/** What the library has as JSON already. */
function plainJson(value: unknown): string {
  if (typeof value === 'number') return realJson(value);
  if (Array.isArray(value)) return `[${value.map(plainJson).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, of]) => `${JSON.stringify(name)}:${plainJson(of)}`);
  return `{${members.join()}}`;
}

interface Span {
  seconds: bigint;
  nanos: number;
}

/** 0001-01-01 and 9999-12-31. */
const SECONDS_MIN = -62_135_596_800n;
const SECONDS_MAX = 253_402_300_799n;
const NANOS = 1_000_000_000;

function timestampText({ seconds, nanos }: Span): string {
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos >= NANOS)
    throw new Error(`a Timestamp of ${seconds} seconds and ${nanos} nanoseconds is none`);
  const whole = formatMicros(seconds * 1_000_000n);
  return nanos === 0 ? whole : `${whole.slice(0, -1)}.${fraction(nanos)}Z`;
}

const DURATION_SECONDS_MAX = 315_576_000_000n;

function durationText({ seconds, nanos }: Span): string {
  const isMixed = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  const isFar = seconds > DURATION_SECONDS_MAX || seconds < -DURATION_SECONDS_MAX || Math.abs(nanos) >= NANOS;
  if (isMixed || isFar) throw new Error(`a Duration of ${seconds} seconds and ${nanos} nanoseconds is none`);
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  const whole = seconds < 0n ? -seconds : seconds;
  return `${sign}${whole}${nanos === 0 ? '' : `.${fraction(Math.abs(nanos))}`}s`;
}

/** 3, 6 or 9 digits. */
function fraction(nanos: number): string {
  return String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '');
}

function pathsText(paths: string[]): string {
  return paths.map(path => path.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())).join();
}
