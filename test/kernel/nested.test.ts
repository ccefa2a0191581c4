/** Lists and structs among the inputs of events, judged by the oracle, which stands on JSON.parse. */
import { describe, expect, test } from 'bun:test';
import {
  DOUBLE,
  type Field,
  INT64,
  NESTED_VALUES_MAX,
  OPTIONAL,
  type Presence,
  REQUIRED,
  STRING,
  type Type,
  type Value,
} from '../../src/plan/value.ts';
import { plan } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { Random } from '../sim/random.ts';
import { AnyType } from './any_type.ts';
import { bytesOf, type Decoded, decodeBlock, decodingLayout, eventType, NEVER_MS } from './columns.ts';
import { damage, JsonText } from './json_text.ts';
import { judgeEvents } from './judge.ts';

function list(of: Type, presence: Presence = REQUIRED): Type {
  return { kind: 'list', of: { type: of, presence } };
}

function struct(...fields: Field[]): Type {
  return { kind: 'struct', name: null, fields };
}

function fallback(value: Value): Presence {
  return { kind: 'default', value };
}

describe('lists and structs of any type', () => {
  test.each([1, 2, 3, 4])('are read as JSON.parse reads them, seed %p', async seed => {
    const rng = new Random(seed);
    const json = new JsonText(rng);
    const any = new AnyType(rng, json);
    let [good, bad] = [0, 0];
    for (let round = 0; round < 12; round++) {
      const events = ['e', 'f', 'g'].map(name => any.event(name));
      const lines = Array.from({ length: 400 }, () => {
        const { name, inputs } = rng.pick(events);
        const data = any.object(inputs);
        // Data before its type is read in a second pass.
        const members: [string, string][] = [
          ['type', `"${name}"`],
          ['time', '1'],
          ['data', data],
        ];
        return bytesOf(json.object(rng.chance(0.2) ? json.shuffled(members) : members));
      });
      const judged = await judgeEvents(events, lines);
      const spoiled = lines.map(line => damage(line, rng).map(byte => (byte === 10 ? 32 : byte)));
      await judgeEvents(events, spoiled);
      [good, bad] = [good + judged.good, bad + judged.bad];
    }
    expect(good).toBeGreaterThan(2000);
    expect(bad).toBeGreaterThan(300);
  });
});

function place(name: string, type: Type, presence: Presence = REQUIRED, path = [name]): Field {
  return { name, path, type, presence };
}

const MEMBER = struct(place('name', STRING), place('hours', DOUBLE, OPTIONAL), place('rank', INT64, fallback(3n)));
const TRIP = eventType('trip', [
  place('crew', list(MEMBER), OPTIONAL),
  place('tags', list(STRING), OPTIONAL),
  place('grid', list(list(INT64)), OPTIONAL),
  place(
    'place',
    struct(place('zip', STRING, OPTIONAL), place('city', STRING, OPTIONAL, ['address', 'city'])),
    OPTIONAL,
  ),
]);

/** What one event's data comes to: its inputs, or why it is bad. */
async function read(data: string): Promise<{ [name: string]: Value } | string> {
  const { records, rejected } = await decode(`{"type":"trip","time":0,"data":${data}}`);
  if (rejected.length > 0) return rejected[0]!.code;
  return records[0]!.bad?.reason ?? records[0]!.inputs!;
}

const lay = decodingLayout([TRIP]);

async function decode(text: string): Promise<Decoded> {
  return decodeBlock(await lay, bytesOf(text));
}

describe('inputs of an event', () => {
  const NONE = { crew: null, tags: null, grid: null, place: null };
  const cases: [data: string, wanted: { [name: string]: Value } | string][] = [
    ['{}', NONE],
    ['{"crew":null,"tags":null,"place":null}', NONE],
    ['{"crew":[],"grid":[[],[1],[]]}', { ...NONE, crew: [], grid: [[], [1n], []] }],
    ['{"crew":[{"name":"Ann"}]}', { ...NONE, crew: [{ name: 'Ann', hours: null, rank: 3n }] }],
    ['{"crew":[{"rank":null,"name":"A","hours":1e0}]}', { ...NONE, crew: [{ name: 'A', hours: 1, rank: 3n }] }],
    ['{"place":{}}', { ...NONE, place: { zip: null, city: null } }],
    ['{"place":{"address":{"city":"x"},"zip":"1"}}', { ...NONE, place: { zip: '1', city: 'x' } }],
    ['{"place":{"address":{"city":"x"},"address":{}}}', { ...NONE, place: { zip: null, city: null } }],
    ['{"tags":["\\u0041\\n","","b"]}', { ...NONE, tags: ['A\n', '', 'b'] }],
    ['{"tags":[1],"tags":["x"]}', { ...NONE, tags: ['x'] }],
    ['{"crew":[{"name":1,"name":"x"}]}', { ...NONE, crew: [{ name: 'x', hours: null, rank: 3n }] }],
    ['{"tags":["x"],"tags":null}', NONE],
    ['{"tags":["a",2,"c"]}', 'input tags[1] is no string'],
    ['{"tags":["a",null]}', 'required input tags[1] is missing or null'],
    ['{"tags":"a"}', 'input tags is no [string]'],
    ['{"crew":[{"name":"A"},{},{"name":1}]}', 'required input crew[1].name is missing or null'],
    ['{"crew":[{"name":"A"},7]}', 'input crew[1] is no {name: string, hours: double?, rank: int64}'],
    ['{"crew":[{"rank":1.5,"hours":"x","name":"A"}]}', 'input crew[0].hours is no double'],
    ['{"crew":[{"rank":1.5,"name":"A"}]}', 'input crew[0].rank is no integer within int64'],
    ['{"grid":[[1],[2,"3"]]}', 'input grid[1][1] is no int64'],
    ['{"place":{"address":[]}}', 'input place.address.city is no string'],
    ['{"place":[]}', 'input place is no {zip: string?, city: string?}'],
    // What stands behind a fault is still JSON, or the line is none.
    ['{"tags":[1,tru]}', 'not_json'],
    ['{"tags":["a",]}', 'not_json'],
    ['{"tags":["a"', 'not_json'],
    ['{"tags":["a" "b"]}', 'not_json'],
    ['{"crew":[{"name":"A",}]}', 'not_json'],
  ];

  test.each(cases)('%s', async (data, wanted) => {
    expect(await read(data)).toEqual(wanted as never);
    const { records } = await decode(`{"type":"trip","time":0,"data":${data}}`);
    // In the second pass, and in the flat form, it is the same.
    const late = await decode(`{"data":${data},"time":0,"type":"trip"}`);
    const flat = await decode(`{"_type":"trip","_time":0${data === '{}' ? '' : ','}${data.slice(1)}`);
    for (const other of [late, flat]) {
      expect(other.records.map(({ inputs }) => inputs)).toEqual(records.map(({ inputs }) => inputs));
      expect(other.records.map(({ bad }) => bad?.reason)).toEqual(records.map(({ bad }) => bad?.reason));
    }
  });

  test('every prefix of a line, and every byte in every place', async () => {
    const line = bytesOf(
      '{"type":"trip","time":1,"data":{"crew":[{"name":"\\u00e9","hours":1.5},{"name":"b"}],"grid":[[],[1,2]],"place":{"zip":"é"}}}',
    );
    await judgeEvents(
      [TRIP],
      Array.from(line, (_, at) => line.slice(0, at)),
    );
    const changed = Array.from(line, (_, at) =>
      [...bytesOf('"\\{}[],:0-tn '), 0, 0x7f, 0x80, 0xff].map(byte => line.map((old, i) => (i === at ? byte : old))),
    );
    await judgeEvents([TRIP], changed.flat());
  });

  test('may nest as deep as records may', async () => {
    let type: Type = INT64;
    for (let depth = 0; depth < 16; depth++) type = depth % 2 ? list(type) : struct(place('a', type, OPTIONAL));
    const deep = eventType('deep', [place('x', type, OPTIONAL)]);
    const nest = (depth: number, inner: string): string =>
      depth === 0 ? inner : depth % 2 ? `{"a":${nest(depth - 1, inner)}}` : `[${nest(depth - 1, inner)}]`;
    const lines = [0, 1, 15, 16, 17, 61, 62, 63].map(
      depth => `{"type":"deep","time":0,"data":{"x":${nest(depth, '1')}}}`,
    );
    const { good } = await judgeEvents([deep], lines.map(bytesOf));
    expect(good).toBe(1);
    const { rejected } = decodeBlock(await decodingLayout([deep]), bytesOf(lines.join('\n')));
    expect(rejected.map(({ line, code }) => [line, code])).toEqual([[8, 'too_deep']]);
  });

  test('a list may fill a line, and three bytes that stand for many values may not', async () => {
    expect((await lay).kernel.exports.NESTED_VALUES_MAX.value).toBe(NESTED_VALUES_MAX);
    const many = Array.from({ length: 500_000 }, (_, i) => i % 10);
    const read = await decode(`{"type":"trip","time":0,"data":{"grid":[[${many.join()}]]}}`);
    expect((read.records[0]!.inputs!.grid as Value[][])[0]).toEqual(many.map(BigInt));
    const wide = struct(...Array.from({ length: 1000 }, (_, i) => place(`f${i}`, INT64, OPTIONAL)));
    const events = [eventType('wide', [place('x', list(wide))])];
    const line = (count: number) => `{"type":"wide","time":0,"data":{"x":[${new Array(count).fill('{}').join()}]}}`;
    // A struct and its fields are 1001 values.
    const fit = Math.floor(NESTED_VALUES_MAX / 1001);
    const lines = [line(fit), line(fit + 1), line(3)].join('\n');
    const { records } = decodeBlock(await decodingLayout(events), bytesOf(lines));
    const oracle = parseLog(lines, plan({ events }), { clock: 'event', maxJumpMs: NEVER_MS });
    expect(records.map(({ bad }) => bad !== null)).toEqual(oracle.records.map(({ bad }) => bad !== null));
    expect(records.map(({ bad }) => bad && [bad.code, bad.reason])).toEqual([
      null,
      ['too_large', `with input x[${fit}] its lists and structs have more than ${NESTED_VALUES_MAX} values, the limit`],
      null,
    ]);
  });

  test('memory does not grow from batch to batch', async () => {
    const of = await decodingLayout([TRIP]);
    const { exports } = of.kernel;
    const sizes = Array.from({ length: 30 }, (_, batch) => {
      const tags = new Array(20_000 + ((batch * 7919) % 5000)).fill('"\\n"').join();
      decodeBlock(of, bytesOf(`{"type":"trip","time":0,"data":{"tags":[${tags}]}}`));
      return exports.memoryInUse();
    });
    expect(Math.max(...sizes.slice(10))).toBe(Math.max(...sizes.slice(0, 10)));
  });

  test('a batch ends where much was made, and the next one goes on', async () => {
    const line = (i: number) =>
      `{"type":"trip","time":0,"data":{"grid":[[${i},${new Array(100_000).fill(1).join()}]]}}`;
    const { records, batches } = await decode(Array.from({ length: 20 }, (_, i) => line(i)).join('\n'));
    expect(batches).toBe(2);
    expect(records.map(({ inputs }) => (inputs!.grid as Value[][])[0]![0])).toEqual(
      Array.from({ length: 20 }, (_, i) => BigInt(i)),
    );
  });
});
