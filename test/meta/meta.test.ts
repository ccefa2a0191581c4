import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseMicros } from '../../src/base/time.ts';
import { ERROR_SAMPLE_MAX, ERRORS_KEPT_MAX, type NewError, openMeta } from '../../src/meta/meta.ts';
import { migrations } from '../../src/meta/migrations.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { folders } from '../source/folder.ts';
import { concatenating } from '../store/addends.ts';

const folder = folders();
const fresh = () => openMeta(new Database(':memory:', { strict: true }));

const error = (n: number): NewError => ({
  position: n,
  source: 'a.ndjson',
  line: null,
  type: 'flight',
  timeMicros: null,
  code: 'input',
  message: `number ${n}`,
  sample: '{}',
});

test('every migration in the folder is carried along', () => {
  const files = readdirSync(join(import.meta.dir, '../../src/meta/migrations')).filter(name => name.endsWith('.sql'));
  expect(files.length).toBe(migrations.length);
});

test('a database is migrated once, keeps what it has, and one of a newer version is refused', () => {
  const path = folder();
  const db = new Database(path);
  expect(openMeta(db).dictionary([{ kind: 'entity', name: 'origin', hash: 'h' }])).toEqual([1]);
  expect(openMeta(db).dictionary([{ kind: 'entity', name: 'route', hash: 'h' }])).toEqual([2]);
  db.run('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)', ['later', 9e12]);
  db.close();
  expect(() => openMeta(new Database(path))).toThrow('newer version');
});

test('the dictionary gives each kind numbers from 1 up, and always the same ones', () => {
  const meta = fresh();
  const entry = (kind: 'entity' | 'aggregate', name: string, hash = 'h') => ({ kind, name, hash });
  expect(meta.dictionary([entry('aggregate', 'a'), entry('entity', 'x'), entry('aggregate', 'b')])).toEqual([1, 1, 2]);
  expect(meta.dictionary([entry('aggregate', 'b'), entry('aggregate', 'a', 'other')])).toEqual([2, 3]);
  expect(meta.dictionary([entry('aggregate', 'a'), entry('aggregate', 'a')])).toEqual([1, 1]);
  expect(meta.dictionary([])).toEqual([]);
});

test('the last recorded plan is in force', () => {
  const meta = fresh();
  expect(meta.currentPlan()).toBeNull();
  const began = { rowsFrom: null, members: null };
  const plan = { hash: 'h', position: 5, appliedAtMicros: 1_700_000_000_123_456n, json: '{"events":[]}', ...began };
  expect(meta.recordPlan(plan)).toBe(1);
  expect(meta.recordPlan({ ...plan, hash: 'i', position: 9 })).toBe(2);
  expect(meta.currentPlan()).toEqual({ ...plan, id: 2, hash: 'i', position: 9 });
});

test('what was too late adds up, and goes when it is forgotten', () => {
  const meta = fresh();
  const one = (position: number) => ({ position, timeMicros: -62_167_219_200_000_000n, clockMicros: 5n });
  const row = { aggregate: 'a:n', event: 'e', levelMs: 60_000, count: 1, first: one(7), latest: [one(7)] };
  meta.addLate([row, { ...row, levelMs: 1 }, { ...row, aggregate: 'a:m', event: 'f' }]);
  meta.addLate([{ ...row, count: 6, first: one(3), latest: [one(9), one(11), one(12), one(13), one(14)] }]);
  expect(meta.late()).toEqual([
    { ...row, aggregate: 'a:m', event: 'f' },
    { ...row, levelMs: 1 },
    { ...row, count: 7, first: one(3), latest: [one(9), one(11), one(12), one(13), one(14)] },
  ]);
  meta.clearLate();
  expect(meta.late()).toEqual([]);
});

test('a plan in other words is the same plan', () => {
  const meta = fresh();
  const plan = { hash: 'h', position: 5, appliedAtMicros: 1n, json: '{}', rowsFrom: null, members: null };
  const id = meta.recordPlan(plan);
  meta.rewordPlan(id, '{"events":[]}');
  expect(meta.currentPlan()).toEqual({ ...plan, id, json: '{"events":[]}' });
});

test('errors are read page by page, oldest or newest first', () => {
  const meta = fresh();
  expect(meta.errors({ limit: 10 })).toEqual([]);
  expect(meta.errorCount()).toBe(0);
  const time = '9999-12-31T23:59:59.999999Z';
  meta.addErrors([
    { ...error(7), timeMicros: parseMicros(time), line: 3 },
    { ...error(8), position: null, type: null },
  ]);
  meta.addErrors([]);
  meta.addErrors([error(9)]);
  expect(meta.errorCount()).toBe(3);
  const { timeMicros: _, ...row } = error(7);
  expect(meta.errors({ limit: 1 })).toEqual([{ ...row, id: 1, time, line: 3 }]);
  const ids = (page: Parameters<typeof meta.errors>[0]) => meta.errors(page).map(({ id }) => id);
  expect(ids({ after: -1, limit: 2 })).toEqual([1, 2]);
  expect(ids({ after: 2, limit: 2 })).toEqual([3]);
  expect(ids({ after: 3, limit: 2 })).toEqual([]);
  expect(ids({ limit: 2, type: row.type })).toEqual([1, 3]);
  expect(ids({ limit: 2, type: 'nobody' })).toEqual([]);
  expect(ids({ limit: 2, order: 'newest' })).toEqual([3, 2]);
  expect(ids({ after: 2, limit: 2, order: 'newest' })).toEqual([1]);
});

test('a long sample is cut', () => {
  const meta = fresh();
  meta.addErrors([{ ...error(1), sample: 'x'.repeat(10_000) }]);
  expect(meta.errors({ limit: 1 })[0]!.sample.length).toBe(ERROR_SAMPLE_MAX);
});

test('only the newest errors are kept, all are counted', () => {
  const meta = fresh();
  const batch = Array.from({ length: ERRORS_KEPT_MAX - 1 }, (_, n) => error(n));
  meta.addErrors(batch);
  meta.addErrors([error(1), error(2), error(3)]);
  expect(meta.errorCount()).toBe(ERRORS_KEPT_MAX + 2);
  expect(meta.errors({ limit: 1 })[0]!.id).toBe(3);
  expect(meta.errors({ limit: 2 * ERRORS_KEPT_MAX }).length).toBe(ERRORS_KEPT_MAX);
});

test('errors and dictionary commit and roll back together with rows', () => {
  const db = new Database(':memory:', { strict: true });
  const meta = openMeta(db);
  const store = sqliteStore(db, concatenating);
  const row = { entity: 1, key: Buffer.from('ATL'), levelMs: 0, tileStartMs: 0, value: Buffer.from('x') };
  const alongside = () => {
    meta.addErrors([error(1)]);
    meta.dictionary([{ kind: 'entity', name: 'origin', hash: 'h' }]);
  };
  const failing = () => {
    alongside();
    throw new Error('no');
  };
  expect(() => store.commit([row], { position: 4, clocks: new Map(), highest: [] }, failing)).toThrow('no');
  expect([store.mark().position, meta.errorCount(), [...store.scan()].length]).toEqual([0, 0, 0]);
  store.commit([row], { position: 4, clocks: new Map(), highest: [] }, alongside);
  expect([store.mark().position, meta.errorCount(), [...store.scan()].length]).toEqual([4, 1, 1]);
});

test('a run is started, finished, and listed newest first', () => {
  const meta = fresh();
  const id = meta.startRun({ kind: 'ingest', startedAtMicros: 5n, detail: { files: ['a'] } });
  meta.startRun({ kind: 'replay', startedAtMicros: 6n, detail: {} });
  meta.finishRun(id, { state: 'done', finishedAtMicros: 9n, detail: { events: 3 } });
  expect(meta.runs(10)).toMatchObject([
    { kind: 'replay', state: 'running', startedAtMicros: 6n, finishedAtMicros: null, detail: {} },
    { id, kind: 'ingest', state: 'done', startedAtMicros: 5n, finishedAtMicros: 9n, detail: { events: 3 } },
  ]);
  expect(() => meta.finishRun(99, { state: 'done', finishedAtMicros: 1n, detail: {} })).toThrow('no run 99');
});
