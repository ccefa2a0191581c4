/** Events in protobuf: as JSON they are what Google's library reads, and as messages what it was given. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { buildDescriptors, pythonOrSkip, runPython } from '../../scripts/python.ts';
import { parseNumbers } from '../../src/base/json.ts';
import { openProtobuf, OWN_EVENT, type ProtobufSettings } from '../../src/source/protobuf.ts';
import { Unsayable } from '../../src/source/partition.ts';
import { Random } from '../sim/random.ts';

const LONG = process.env.TILEFOLD_LONG === '1';
const MESSAGES = LONG ? 3_000 : 150;

const text = (bytes: unknown) => new TextDecoder().decode(bytes as Uint8Array);
const bytes = (of: string) => new TextEncoder().encode(of);

let shop: string;
beforeAll(() => {
  shop = buildDescriptors('test/source/protobuf', 'shop');
});

/** As a view in a topic of nothing but views. */
function viewSettings(more: Partial<ProtobufSettings> = {}): ProtobufSettings {
  const of = { descriptors: shop, message: 'shop.v1.View' };
  return { of, type: { fixed: 'view' }, time: 'viewed_at', id: null, data: null, ...more };
}

async function viewType(): Promise<{ type: DescMessage; like: DescMessage }> {
  const set = fromBinary(FileDescriptorSetSchema, await Bun.file(shop).bytes());
  const registry = createFileRegistry(set);
  return { type: registry.getMessage('shop.v1.View')!, like: registry.getMessage('shop.v1.Like')! };
}

const python = pythonOrSkip('messages of protobuf by other hands');

describe.skipIf(!python)('what Google reads', () => {
  /** Of each message the JSON that it means, or null where it is none. */
  function byGoogle(messages: Uint8Array[]): (string | null)[] {
    const framed = messages.flatMap(message => [new Uint8Array(Uint32Array.of(message.length).buffer), message]);
    const words = ['scripts/python/protobuf_json.py', shop, 'shop.v1.View'];
    const lines = text(runPython(python!, words, Buffer.concat(framed)))
      .trimEnd()
      .split('\n');
    return lines.map(line => (line === 'null' ? null : line));
  }

  test('is what we read, of random messages, cut ones and broken ones', async () => {
    const random = new Random(1);
    const { type, like } = await viewType();
    const whole = Array.from({ length: MESSAGES }, () => {
      const message = toBinary(type, randomMessage(random, type, like, 2).message);
      // Fields that nobody here knows: another version of the message has them.
      return random.chance(0.3) ? Buffer.concat([message, Uint8Array.of(0xa2, 0x3f, 2, 1, 2)]) : message;
    });
    const cut = whole.map(message => message.slice(0, random.below(message.length + 1)));
    const broken = whole.map(message => {
      const copy = message.slice();
      if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
    });
    const coding = await openProtobuf(viewSettings());
    const all = [...whole, ...cut, ...broken];
    const expected = byGoogle(all);
    const counts = { read: 0, refused: 0, lenient: 0 };
    for (const [i, message] of all.entries()) {
      const line = coding.lineOf(message);
      const wanted = expected[i]!;
      if (line instanceof Uint8Array) {
        counts.read++;
        // Of a broken byte it may take offence where it stands in what nobody reads.
        if (wanted === null && i >= 2 * MESSAGES) counts.lenient++;
        else expect(dataOf(text(line))).toEqual(wanted === null ? 'refused' : plain(wanted));
      } else {
        counts.refused++;
        // It takes a field of another kind for one that it does not know.
        const isOther = /field .* is .*, wanted |a group|an entry of a map/.test(line.reason);
        expect([line.code, isOther || wanted === null, line.reason]).toEqual(['not_protobuf', true, line.reason]);
      }
    }
    expect(counts.read).toBeGreaterThan(1.2 * MESSAGES);
    expect(counts.refused).toBeGreaterThan(0.3 * MESSAGES);
    expect(counts.lenient).toBeLessThan(0.02 * MESSAGES);
  });

  test('is what we have written, of the lines that we read', async () => {
    const random = new Random(2);
    const { type, like } = await viewType();
    const coding = await openProtobuf(viewSettings());
    const lines: string[] = [];
    while (lines.length < MESSAGES / 2) {
      const message = randomMessage(random, type, like, 1, false);
      lines.push(text(coding.lineOf(toBinary(type, message.message))));
    }
    // What is no number has none, and is not there afterwards.
    const timed = lines.filter(line => line.includes('"time":') && !line.includes('null'));
    const again = timed.map(line => coding.messageOf(bytes(line)));
    expect(again.map(message => dataOf(text(coding.lineOf(message))))).toEqual(timed.map(line => dataOf(line)));
    expect(byGoogle(again).map(line => plain(line!))).toEqual(timed.map(line => dataOf(line)));
    expect(timed.length).toBeGreaterThan(lines.length / 10);
  });
});

/** With the digits of integers, and doubles as they are. */
function plain(json: string): unknown {
  return parseNumbers(json, digits => (/^-?\d+$/.test(digits) ? digits : String(Number(digits))));
}

function dataOf(line: string): unknown {
  return (plain(line) as { data: unknown }).data;
}

describe('our own event', () => {
  test.each([
    '{"type":"a","time":"2001-03-11T23:59:00.123456Z","id":"x","data":{"n":9223372036854775807,"m":-9223372036854775808}}',
    '{"type":"a","time":"1969-12-31T23:59:59.999Z","data":{"r":0.1,"z":-0,"big":18446744073709552000,"i":1e+300,"inf":1e999}}',
    '{"type":"a","time":"2001-03-11T23:59:00Z","data":{"l":[1,null,{"b":true,"t":"\\u0000é\\"","e":[]}],"o":{}}}',
    '{"type":"a","time":"2001-03-11T23:59:00Z","data":{}}',
  ])('is written and read as it was: %s', async line => {
    const coding = await openProtobuf(OWN_EVENT);
    const read = text(coding.lineOf(coding.messageOf(bytes(line)))).replaceAll('1e999', 'Infinity');
    expect(plain(read.replaceAll('Infinity', '1e999'))).toEqual(plain(line));
  });

  test('may be said flat, and its time in milliseconds or with an offset', async () => {
    const coding = await openProtobuf(OWN_EVENT);
    const said = (line: string) => text(coding.lineOf(coding.messageOf(bytes(line))));
    expect(said('{"_type":"a","_time":1500,"_id":"i","n":1}')).toBe(
      '{"type":"a","time":"1970-01-01T00:00:01.500Z","id":"i","data":{"n":1}}',
    );
    expect(said('{"type":"a","time":"2001-01-01T01:00:00+01:00"}')).toBe(
      '{"type":"a","time":"2001-01-01T00:00:00Z","data":{}}',
    );
  });

  test('is none where bytes are none, and lacks what it does not say', async () => {
    const coding = await openProtobuf(OWN_EVENT);
    expect(coding.lineOf(Uint8Array.of(10, 9, 65))).toEqual({
      code: 'not_protobuf',
      reason: 'the message is no tilefold.v1.Event: field type ends at byte 11, and what it is in at 3',
      sample: '0a0941',
    });
    expect(text(coding.lineOf(new Uint8Array(0)))).toBe('{"data":{}}');
  });
});

describe('messages of others', () => {
  test('say their type by a field, or by which of a oneof is there', async () => {
    const kinds = await openProtobuf(viewSettings({ type: { field: 'kind' }, time: 'at_ms', id: 'event_id' }));
    const line = '{"type":"seen","time":7,"id":"e","data":{"user":"u","item_id":12345678901234567}}';
    expect(plain(text(kinds.lineOf(kinds.messageOf(bytes(line)))))).toMatchObject({
      ...{ type: 'seen', time: '7', id: 'e' },
      data: {
        user: 'u',
        item_id: '12345678901234567',
        kind: 'seen',
        at_ms: '7',
        token: '',
        seen: [],
        device: 'DEVICE_UNKNOWN',
      },
    });
    const of = { descriptors: shop, message: 'shop.v1.Envelope' };
    const either = await openProtobuf({ of, type: { field: 'event' }, time: 'at', id: 'id', data: null });
    const like = '{"type":"like","time":"1970-01-01T00:00:01Z","id":"7","data":{"user":"u","item":3}}';
    expect(text(either.lineOf(either.messageOf(bytes(like))))).toBe(like);
    expect(text(either.lineOf(new Uint8Array(0)))).toBe('{}');
  });

  test.each([
    ['{"type":"like","time":1}', 'type: got "like", and all messages of the topic are view'],
    ['{"type":"view","time":1,"data":{"usr":"x"}}', 'data.usr: shop.v1.View has no such field; did you mean "user"?'],
    ['{"type":"view","time":1,"data":{"item_id":1.5}}', 'data.item_id: got 1.5, wanted an integer from -92'],
    [
      '{"type":"view","time":1,"data":{"rank":2147483648}}',
      'data.rank: got 2147483648, wanted an integer from -2147483648',
    ],
    ['{"type":"view","time":1,"data":{"trail":[{"device":"TV"}]}}', 'data.trail[0].device: got "TV", wanted a name of'],
    ['{"type":"view","time":1,"data":{"user":7}}', 'data.user: got 7, wanted a string'],
    ['{"type":"view","time":1,"id":"x"}', 'id: shop.v1.View has no field for it'],
  ])('cannot say %s', async (line, reason) => {
    const coding = await openProtobuf(viewSettings());
    expect(() => coding.messageOf(bytes(line))).toThrow(Unsayable);
    expect(() => coding.messageOf(bytes(line))).toThrow(reason);
  });

  test.each([
    [
      { of: { descriptors: '/none.binpb', message: 'a' } },
      '/none.binpb, which kafka.protobuf.descriptors names, cannot',
    ],
    [{ time: 'viewd_at' }, 'kafka.protobuf.time: shop.v1.View has no field viewd_at; did you mean "viewed_at"?'],
    [{ time: 'price' }, 'kafka.protobuf.time: shop.v1.View.price is none of a Timestamp'],
    [{ type: { field: 'how' } }, 'kafka.protobuf.type_field: the oneof how has fields that are no messages'],
    [{ id: 'extra' }, 'kafka.protobuf.id: shop.v1.View.extra is none of a string and an integer'],
  ] as [Partial<ProtobufSettings>, string][])('are not those of settings like %p', async (more, reason) => {
    await expect(openProtobuf(viewSettings(more))).rejects.toThrow(reason);
  });

  test('are looked for in a set of descriptors that has all of them', async () => {
    const other = viewSettings({ of: { descriptors: shop, message: 'shop.v1.Veiw' } });
    await expect(openProtobuf(other)).rejects.toThrow('has no message shop.v1.Veiw; did you mean "shop.v1.View"?');
    const path = join(mkdtempSync(join(tmpdir(), 'tilefold-protobuf-')), 'x.binpb');
    writeFileSync(path, 'no descriptors');
    const none = openProtobuf(viewSettings({ of: { descriptors: path, message: 'a' } }));
    await expect(none).rejects.toThrow('is no FileDescriptorSet with all that it imports');
  });
});

/** @param isAny whether it may have what is read only */
function randomMessage(
  random: Random,
  type: DescMessage,
  like: DescMessage,
  depth: number,
  isAny = true,
): ReflectMessage {
  const message = reflect(type);
  for (const field of type.fields) {
    if (random.chance(0.5)) continue;
    if (type.typeName === 'google.protobuf.Timestamp' || type.typeName === 'google.protobuf.Duration') {
      const value =
        field.name === 'seconds' ? BigInt(random.below(2e9)) : random.pick([0, 5e8, 123_456_000, 120_000_000]);
      message.set(field, value);
    } else setRandom(random, message, field, like, depth, isAny);
  }
  return message;
}

function setRandom(
  random: Random,
  message: ReflectMessage,
  field: DescField,
  like: DescMessage,
  depth: number,
  isAny: boolean,
): void {
  const one = (): unknown => {
    const plain = field.fieldKind === 'list' && field.listKind !== 'scalar' ? null : (field.scalar ?? null);
    if (plain !== null) return randomScalar(random, plain);
    if (field.enum) return random.pick([0, 1, 2, 7]);
    const { typeName } = field.message!;
    if (typeName === 'google.protobuf.Any') {
      const [url, value] = reflect(field.message!).fields;
      const any = reflect(field.message!);
      any.set(url!, 'type.googleapis.com/shop.v1.Like');
      any.set(value!, toBinary(like, randomMessage(random, like, like, 1).message));
      return any;
    }
    return randomMessage(random, field.message!, like, depth - 1, isAny);
  };
  const isStruct = field.message?.typeName === 'google.protobuf.Struct';
  if (isStruct || (field.message && depth === 0) || (!isAny && field.message?.typeName === 'google.protobuf.Any'))
    return;
  if (field.fieldKind === 'list')
    for (let n = random.below(4); n > 0; n--) (message.get(field) as ReflectList).add(one());
  else if (field.fieldKind === 'map')
    for (let n = random.below(3); n > 0; n--)
      (message.get(field) as ReflectMap).set(randomScalar(random, field.mapKey), one());
  else message.set(field, one());
}

function randomScalar(random: Random, type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return random.pick(['', 'a', 'é\u0000"\\', '😀', '__proto__', 'x'.repeat(200)]);
    case ScalarType.BYTES:
      return Uint8Array.from({ length: random.below(5) }, () => random.below(256));
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.DOUBLE:
      return random.pick([0, -0, 0.1, 1e300, -5, 1e-7, Number.POSITIVE_INFINITY, Number.NaN, 2 ** 52]);
    case ScalarType.FLOAT:
      return Math.fround(random.pick([0, 1.1, -2.5, 3e38, Number.NEGATIVE_INFINITY]));
    case ScalarType.INT64:
    case ScalarType.SINT64:
      return random.pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 9_007_199_254_740_993n]);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.pick([0n, 1n, 2n ** 64n - 1n]);
    case ScalarType.UINT32:
      return random.pick([0, 1, 2 ** 32 - 1]);
    default:
      return random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
  }
}
