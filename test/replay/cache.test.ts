/** What of a replay is computed again, and what is taken from the cache. */
import { describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { compileSources } from '../../src/compile/compile.ts';
import { makeColumn } from '../../src/kernel/feature_column.ts';
import { INT64 } from '../../src/plan/value.ts';
import { ColumnCache } from '../../src/replay/cache.ts';
import { checkColumn, ColumnWriter } from '../../src/replay/column_file.ts';
import { type Manifest, PATHS, planReplay, type ReplayRequest } from '../../src/replay/manifest.ts';
import { streamed } from '../../src/replay/stream.ts';
import type { Timeline } from '../../src/base/timeline.ts';
import { folders } from '../source/folder.ts';
import { done, ENGINE, planned, timelineOf, toldOf } from './runs.ts';

const newFolder = folders();

const SCOWL = `
event login
user := $.user as string
ok := $.ok as bool
fails := Count(by user where not ok)
event payment
user := $.user as string
x := $.x as int
y := $.y as int
a := x + 1
b := y + 1
c := a + b
spent := Sum(x by user last 1 day)
fails := Count<login>(by user where not ok last 1 hour)
risky := fails > 1 and spent > 10
event note
text := $.text as string
`;

const compile = async (text: string, file = 'all.scowl') => {
  const { plan, faults } = await compileSources([{ file, text }], { latenessMs: 3_600_000 });
  expect(faults).toEqual([]);
  return plan;
};

const line = (type: string, minute: number, data: object) =>
  Buffer.from(JSON.stringify({ type, time: new Date(Date.UTC(2026, 0, 1) + minute * 60_000).toISOString(), data }));
const logins = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => line('login', from + i, { user: `u${i % 3}`, ok: i % 2 === 0 }));
const payments = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => line('payment', from + i, { user: `u${i % 3}`, x: i, y: -i }));
const notes = (count: number) => Array.from({ length: count }, (_, i) => line('note', i, { text: `t${i}` }));

/** What a second replay computes, of what the first one has left. */
interface Second extends Partial<ReplayRequest> {
  text?: string;
  timelines?: Timeline[];
}

async function computed(first: Timeline[], { text = SCOWL, timelines = first, ...some }: Second): Promise<string[]> {
  const plan = await compile(SCOWL);
  const request: ReplayRequest = {
    ...{
      id: 'test',
      plan,
      definitions: 'tests',
      order: 'log',
      streamed: streamed(first),
      patterns: null,
      engine: ENGINE,
    },
    ...{ stretch: { startMicros: null, endMicros: null }, createdAtMicros: 0n, parts: 1, has: () => false },
  };
  const left = new Set(Object.values(planReplay(request).files));
  const has = (file: string) => left.has(file);
  const again = { ...request, plan: await compile(text, 'other.scowl'), streamed: streamed(timelines), has, ...some };
  const { shown, reused } = planReplay(again);
  return shown.filter(({ id }) => !reused.includes(id)).map(({ name }) => name);
}

describe('the cache', () => {
  const folder = newFolder();
  const of = (name: string, lines: Uint8Array[]) => timelineOf(folder, lines, name);
  const both = () => of('both', [...logins(20), ...payments(20)]);

  test('takes everything where nothing has changed', async () => {
    expect(await computed([await both()], {})).toEqual([]);
  });

  test('changing a recomputes a and c of c := a + b, and takes b', async () => {
    const text = SCOWL.replace('a := x + 1', 'a := x + 2');
    expect(await computed([await both()], { text })).toEqual(['payment.a', 'payment.c']);
  });

  test('changing what is counted elsewhere recomputes all that stands on it', async () => {
    const text = SCOWL.replace('where not ok last 1 hour', 'where ok last 1 hour');
    expect(await computed([await both()], { text })).toEqual(['payment.fails', 'payment.risky']);
  });

  test('renaming, moving and comments recompute nothing', async () => {
    const moved = SCOWL.replace(/event note[\s\S]*$/, '');
    const text = `event note -- words\ntext := $.text as string\n${moved}`
      .replaceAll('spent', 'outgoings')
      .replace('b := y + 1', '-- the other one\nbb := y + 1')
      .replace('c := a + b', 'c := a + bb');
    expect(await computed([await both(), await of('notes', notes(3))], { text })).toEqual([]);
  });

  test('a stateless feature is reused while no timeline that holds its events changes', async () => {
    const [one, other] = [await of('logins', logins(20)), await of('payments', payments(20))];
    const more = [await of('logins', logins(25)), other];
    const names = await computed([one, other], { timelines: more });
    expect(names).toEqual(['login.user', 'login.ok', 'login.fails', 'payment.fails', 'payment.risky']);
  });

  test('an aggregate is reused while no timeline that holds events that it reads or that write it changes', async () => {
    const [one, other, third] = [await of('l', logins(20)), await of('p', payments(20)), await of('n', notes(5))];
    const changed = await computed([one, other, third], { timelines: [one, other, await of('n', notes(9))] });
    expect(changed).toEqual(['note.text']);
    const paid = await computed([one, other], { timelines: [one, await of('p', payments(21))] });
    expect(paid).toEqual(expect.arrayContaining(['payment.fails', 'payment.spent', 'payment.x']));
    expect(paid.filter(name => name.startsWith('login'))).toEqual([]);
  });

  test('the same events of several types are others where they came one before the other', async () => {
    const after = logins(20).flatMap((login, i) => [login, payments(20)[i]!]);
    const names = await computed([await of('one', after)], { timelines: [await both()] });
    expect(names).toEqual(['payment.fails', 'payment.risky']);
  });

  test('another clock is of account for what hangs on other events alone', async () => {
    const [one] = [await both()];
    const names = await computed([one], { timelines: [{ ...one, clock: { kind: 'event', maxJumpMs: 1000 } }] });
    expect(names).toEqual(['login.fails', 'payment.spent', 'payment.fails', 'payment.risky']);
    const byArrival: Timeline = { ...one, clock: { ...one.clock, kind: 'wall' } };
    expect(await computed([one], { timelines: [byArrival] })).toEqual(names);
  });

  test('another engine computes everything', async () => {
    const names = await computed([await both()], { engine: 'another' });
    expect(names).toHaveLength(12);
  });

  test('a range of time that is given out changes nothing of the columns', async () => {
    const stretch = { startMicros: BigInt(Date.UTC(2026, 0, 1, 0, 10)) * 1000n, endMicros: null };
    expect(await computed([await both()], { stretch })).toEqual([]);
  });
});

test('a damaged entry is found and computed again', async () => {
  const { cache, plan, first, again } = await cached();
  for (const { file } of cache.entries()) {
    const path = join(folderOf(cache), `${file}.column`);
    const bytes = readFileSync(path);
    bytes[bytes.length - 12]! ^= 1;
    // A file of its own: what replays have linked is not damaged with it.
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
  }
  const folder = newFolder();
  const timelines = [await timelineOf(PATHS.chunks(folder), [...logins(40), ...payments(40)])];
  const manifest = planned(folder, { plan, timelines, has: take(cache, folder) });
  expect(manifest.reused).toEqual([]);
  await done(folder, manifest);
  expect(toldOf(folder, manifest)).toEqual(first);
  expect(again).toEqual(first);
});

test('an entry is checked again where its file is not as it was when it was whole', async () => {
  const { cache } = await cached();
  const { file } = cache.entries()[0]!;
  const path = join(folderOf(cache), `${file}.column`);
  const taken = () => cache.take(file, PATHS.column(fresh(), file));
  const bytes = readFileSync(path);
  // Written over, to the same size.
  const damaged = Buffer.from(bytes);
  damaged[bytes.length - 12]! ^= 1;
  writeFileSync(path, damaged);
  expect([taken(), cache.has(file)]).toEqual(['damaged', false]);
  const about = { name: 'a', meaning: 'b', events: [], content: 'c', engine: 'd' };
  const other = join(fresh(), 'other.column');
  writeFileSync(other, bytes);
  cache.keep(file, other, about);
  expect(taken()).toBe('taken');
  // As whole as before, but at another time: it is read, and has another seal.
  const seal = () => JSON.parse(readFileSync(join(folderOf(cache), `${file}.json`), 'utf8')).seal;
  const before = seal();
  utimesSync(path, 1, 1);
  expect([taken(), seal() === before]).toEqual(['taken', false]);
  // Kept before there were seals.
  writeFileSync(join(folderOf(cache), `${file}.json`), JSON.stringify(about));
  expect([taken(), typeof seal()]).toEqual(['taken', 'string']);
  // Nobody knows of what is there already whether it is whole.
  rmSync(join(folderOf(cache), `${file}.json`));
  writeFileSync(path, damaged);
  cache.keep(file, other, about);
  expect(taken()).toBe('damaged');
});

test('an entry that a disk has damaged, and nobody has written, is checked once a reader has found that', async () => {
  const { cache } = await cached();
  const { file } = cache.entries()[0]!;
  const path = join(folderOf(cache), `${file}.column`);
  const to = PATHS.column(fresh(), file);
  const taken = () => cache.take(file, to);
  utimesSync(path, 1, 1);
  expect(taken()).toBe('taken');
  const bytes = readFileSync(path);
  bytes[bytes.length - 12]! ^= 1;
  writeFileSync(path, bytes);
  utimesSync(path, 1, 1);
  expect(taken()).toBe('taken');
  expect(() => checkColumn(to)).toThrow('is damaged at byte');
  expect([taken(), cache.has(file)]).toEqual(['damaged', false]);
});

function fresh(): string {
  const folder = newFolder();
  mkdirSync(PATHS.columns(folder), { recursive: true });
  return folder;
}

test('an entry that is taken is still there for others', async () => {
  const { cache } = await cached();
  const { file } = cache.entries()[0]!;
  const folder = newFolder();
  expect(take(cache, folder)(file)).toBe(true);
  expect(existsSync(PATHS.column(folder, file))).toBe(true);
  expect(cache.has(file)).toBe(true);
});

test('entries that were not used for longest leave first', async () => {
  const { cache } = await cached();
  const entries = cache.entries();
  const [oldest] = entries;
  utimesSync(join(folderOf(cache), `${oldest!.file}.json`), 1, 1);
  const all = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const small = new ColumnCache(folderOf(cache), all - 1, () => 0);
  expect(small.trim()).toBe(1);
  expect(small.has(oldest!.file)).toBe(false);
  expect(small.entries()).toHaveLength(entries.length - 1);
  expect(small.clear()).toBe(entries.length - 1);
  expect(readdirSync(folderOf(cache))).toEqual([]);
});

const places = new WeakMap<ColumnCache, string>();
const folderOf = (cache: ColumnCache) => places.get(cache)!;

function take(cache: ColumnCache, folder: string) {
  mkdirSync(PATHS.columns(folder), { recursive: true });
  return (file: string) => cache.take(file, PATHS.column(folder, file)) === 'taken';
}

/** A replay, and a second one that takes all of it. */
async function cached() {
  const plan = await compile(SCOWL);
  const place = newFolder();
  const cache = new ColumnCache(place, 2 ** 40, Date.now);
  places.set(cache, place);
  const once = async (has: ((folder: string) => (file: string) => boolean) | null) => {
    const folder = newFolder();
    const timelines = [await timelineOf(PATHS.chunks(folder), [...logins(40), ...payments(40)])];
    const manifest = planned(folder, { plan, timelines, ...(has && { has: has(folder) }) });
    await done(folder, manifest);
    keepAll(cache, folder, manifest);
    return { manifest, told: toldOf(folder, manifest) };
  };
  const first = await once(null);
  const second = await once(folder => take(cache, folder));
  expect(second.manifest.jobs).toEqual([]);
  return { cache, plan, first: first.told, again: second.told };
}

function keepAll(cache: ColumnCache, folder: string, { files, about }: Manifest) {
  for (const [id, file] of Object.entries(files)) {
    const path = PATHS.column(folder, file);
    if (existsSync(path)) cache.keep(file, path, about[id]!);
  }
}

test('any bit of a column that is flipped, and any end that is cut off, is found', () => {
  const folder = newFolder();
  mkdirSync(folder);
  const path = join(folder, 'one.column');
  const writer = new ColumnWriter(path, INT64, 3);
  const column = { ...makeColumn({ name: '', type: INT64 }, 3), values: BigInt64Array.of(1n, 0n, -7n) };
  writer.add({ ...column, nulls: Uint8Array.of(0, 1, 0) });
  writer.finish();
  checkColumn(path);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    writeFileSync(path, whole.subarray(0, at));
    expect(() => checkColumn(path)).toThrow(`${path} is damaged at byte`);
    writeFileSync(path, whole.with(at, whole[at]! ^ (1 << (at % 8))));
    expect(() => checkColumn(path)).toThrow(path);
  }
});
