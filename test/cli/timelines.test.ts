/** Timelines of a data folder: made from its log and from files, replayed, interrupted, deleted. */
import { afterAll, describe, expect, test } from 'bun:test';
import { Database } from 'bun:sqlite';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Fault } from '../../src/base/fault.ts';
import { composeReplay } from '../../src/cli/alone/retelling.ts';
import { parseConfig } from '../../src/cli/config.ts';
import { parseTimelineName, type TimelineRequest, Timelines } from '../../src/cli/timelines.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { timelineJson } from '../../src/http/timelines.ts';
import { openTimelineMeta } from '../../src/meta/timelines.ts';
import type { ReplayBatch } from '../../src/replay/replay.ts';
import { batchWithin } from '../../src/replay/within.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { folderLog } from '../../src/source/segments.ts';
import type { Source } from '../../src/source/source.ts';
import { CREDENTIALS, motoOrSkip, startMoto } from '../source/moto.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const CONFIG = 'log: { clock: event, segment: { bytes: 4KiB } }\ndefinitions: features\n';
const DEFINITIONS = `
events:
  sale: { shop: string, cents: int64 }
  visit: { shop: string, person: { type: string, optional: true } }
entities:
  shop: string
---
feature_set: shops
description: what a shop sells
owner: tests
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS sum, LAST_N(cents, 3) AS latest FROM sale GROUP BY shop
---
feature_set: visits
description: who comes
owner: tests
entity: shop
source: visit
windows: [30m, lifetime]
sql: SELECT shop, COUNT(*) AS n, LAST(person) AS who FROM visit GROUP BY shop
`;

const START_MS = Date.UTC(2024, 4, 1);
const newFolder = folders();
const opened: Timelines[] = [];
afterAll(() => {
  for (const each of opened) each.close();
});

interface Event {
  type: string;
  time: string;
  data: Record<string, unknown>;
}

/** Every 40th comes late, and some are of a type that nobody declares; no two are of the same time. */
function someEvents(count: number, seed = 1): Event[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const ms = START_MS + i * 60_000 + random.below(50_000) - (i % 40 === 39 ? 600_000 : 0);
    const shop = `s${random.below(4)}`;
    const kind = random.below(3);
    const time = new Date(ms).toISOString();
    if (kind === 0) return { type: 'sale', time, data: { shop, cents: random.below(1000) } };
    if (kind === 1) return { type: 'visit', time, data: { shop, ...(random.chance(0.8) && { person: `é${i}` }) } };
    return { type: 'other', time, data: { what: i } };
  });
}

const linesOf = (events: Event[]) => events.map(event => `${JSON.stringify(event)}\n`).join('');
const byTime = (events: Event[]) => events.toSorted((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));

async function dataFolder(events: Event[]) {
  const folder = newFolder();
  mkdirSync(join(folder, 'features'), { recursive: true });
  writeFileSync(join(folder, 'tilefold.yaml'), CONFIG);
  writeFileSync(join(folder, 'features/shops.yaml'), DEFINITIONS);
  const config = parseConfig(join(folder, 'tilefold.yaml'), CONFIG);
  await appendEvents(config.log.dir, events);
  const timelines = await Timelines.open(config);
  opened.push(timelines);
  return { folder, config, timelines, file: (name: string) => join(folder, name) };
}

async function appendEvents(folder: string, events: Event[]): Promise<void> {
  const log = await EventLog.open({ disk: localDisk, folder, clock: CLOCK, segmentBytes: 4096 });
  for (let at = 0; at < events.length; at += 10) {
    const some = events.slice(at, at + 10);
    await log.append(Buffer.from(linesOf(some)), some.length, BigInt(START_MS + 86_400_000 + at) * 1000n);
  }
  await log.close();
}

const CLOCK = { kind: 'event', maxJumpMs: 31 * 86_400_000 } as const;

function request(name: string, some: Partial<TimelineRequest> = {}): TimelineRequest {
  const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
  return { name, from: { kind: 'log' }, ...all, ...some };
}

const fromFiles = (paths: string[], names = {}): Pick<TimelineRequest, 'from'> => ({
  from: { kind: 'files', paths, names },
});

async function linesIn(source: Source): Promise<string> {
  let text = '';
  for await (const { bytes } of source.read(0)) text += new TextDecoder().decode(bytes);
  return text;
}

const read = async (timelines: Timelines, ...names: string[]) =>
  linesIn(timelines.read(names.map(parseTimelineName)).source);

/** Every row of a replay, as JSON. */
async function replayed(source: Source, within: Parameters<typeof batchWithin>[1] | null = null): Promise<string[]> {
  const { plan, faults } = await compileSources([{ file: 'shops.yaml', text: DEFINITIONS }], { latenessMs: 3_600_000 });
  expect(faults).toEqual([]);
  const rows = { memoryBytes: 16 << 20, path: '/nowhere' };
  const replay = await composeReplay(plan, source, rows, { onRejected() {}, onBad() {} });
  const all: string[] = [];
  for await (const whole of replay.batches) {
    const batch = within ? batchWithin(whole, within) : whole;
    for (let row = 0; row < batch.count; row++) all.push(rowText(batch, row));
  }
  replay.close();
  return all;
}

function rowText({ positions, timesMicros, types, columns }: ReplayBatch, row: number): string {
  const values = columns.map(({ values, nulls, statuses }) => {
    const cell =
      'offsets' in values ? [...values.items].slice(values.offsets[row], values.offsets[row + 1]) : values[row];
    return [nulls[row] ? null : cell, statuses[row]];
  });
  const parts = [positions[row], timesMicros[row], types[row], values];
  return JSON.stringify(parts, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}

const messageOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: Error) => error.message,
  );

describe('from the log', () => {
  test('a timeline is the log, a stretch of it, some types, and what a condition is true of', async () => {
    const events = someEvents(400);
    const { timelines } = await dataFolder(events);
    const all = await timelines.create(request('all'));
    expect([all.records, all.rejected]).toEqual([400, 0]);
    expect(await read(timelines, 'all')).toBe(linesOf(events));
    const [startMs, endMs] = [START_MS + 3_600_000, START_MS + 2 * 3_600_000];
    await timelines.create(
      request('hour', {
        startMicros: BigInt(startMs) * 1000n,
        endMicros: BigInt(endMs) * 1000n,
        types: ['sale', 'other'],
      }),
    );
    const isIn = ({ type, time }: Event) => type !== 'visit' && Date.parse(time) >= startMs && Date.parse(time) < endMs;
    expect(await read(timelines, 'hour')).toBe(linesOf(events.filter(isIn)));
    await timelines.create(request('dear', { where: "cents > 500 AND shop <> 's1'", types: ['sale'] }));
    const isDear = ({ type, data }: Event) => type === 'sale' && (data.cents as number) > 500 && data.shop !== 's1';
    expect(await read(timelines, 'dear')).toBe(linesOf(events.filter(isDear)));
    await timelines.create(request('shop', { where: "shop = 's2'" }));
    const isDeclared = ({ type, data }: Event) => type !== 'other' && data.shop === 's2';
    expect(await read(timelines, 'shop')).toBe(linesOf(events.filter(isDeclared)));
    await timelines.create(request('last', { lastMs: 3_600_000 }));
    const latest = Math.max(...events.map(({ time }) => Date.parse(time)));
    expect(await read(timelines, 'last')).toBe(
      linesOf(events.filter(({ time }) => Date.parse(time) >= latest - 3_600_000)),
    );
  });

  test('what was saved stays, whatever the log becomes; saved again it has another version', async () => {
    const events = someEvents(200);
    const { timelines, config } = await dataFolder(events);
    const { version: first } = await timelines.create(request('all'));
    const more = someEvents(250).slice(200);
    await appendEvents(config.log.dir, more);
    expect(await read(timelines, 'all')).toBe(linesOf(events));
    const { version: second } = await timelines.create(request('all'));
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(await read(timelines, 'all')).toBe(linesOf([...events, ...more]));
    expect(await read(timelines, 'all@1')).toBe(linesOf(events));
    expect(timelines.show({ name: 'all', version: 1 })).toEqual(first);
    // The same stretch once more is the same to the last bit, and takes no room.
    const end = { endMicros: BigInt(Date.parse(byTime(events).at(-1)!.time)) * 1000n + 1n };
    const again = await timelines.create(request('again', end));
    expect(again.version.types.map(({ type, hash }) => [type, hash])).toEqual(
      first.types.map(({ type, hash }) => [type, hash]),
    );
    expect(again.chunksWritten).toBe(0);
  });

  test('faults say what is wrong, and make no version', async () => {
    const { timelines, file } = await dataFolder(someEvents(60));
    const fault = (some: Partial<TimelineRequest>) => messageOf(timelines.create(request('x', some)));
    expect(await fault({ where: 'cent > 5', types: ['sale'] })).toContain(
      '--where:1:1: event sale has no input "cent"; did you mean "cents"?',
    );
    expect(await fault({ where: 'cents > 5', types: ['sale', 'other'] })).toContain(
      'event type "other" is not declared',
    );
    expect(await fault({ where: 'cents', types: ['sale'] })).toContain('--where:1:1');
    expect(await fault({ startMicros: 5n, endMicros: 5n })).toContain('would end before it starts');
    expect(await fault({ name: '../x' })).toContain("cannot be a timeline's name");
    expect(await fault(fromFiles(['/nowhere.csv']))).toBe('there is no file /nowhere.csv');
    writeFileSync(file('plain.ndjson'), linesOf(someEvents(3)));
    expect(await fault(fromFiles([file('plain.ndjson')], { type: 'sale' }))).toContain('has no columns');
    expect(timelines.list()).toEqual([]);
    expect(() => timelines.show({ name: 'x', version: null })).toThrow('there is no timeline x');
    // What is noticed while it is read leaves a version that says so.
    expect(await fault({ types: ['nobody'] })).toBe('timeline x would hold nothing: none of 60 events is asked for');
    writeFileSync(file('bad.csv'), 'a,b\n1,2\n');
    expect(await fault(fromFiles([file('bad.csv')]))).toContain('has the columns a, b: wanted _type, or --type NAME');
    expect(timelines.list().map(({ version, state }) => [version, state])).toEqual([
      [1, 'error'],
      [2, 'error'],
    ]);
    expect(timelineJson(timelines.show({ name: 'x', version: 2 })).error).toContain('has the columns a, b');
    expect(messageOf(read(timelines, 'x'))).resolves.toContain('timeline x@2 is not ready: ');
    expect(messageOf(read(timelines, 'x@7'))).resolves.toBe('timeline x has no version 7; its latest is 2');
  });
});

describe('from files', () => {
  test('of every kind the same events are the same timeline, by time', async () => {
    const events = byTime(someEvents(300));
    const { timelines, file } = await dataFolder([]);
    const shuffled = events.toSorted(({ data: a }, { data: b }) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
    writeFileSync(file('plain.ndjson'), linesOf(events));
    writeFileSync(file('packed.ndjson.gz'), gzipSync(linesOf(shuffled)));
    writeFileSync(file('1.ndjson.zst'), zstdCompressSync(Buffer.from(linesOf(events.slice(0, 100)))));
    writeFileSync(file('2.ndjson'), `${linesOf(events.slice(100))}no event\n`);
    await timelines.create(request('plain', fromFiles([file('plain.ndjson')])));
    await timelines.create(request('packed', fromFiles([file('packed.ndjson.gz')])));
    const two = await timelines.create(request('two', fromFiles([file('2.ndjson'), file('1.ndjson.zst')])));
    expect([two.records, two.rejected, two.firstRejected?.line]).toEqual([300, 1, 201]);
    const [plain, ...others] = ['plain', 'packed', 'two'].map(name => timelines.show({ name, version: null }));
    for (const other of others) expect(other!.types).toEqual(plain!.types);
    expect(await read(timelines, 'plain')).toBe(linesOf(events));
    expect(await read(timelines, 'two')).toBe(linesOf(events));
  });

  test('CSV says by its columns what its events are, and what its cells hold', async () => {
    const { timelines, file } = await dataFolder([]);
    const csv = [
      '\ufeff_type,_time,_id,shop,cents,zip,ok,half,none,text',
      'sale,2024-05-01 10:00:00,7,s1,9007199254740993,01234,true,0.5,,""',
      'sale,2024-05-01T11:00:00.5+02:00,8,"s,2",-4,12345,False,inf,,"two\nlines ""so"""',
      'visit,1714557600000,,s3,,,,1e3,,',
      'sale,2024-05-01 09:00:00+00,9,s4,0,5,true,-0.0,,x',
    ].join('\r\n');
    writeFileSync(file('some.csv'), `${csv}\r\n`);
    await timelines.create(request('csv', fromFiles([file('some.csv')])));
    expect((await read(timelines, 'csv')).trimEnd().split('\n')).toEqual([
      '{"type":"sale","time":"2024-05-01 09:00:00+00:00","id":"9","data":{"shop":"s4","cents":0,"zip":"5","ok":true,"half":-0.0,"text":"x"}}',
      '{"type":"sale","time":"2024-05-01T11:00:00.5+02:00","id":"8","data":{"shop":"s,2","cents":-4,"zip":"12345","ok":false,"half":1e999,"text":"two\\nlines \\"so\\""}}',
      '{"type":"sale","time":"2024-05-01 10:00:00","id":"7","data":{"shop":"s1","cents":9007199254740993,"zip":"01234","ok":true,"half":0.5,"text":""}}',
      '{"type":"visit","time":1714557600000,"data":{"shop":"s3","half":1e3}}',
    ]);
    writeFileSync(file('one.tsv.gz'), gzipSync('at\tshop\tkey\n2024-05-01T00:00:00Z\ts1\t5\n'));
    await timelines.create(request('tsv', fromFiles([file('one.tsv.gz')], { type: 'visit', time: 'at', id: 'key' })));
    expect(await read(timelines, 'tsv')).toBe(
      '{"type":"visit","time":"2024-05-01T00:00:00Z","id":"5","data":{"at":"2024-05-01T00:00:00Z","shop":"s1"}}\n',
    );
    writeFileSync(file('ragged.csv'), '_type,_time\na,b,c\n');
    expect(await messageOf(timelines.create(request('ragged', fromFiles([file('ragged.csv')]))))).toMatch(
      /ragged\.csv cannot be read as CSV: .*line 2/,
    );
    writeFileSync(file('no.parquet'), 'PAR1 and nothing behind it');
    expect(await messageOf(timelines.create(request('no', fromFiles([file('no.parquet')]))))).toContain(
      'no.parquet cannot be read as Parquet: ',
    );
  });

  const moto = motoOrSkip('timelines from a bucket of S3');
  test.skipIf(moto === null)('in S3 are read below a prefix, by name', async () => {
    const server = await startMoto(moto!);
    try {
      await server.make('events');
      const events = byTime(someEvents(50));
      const { timelines, config } = await dataFolder([]);
      const put = (name: string, body: string | Uint8Array<ArrayBuffer>) =>
        fetch(`${server.url}/events/${name}`, { method: 'PUT', body });
      await put('may/1.ndjson.gz', Uint8Array.from(gzipSync(linesOf(events.slice(0, 20)))));
      await put('may/2.ndjson', linesOf(events.slice(20)));
      await put('june/1.ndjson', 'something else');
      const before = { ...process.env };
      Object.assign(process.env, CREDENTIALS, { AWS_ENDPOINT_URL: server.url });
      try {
        await timelines.create(request('s3', fromFiles(['s3://events/may/'])));
        expect(await messageOf(timelines.create(request('june', fromFiles(['s3://events/june/']))))).toContain(
          'line 1 of s3://events/june/1.ndjson: not valid JSON',
        );
        expect(await messageOf(timelines.create(request('july', fromFiles(['s3://events/july/']))))).toBe(
          'there is nothing at s3://events/july/',
        );
      } finally {
        process.env = before;
      }
      expect(await read(timelines, 's3')).toBe(linesOf(events));
      expect(readdirSync(config.timelines.dir).filter(name => name.startsWith('waiting'))).toEqual([]);
    } finally {
      server.stop();
    }
  });
});

describe('a replay', () => {
  test('of a timeline is that of the log it was made from; of several, that of their events by time', async () => {
    const events = someEvents(300);
    const { timelines, config, file } = await dataFolder(events);
    await timelines.create(request('log'));
    const source = (...names: string[]) => timelines.read(names.map(parseTimelineName)).source;
    const whole = await replayed(await folderLog(localDisk, config.log.dir));
    expect(whole.length).toBeGreaterThan(150);
    expect(await replayed(source('log'))).toEqual(whole);

    const [one, other] = [byTime(someEvents(150, 7)), byTime(someEvents(150, 8))];
    writeFileSync(file('one.ndjson'), linesOf(one));
    writeFileSync(file('other.ndjson'), linesOf(other));
    writeFileSync(file('both.ndjson'), linesOf(byTime([...one, ...other])));
    for (const name of ['one', 'other']) await timelines.create(request(name, fromFiles([file(`${name}.ndjson`)])));
    const both = await replayed(await ndjsonFiles([file('both.ndjson')], CLOCK));
    expect(await replayed(source('one', 'other'))).toEqual(both);
    expect(await replayed(source('other', 'one'))).toEqual(both);
    expect(await replayed(source('one'))).not.toEqual(both);

    const [start, end] = [BigInt(START_MS + 2_000_000) * 1000n, BigInt(START_MS + 6_000_000) * 1000n];
    const isIn = (row: string) => {
      const time = BigInt(JSON.parse(row)[1]);
      return time >= start && time < end;
    };
    const within = await replayed(source('one', 'other'), { startMicros: start, endMicros: end });
    expect(within).toEqual(both.filter(isIn));
    expect(within.length).toBeGreaterThan(20);
  });
});

describe('the folder', () => {
  test('lets go of chunks that nobody has, and of what was interrupted', async () => {
    const { timelines, config, file } = await dataFolder(someEvents(200));
    const chunks = () => readdirSync(join(config.timelines.dir, 'chunks'));
    await timelines.create(request('a'));
    const of = chunks();
    await timelines.create(request('b', { types: ['sale'] }));
    // Chunks of b are all a's.
    expect(chunks()).toEqual(of);
    expect(await timelines.remove({ name: 'a', version: null })).toBe(1);
    expect(chunks()).toHaveLength(1);
    expect(await messageOf(timelines.remove({ name: 'a', version: null }))).toContain('there is no timeline a');

    // As a process leaves it that was killed: a version under way, chunks that nobody has, a file that waits.
    const db = new Database(join(config.timelines.dir, 'timelines.db'));
    const made = { source: {}, createdAtMicros: 1n, order: 'time', clock: 'event', maxJumpMs: 1 } as const;
    openTimelineMeta(db).begin({ name: 'c', ...made });
    db.close();
    writeFileSync(join(config.timelines.dir, 'chunks', `${'a'.repeat(64)}.ndjson.zst`), 'x');
    writeFileSync(join(config.timelines.dir, 'chunks', `${'b'.repeat(64)}.ndjson.zst.part`), 'x');
    writeFileSync(join(config.timelines.dir, 'waiting.0.run'), 'x');
    expect(timelines.show({ name: 'c', version: null })).toMatchObject({ state: 'error', version: 1 });
    writeFileSync(file('plain.ndjson'), linesOf(someEvents(5)));
    const { version } = await timelines.create(request('c', fromFiles([file('plain.ndjson')])));
    expect([version.version, version.state]).toEqual([2, 'ready']);
    await timelines.remove({ name: 'c', version: 1 });
    expect(chunks().filter(name => /^(a+|b+)\./.test(name))).toEqual([]);
    expect(readdirSync(config.timelines.dir).filter(name => name.startsWith('waiting'))).toEqual([]);
    expect(await timelines.remove({ name: 'c', version: null })).toBe(1);
  });

  test('one at a time makes or deletes, and what is under way is no error to who looks', async () => {
    const { timelines } = await dataFolder(someEvents(100));
    const states: string[] = [];
    let second: string | null = '';
    await timelines.create(request('a'), () => {
      states.push(timelines.show({ name: 'a', version: null }).state);
      messageOf(timelines.create(request('b'))).then(message => {
        second = message;
      });
    });
    expect(states).toEqual(['processing']);
    expect(second).toContain('is in use by process');
    expect(timelines.list().map(({ name }) => name)).toEqual(['a']);
  });

  test('what an older or a newer version of the program has saved is told', async () => {
    const { timelines, config } = await dataFolder(someEvents(50));
    await timelines.create(request('a'));
    const db = new Database(join(config.timelines.dir, 'timelines.db'));
    db.run('UPDATE timelines SET format = 0');
    expect(await messageOf(read(timelines, 'a'))).toBe(
      'timeline a has not been initialized: it was saved in an older format, and `tilefold timeline create a` from the log or the files that it was made from saves it again',
    );
    expect(timelines.show({ name: 'a', version: null }).format).toBe(0);
    db.run('UPDATE timelines SET format = 99');
    db.close();
    expect(await messageOf(read(timelines, 'a'))).toContain('timeline a@1 was made by a newer version');
    await timelines.create(request('a'));
    expect(await read(timelines, 'a')).toBe(linesOf(someEvents(50)));
  });
});

describe('the command line', () => {
  const run = async (folder: string, ...words: string[]) => {
    const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, out, err };
  };

  test('makes, lists, shows, infers, replays and deletes', async () => {
    const events = byTime(someEvents(100));
    const { folder, file } = await dataFolder(events);
    const made = await run(folder, 'timeline', 'create', 'may', '--from-log', '--types', 'sale,visit', '--json');
    expect(made.err).toBe('');
    const count = events.filter(({ type }) => type !== 'other').length;
    expect(JSON.parse(made.out)).toMatchObject({
      name: 'may',
      version: 1,
      state: 'ready',
      events: count,
      read: 100,
      rejected: 0,
    });
    writeFileSync(file('more.ndjson'), `${linesOf(someEvents(5, 9))}{}\n`);
    const more = await run(folder, 'timeline', 'create', 'more', 'more.ndjson');
    expect(more.out).toMatch(/^more@1: 5 of 5 events, 2024-05-01T\S+ to 2024-05-01T\S+\n$/);
    expect(more.err).toContain('timeline: 1 line is no event, the first being more.ndjson:6: no event type');
    const list = await run(folder, 'timeline', 'list');
    expect(list.out.split('\n').map(line => line.split(/ +/)[0])).toEqual(['timeline', 'may@1', 'more@1', '']);
    const shown = await run(folder, 'timeline', 'show', 'may@1');
    expect(shown.out).toContain(`events     ${count}, from `);
    expect((await run(folder, 'timeline', 'infer', 'may')).out).toContain(
      '  sale:\n    shop: string\n    cents: int64\n',
    );
    const args = ['--features', 'features', '--timelines', 'may@1,more', '--out', 'rows.ndjson', '--json'];
    const replay = await run(folder, 'replay', ...args);
    expect(JSON.parse(replay.out).timelines).toEqual([
      { name: 'may', version: 1 },
      { name: 'more', version: 1 },
    ]);
    expect((await run(folder, 'replay', '--features', 'features', '--out', 'x.ndjson')).err).toContain(
      'wanted one of --log',
    );
    expect((await run(folder, 'timeline', 'delete', 'may')).out).toBe('1 version deleted\n');
    const gone = await run(folder, 'timeline', 'show', 'may');
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining('there is no timeline may')]);
  });
});

test('names', () => {
  expect(parseTimelineName('may-2024')).toEqual({ name: 'may-2024', version: null });
  expect(parseTimelineName('may@12')).toEqual({ name: 'may', version: 12 });
  for (const wrong of ['', '@1', 'a b', 'a@', 'a@x', '../a', '.a', 'é'])
    expect(() => parseTimelineName(wrong)).toThrow(Fault);
});
