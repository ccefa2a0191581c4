/**
 * rows.ts: folds a log of events into rows in memory (decode, select, tile, fold) and writes none of them, and prints what it
 * took as JSON. A process of its own, as fold.ts is.
 */
import { parseArgs } from 'node:util';
import { compileFolder } from '../../src/compile/compile.ts';
import { advance } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { countedIds, EVENT_CLOCK, exportRows } from './fold.ts';

export interface Advanced {
  events: number;
  seconds: number;
  /** Of these seconds, those of select, tile and fold. */
  advanceSeconds: number;
  rows: number;
}

const { values } = parseArgs({
  options: { definitions: { type: 'string' }, events: { type: 'string' }, export: { type: 'string' } },
});
const { definitions = '', events = '' } = values;
const plan = await compileFolder(definitions, { latenessMs: 3_600_000 });
const ids = countedIds(plan);
const kernel = await loadKernel();
const layout = layPlan(kernel, plan, ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
const fold = new Fold(kernel, null);
const decoder = new Decoder(kernel, layout.types);
const source = await ndjsonFiles([events], EVENT_CLOCK);

const startMs = performance.now();
let [count, advanceMs] = [0, 0];
for await (const { bytes } of source.read(0)) {
  decoder.fill(bytes);
  while (decoder.next(count, null)) {
    const fromMs = performance.now();
    advance({ layout, folds: [fold] });
    advanceMs += performance.now() - fromMs;
    count += decoder.count;
  }
}
const seconds = (performance.now() - startMs) / 1000;
const rows = fold.dirtyRows();
if (values.export !== undefined) {
  const sink = Bun.file(values.export).writer();
  for (const line of exportRows(rows, ids)) sink.write(line);
  await sink.end();
}
const told: Advanced = { events: count, seconds, advanceSeconds: advanceMs / 1000, rows: rows.length };
console.log(JSON.stringify(told));
