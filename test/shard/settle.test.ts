/** What has come in bulk is brought together while nothing else is to be done, whoever folds. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { runOf } from '../../src/store/batch.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { smallWeek } from '../sim/flights.ts';
import { folders } from '../source/folder.ts';
import { end, start, type Threads } from './threads.ts';

/** Of no entity that the plan has: nobody reads it, and nothing of it expires. */
const ENTITY = 999;
const RUNS = 12;
const ROWS = 100;

const folder = folders();
const week = await smallWeek(16, 7);

/** As many runs as a store has after a long log has been folded, and more in them than one commit brings together. */
function scatter(path: string): void {
  const db = new Database(path);
  const store = sqliteStore(db, packKernel());
  for (let run = 0; run < RUNS; run++) {
    const rows = Array.from({ length: ROWS }, (_, i) => ({
      ...{ entity: ENTITY, key: Buffer.from(`key ${run} ${i}`), levelMs: 0, tileStartMs: 0 },
      // No row begins with a mark.
      value: crypto.getRandomValues(new Uint8Array(40_000)).fill(0xff, 0, 1),
    }));
    store.commit({ runs: [runOf(rows)], sealed: [], isBulk: true }, store.mark());
  }
  expect(store.isSettled()).toBe(false);
  store.close();
  db.close();
}

test.each<Threads>(['one', 0, 2])('%p threads bring a store in order that nobody writes to', async threads => {
  const at = folder();
  const path = join(at, 'rows.db');
  const first = await start(at, threads);
  await first.ingest.post(Buffer.from(week.join('\n')), 'ndjson');
  await end(first, at);
  scatter(path);
  const parts = await start(at, threads);
  const db = new Database(path, { readonly: true });
  const runs = () => db.query<{ levels: string }, []>('SELECT levels FROM rows_state').get()!.levels;
  const tails = () => (JSON.parse(runs()) as { tails: unknown[] }).tails.length;
  expect(tails()).toBeGreaterThan(6);
  const deadlineMs = performance.now() + 30_000;
  while (tails() > 6 && performance.now() < deadlineMs) await Bun.sleep(20);
  expect(tails()).toBeLessThan(7);
  db.close();
  await end(parts, at);
  const again = new Database(path);
  const store = sqliteStore(again, packKernel());
  expect(store.isSettled()).toBe(true);
  expect([...store.scan()].filter(({ entity }) => entity === ENTITY).length).toBe(RUNS * ROWS);
  store.close();
  again.close();
});
