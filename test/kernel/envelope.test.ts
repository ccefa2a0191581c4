/**
 * Changes in Debezium's envelopes, and upserts: which rows a record is, held against the oracle, which reads them by
 * JSON.parse.
 */
import { describe, expect, test } from 'bun:test';
import { admit } from '../../src/kernel/door.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { completeBatch } from '../../src/kernel/upsert.ts';
import type { Changelog, EventType } from '../../src/plan/plan.ts';
import { BOOL, INT64, REQUIRED, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { optional, plan, required } from '../oracle/fixtures/spell.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, cellAt, decodingLayout, eventType, NEVER_MS } from './columns.ts';
import { damage, JsonText } from './json_text.ts';

const INPUTS = [required('id', INT64), optional('shop', STRING), required('at', TIME)];
const changesOf = (name: string, changelog: Changelog): EventType => ({ ...eventType(name, INPUTS), changelog });
const TAGS: Type = { kind: 'list', of: { type: STRING, presence: REQUIRED } };
const EVENTS: EventType[] = [
  changesOf('orders', { kind: 'debezium', time: null }),
  changesOf('timed', { kind: 'debezium', time: 'at' }),
  { ...eventType('ops', [...INPUTS, required('op', STRING)]), changelog: { kind: 'ops', op: 'op', time: null } },
  eventType('plain', INPUTS),
  changesOf('kept', { kind: 'upsert', key: ['id'], form: 'debezium', says: null, time: 'at' }),
  {
    ...eventType('now', [...INPUTS.with(1, required('shop', STRING)), required('op', STRING), optional('tags', TAGS)]),
    changelog: { kind: 'upsert', key: ['shop', 'id'], form: 'ops', says: 'op', time: null },
  },
  {
    ...eventType('flagged', [...INPUTS, optional('gone', BOOL)]),
    changelog: { kind: 'upsert', key: ['at'], form: 'flag', says: 'gone', time: null },
  },
];

/** Keeps the last rows in a kernel of their own. */
async function keeping(of: Layout): Promise<Layout & { last: Fold }> {
  for (const [type, { event }] of of.types.entries())
    if (event.changelog?.kind === 'upsert') of.kernel.exports.keepLastRows(type, 100 + type, 1);
  return { ...of, last: new Fold(await loadKernel(), null) };
}

const ROW = '{"id":1,"shop":"a","at":1700000000000}';
const OTHER = '{"id":1,"shop":"b","at":"2023-11-14T22:13:20Z"}';
const SOURCE = '{"connector":"postgresql","schema":"public","table":"orders","ts_ms":1700000000500}';
const envelope = (op: string, before: string, after: string) =>
  `{"before":${before},"after":${after},"source":${SOURCE},"op":"${op}","ts_ms":1700000000900,"transaction":null}`;

interface Decoded {
  line: number;
  code: string | null;
  reason: string;
  timeMicros: bigint;
  type: string | null;
  rows: { weight: bigint; time: bigint; inputs: { [name: string]: Value } }[];
}

/** Every record with its rows: what it takes back first. */
function decode(
  { kernel, types, last: lastRows }: Layout & { last: Fold },
  block: Uint8Array,
): { records: Decoded[]; rejected: number[]; batches: number[] } {
  const decoder = new Decoder(kernel, types);
  const { exports } = kernel;
  const records: Decoded[] = [];
  const rejected: number[] = [];
  const batches: number[] = [];
  let line = 0;
  decoder.fill(block);
  while (decoder.next(0, null)) {
    completeBatch(kernel, lastRows);
    const bads = new Map(decoder.bad().map(bad => [bad.record, bad]));
    for (let record = 0; record < decoder.count; record++) {
      const int = (global: { value: number }) => kernel.ints(global.value + record * 4, 1)[0]!;
      const type = types[int(exports.recordType)];
      const last = int(exports.recordRow);
      const before = TWO_ROWS.has(type?.event.changelog?.kind ?? '') && last >= 0 ? int(exports.recordBefore) : -1;
      const read = (row: number) => {
        const { frame, inputs, event } = type!;
        const values = inputs.map((input, i) => [input.name, cellAt(kernel, frame, i, input.type, row)]);
        const weight = event.changelog ? cellAt(kernel, frame, inputs.length + 1, INT64, row) : 1n;
        const time = cellAt(kernel, frame, inputs.length, TIME, row) as bigint;
        return { weight: weight as bigint, time, inputs: Object.fromEntries(values) as { [name: string]: Value } };
      };
      records.push({
        line: int(exports.recordLine) + line,
        code: bads.get(record)?.code ?? null,
        reason: bads.get(record)?.reason ?? '',
        timeMicros: kernel.longs(exports.recordTime.value + record * 8, 1)[0]!,
        type: type?.event.name ?? null,
        rows: [before, last].filter(row => row >= 0).map(read),
      });
    }
    for (const one of decoder.rejected()) rejected.push(one.line + line);
    batches.push(decoder.count);
    line += decoder.lines;
  }
  return { records, rejected, batches };
}

/** A record may have a row besides its own. */
const TWO_ROWS = new Set(['debezium', 'upsert']);

const lay = decodingLayout(EVENTS).then(keeping);

async function one(text: string): Promise<Decoded> {
  const { records, rejected } = decode(await lay, bytesOf(text));
  expect([records.length, rejected.length]).toEqual([1, 0]);
  return records[0]!;
}

const shops = ({ rows }: Decoded) => rows.map(({ weight, inputs }) => [weight, inputs.shop]);

describe('a change', () => {
  test.each([
    ['c', 'null', ROW, [[1n, 'a']]],
    ['r', 'null', ROW, [[1n, 'a']]],
    [
      'u',
      ROW,
      OTHER,
      [
        [-1n, 'a'],
        [1n, 'b'],
      ],
    ],
    ['d', ROW, 'null', [[-1n, 'a']]],
  ])('%s', async (op, before, after, rows) => {
    const bare = await one(envelope(op, before, after));
    expect([bare.type, bare.timeMicros, bare.code]).toEqual(['orders', 1_700_000_000_500_000n, null]);
    const wrapped = (data: string) => `{"type":"orders","time":1700000000500,"data":${data}}`;
    const others = [
      `{"schema":{"type":"struct","fields":[{"field":"op"}]},"payload":${envelope(op, before, after)}}`,
      wrapped(envelope(op, before, after)),
      wrapped(`{"payload":${envelope(op, before, after)},"schema":null}`),
      envelope(op, before, after).replace('{', '{"_type":"orders","_time":1700000000500,'),
      envelope(op, before, after).replace('"op"', '"\\u006fp"').replace('"before"', '"b\\u0065fore"'),
    ];
    for (const text of [envelope(op, before, after), ...others])
      expect([text, shops(await one(text)) as unknown]).toEqual([text, rows]);
  });

  test('is of the time of the database, or of when it was seen', async () => {
    const timeOf = async (source: string, seen: string) =>
      (await one(`{"op":"c","after":${ROW},"source":{"table":"orders"${source}}${seen}}`)).timeMicros;
    expect(await timeOf(',"ts_ms":5', ',"ts_ms":7')).toBe(5000n);
    for (const source of ['', ',"ts_ms":null', ',"ts_ms":0', ',"ts_ms":-0.0'])
      expect(await timeOf(source, ',"ts_ms":7')).toBe(7000n);
  });

  test("takes a row back at the row's own time", async () => {
    const { rows } = await one(
      `{"type":"timed","time":1700000000500,"data":${envelope('u', ROW.replace('00000,', '00001,').replace('000}', '001}'), OTHER)}}`,
    );
    expect(rows.map(({ time }) => time)).toEqual([1_700_000_000_001_000n, 1_700_000_000_000_000n]);
  });
});

describe('what cannot count', () => {
  const wrapped = (data: string, type = 'orders') => `{"type":"${type}","time":1700000000500,"data":${data}}`;
  test.each([
    [wrapped(envelope('t', 'null', 'null')), 'unknown_op', '`op` is none of c, r, u, d'],
    [wrapped('{"before":null,"after":null,"op":1}'), 'unknown_op', '`op` is none of'],
    [wrapped('{}'), 'unknown_op', '`op` is none of'],
    [wrapped(envelope('u', 'null', ROW)), 'no_before', '`before` is no row; the database has to log whole rows'],
    [wrapped(envelope('d', '{"id":1,"shop":null,"at":null}', 'null')), 'no_before', '`before` lacks input at;'],
    [wrapped(envelope('c', ROW, 'null')), 'no_after', '`after` is no row'],
    [wrapped(envelope('u', ROW, '{"id":1}')), 'missing', 'required input at is missing or null'],
    [wrapped(envelope('u', ROW.replace('"a"', '5'), OTHER)), 'wrong_type', 'input shop is no string'],
    [
      wrapped(envelope('u', ROW, OTHER.replace('"b"', '"__debezium_unavailable_value"'))),
      'unavailable',
      'input shop is a value',
    ],
    [
      wrapped(envelope('c', 'null', ROW.replace('1700000000000', '1700009000000')), 'timed'),
      'row_ahead',
      'input at is more than 10 minutes ahead',
    ],
    [wrapped('[]'), 'data_not_object', '`data` is not an object'],
    [wrapped(ROW.replace('{', '{"op":"+X",'), 'ops'), 'unknown_op', 'input op is none of +I, -U, +U, -D'],
  ])('%s', async (text, code, reason) => {
    const found = await one(text);
    expect([found.code, found.rows]).toEqual([code, []]);
    expect(found.reason).toContain(reason);
  });

  test.each(['null', '{"schema":null,"payload":null}'])('a deleted row that is forgotten: %s', async data => {
    expect(await one(wrapped(data))).toMatchObject({ code: null, rows: [] });
  });

  test('a line that is null is passed over, at the door too', async () => {
    const text = `null\n${envelope('c', 'null', ROW)}\n null \r\nnull1\nnul\n`;
    const { records, rejected } = decode(await lay, bytesOf(text));
    expect([records.map(({ line }) => line), rejected]).toEqual([[2], [4, 5]]);
    const admitted = admit(await loadKernel(), bytesOf(text), 'ndjson');
    expect(admitted).toMatchObject({ count: 1, rejected: [{ line: 4 }, { line: 5 }] });
  });
});

describe('what a row is now', () => {
  const now = (type: string, data: string) => `{"type":"${type}","time":1700000000500,"data":${data}}`;
  const row = (id: number, more: string) => `{"id":${id},"shop":"a","at":1700000000000,${more}}`;
  const all = async (...texts: string[]) => {
    const { records } = decode(await keeping(await decodingLayout(EVENTS)), bytesOf(texts.join('\n')));
    return records.map(record => record.code ?? shops(record));
  };

  test.each([
    ['now', row(1, '"op":"+X"'), 'unknown_op', 'input op is none of +I, -U, +U, -D'],
    ['now', '{"op":"-D","shop":"a"}', 'missing', 'required input id is missing or null'],
    ['now', '{"op":"-D","shop":"a","id":1.5}', 'out_of_range', 'input id is no integer within int64'],
    ['flagged', row(1, '"gone":"yes"'), 'wrong_type', 'input gone is no bool'],
    ['kept', envelope('d', 'null', 'null'), 'no_before', 'the key of the deleted row is not there'],
    ['kept', envelope('x', ROW, ROW), 'unknown_op', '`op` is none of c, r, u, d'],
    ['now', row(1, `"op":"+I","more":"${'x'.repeat(65_536)}"`), 'row_too_long', 'longer than 65536 bytes'],
  ])('cannot count: %s %.80s', async (type, data, code, reason) => {
    const found = await one(now(type, data));
    expect([found.code, found.rows]).toEqual([code, []]);
    expect(found.reason).toContain(reason);
  });

  test('what cannot count leaves the row as it was', async () => {
    const found = await all(
      now('kept', envelope('c', 'null', ROW)),
      now('kept', envelope('u', 'null', OTHER.replace('"b"', '5'))),
      now('kept', envelope('u', 'null', OTHER)),
      now('kept', envelope('d', '{"id":1}', 'null')),
      now('kept', envelope('d', '{"id":1}', 'null')),
    );
    expect(found).toEqual([
      [[1n, 'a']],
      'wrong_type',
      [
        [-1n, 'a'],
        [1n, 'b'],
      ],
      [[-1n, 'b']],
      [],
    ]);
  });

  test('a batch ends where a frame has no room for a record and what it takes back', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => now('now', row(i % 7, '"op":"+U"')));
    const { records, batches } = decode(await keeping(await decodingLayout(EVENTS)), bytesOf(lines.join('\n')));
    expect(batches).toEqual([2048, 2048, 904]);
    expect(records.filter(({ rows }) => rows.length === 2).length).toBe(5000 - 7);
  });

  test('rows of any length come back whole, of names longer than what is decoded with them', async () => {
    const name = 'é'.repeat(8_000);
    const spelled = [...name].map(() => '\\u00e9').join('');
    const long = row(1, `"${spelled}":1,"op":"+I","tags":["${'y'.repeat(3000)}"]`);
    const of = await keeping(await decodingLayout(EVENTS));
    decode(of, bytesOf(now('now', long)));
    const [record] = decode(of, bytesOf(now('now', '{"op":"-D","shop":"a","id":1}'))).records;
    expect(record!.rows).toMatchObject([{ weight: -1n, inputs: { tags: ['y'.repeat(3000)], op: '+I' } }]);
  });
});

test('over HTTP: a change is a body, and an element of one; a null is neither', async () => {
  const kernel = await loadKernel();
  const [change, row] = [envelope('c', 'null', ROW), ROW];
  const admitted = (text: string) => admit(kernel, bytesOf(text), 'json');
  expect(admitted(change)).toMatchObject({ count: 1, rejected: [] });
  expect(admitted(`{"schema":{},"payload":${change}}`)).toMatchObject({ count: 1, rejected: [] });
  expect(admitted(' null\n')).toMatchObject({ count: 0, rejected: [] });
  const many = admitted(`[null,${change},${row},null ,\n${change}]`);
  expect(many).toMatchObject({ count: 2, rejected: [{ line: 3, code: 'no_type' }] });
  expect('lines' in many && new TextDecoder().decode(many.lines)).toBe(`${change}\n${change}\n`);
});

test('a batch ends where a frame has no room for two rows more', async () => {
  const lines = Array.from({ length: 5000 }, () => envelope('u', ROW, OTHER));
  const { records, batches } = decode(await lay, bytesOf(lines.join('\n')));
  expect([records.length, batches]).toEqual([5000, [2048, 2048, 904]]);
  expect(records.every(record => record.rows.length === 2)).toBe(true);
});

/** Envelopes of all sorts, many of which lack something. */
class Envelopes {
  readonly json: JsonText;

  constructor(readonly rng: Random) {
    this.json = new JsonText(rng);
  }

  line(): string {
    const { rng, json } = this;
    const type = rng.pick(EVENTS.map(({ name }) => name));
    const isRow = type === 'now' || type === 'flagged';
    const change = isRow ? this.#upsert(type) : this.#envelope(type);
    const time = rng.pick(['1700000000500', '"2023-11-14T22:13:20.5Z"']);
    const inner = rng.chance(isRow ? 0.02 : 0.3)
      ? json.object(
          json.shuffled([
            ['schema', json.value(2)],
            ['payload', rng.chance(0.1) ? 'null' : json.object(change)],
          ]),
        )
      : json.object(change);
    if (rng.chance(isRow ? 0.02 : 0.4)) return inner;
    if (rng.chance(0.2)) return json.object([['_type', json.spell(type)], ['_time', time], ...change]);
    const data = rng.chance(0.05) ? rng.pick(['null', '[]', '{}', '5']) : inner;
    return json.object(
      json.shuffled([
        ['type', json.spell(type)],
        ['time', time],
        ['data', data],
      ]),
    );
  }

  #envelope(type: string): [string, string][] {
    const { rng, json } = this;
    const some = (odd: number) => (rng.chance(odd) ? json.value(2) : null);
    const table = some(0.03) ?? json.spell(rng.chance(0.1) ? 'other' : type);
    const source = json.object(
      json.shuffled([
        ['table', table],
        ...(rng.chance(0.8)
          ? [['ts_ms', some(0.05) ?? rng.pick(['1700000000500', '0', 'null', '0e3'])] as [string, string]]
          : []),
      ]),
    );
    const members: [string, string][] = [
      ['op', some(0.03) ?? json.spell(rng.pick(['c', 'r', 'u', 'u', 'd', 'd', 't', '+I', 'cc', '']))],
      ['before', some(0.03) ?? this.#row()],
      ['after', some(0.03) ?? this.#row()],
      ['source', some(0.03) ?? source],
      ['ts_ms', some(0.03) ?? '1700000000900'],
    ];
    const kept = members.filter(() => !rng.chance(0.03));
    if (rng.chance(0.05)) kept.push(rng.pick(members));
    return json.shuffled([...kept, ['transaction', 'null']]);
  }

  #upsert(type: string): [string, string][] {
    const { rng, json } = this;
    const said = (words: string[]) => (rng.chance(0.05) ? json.value(2) : rng.pick(words));
    const member: [string, string] =
      type === 'now'
        ? [
            'op',
            said(
              ['"+I"', '"+U"', '"-U"', '"-D"'].map(word => (rng.chance(0.2) ? json.spell(word.slice(1, -1)) : word)),
            ),
          ]
        : ['gone', said(['true', 'false', 'null'])];
    const tags = ['[]', 'null', '["a","\\u0062\\n"]', '[null]', '["é",7]'];
    const key = type === 'now' && rng.chance(0.9) ? [['shop', rng.pick(['"a"', '"\\u0061"', '"b"', 'null'])]] : [];
    return json.shuffled([...this.#members(), ...(key as [string, string][]), ['tags', rng.pick(tags)], member]);
  }

  #row(): string {
    const { rng, json } = this;
    return rng.chance(0.1) ? 'null' : json.object(json.shuffled(this.#members()));
  }

  #members(): [string, string][] {
    const { rng, json } = this;
    const members: [string, string][] = [
      ['id', rng.chance(0.02) ? 'null' : String(rng.below(10))],
      ['shop', rng.chance(0.1) ? rng.pick(['null', '5', '"__debezium_unavailable_value"']) : json.spell(json.text())],
      ['at', rng.pick(['1700000000000', '1700000000000', '1700009000000'])],
      ['more', json.value(2)],
    ];
    return members.filter(() => !rng.chance(0.02));
  }
}

test.each([1, 2, 3, 4])(
  'seed %p: random envelopes, whole and damaged, are what the oracle makes of them',
  async seed => {
    const rng = new Random(seed);
    const envelopes = new Envelopes(rng);
    const lines = Array.from({ length: 3000 }, () => {
      const line = bytesOf(envelopes.line().replaceAll('\n', ' '));
      return rng.chance(0.1) ? damage(line, rng) : line;
    });
    const block = Buffer.concat(lines.flatMap(line => [line, bytesOf('\n')]));
    const log: Log = parseLog(block, plan({ events: EVENTS }), { clock: 'event', maxJumpMs: NEVER_MS });
    const of = await keeping(await decodingLayout(EVENTS));
    const decoded = decode(of, block);
    expect(decoded.rejected).toEqual(log.rejected.map(({ line }) => line));
    expect(decoded.records.length).toBe(log.records.length);
    for (const [i, { line, type, timeMicros, code, rows }] of decoded.records.entries()) {
      const theirs = log.records[i]!;
      const isDeclared = EVENTS.some(({ name }) => name === theirs.type);
      const wanted = {
        line: theirs.line,
        type: isDeclared ? theirs.type : null,
        timeMicros: theirs.time,
        isBad: isDeclared && theirs.bad !== null,
        rows: theirs.bad === null ? theirs.rows : [],
      };
      const got = { line, type, timeMicros, isBad: code !== null, rows };
      if (!Bun.deepEquals(got, wanted))
        expect([new TextDecoder().decode(lines[line - 1]!), got as unknown]).toEqual(['', wanted]);
    }
    for (const type of ['orders', 'kept', 'now', 'flagged'])
      expect([type, decoded.records.filter(one => one.type === type && one.rows.length === 2).length > 5]).toEqual([
        type,
        true,
      ]);
    expect(decoded.records.filter(({ code }) => code !== null).length).toBeGreaterThan(200);
    const admitted = admit(await loadKernel(), block, 'ndjson');
    expect('count' in admitted && admitted.count).toBe(log.records.length);
  },
);
