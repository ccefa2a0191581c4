/** Over rows that are read first, many lookups at a time, answers are those of a reader that reads as it goes. */
import { expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { answerJson } from '../../src/http/columnar.ts';
import { explanationJson } from '../../src/http/explain.ts';
import { resumeClocks } from '../../src/kernel/clock.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Explain } from '../../src/read/explain.ts';
import type { Lookup, LookUp } from '../../src/read/read.ts';
import { RemoteReader } from '../../src/read/remote.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import type { RemoteRows } from '../../src/store/remote.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { randomLookup } from './asked.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine } from './engine.ts';
import { body, smallWeek, tame } from './flights.ts';
import { Random } from './random.ts';

const plan = flightsPlan();
const AIRPORTS = 6;

/** Rows of an engine, which come later, key by key in any order, and as copies. */
function laterRows({ store }: Engine, random: Random): Pick<RemoteRows, 'readKeys'> {
  return {
    async readKeys(entity, keys, ranges, take) {
      const reading = keys.map(async (key, index) => {
        await Bun.sleep(random.below(3));
        store.readKey(entity, key, ranges, (levelMs, tileStartMs, bytes, start, end) =>
          take(index, levelMs, tileStartMs, bytes.slice(start, end), 0, end - start),
        );
      });
      await Promise.all(reading);
    },
  };
}

async function remoteReader(engine: Engine, random: Random): Promise<RemoteReader> {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, engine.ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  new Fold(kernel, null).share();
  resumeClocks(layout, engine.store.mark().clocks);
  return new RemoteReader({ layout, rows: laterRows(engine, random), position: () => 0, nowMicros: engine.now });
}

async function said(reader: LookUp, asked: Lookup | Explain): Promise<string> {
  try {
    if ('feature' in asked) return explanationJson({ ...(await reader.explain(asked)), position: null });
    const answer = await reader.lookup(asked);
    return new TextDecoder().decode(answerJson({ ...answer, position: null }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

test.each([1, 2])('lookups and explanations are those of a reader beside its store: seed %p', async seed => {
  const random = new Random(seed);
  const lines = await smallWeek(AIRPORTS, 8);
  const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
  await engine.ingest.post(body(tame(lines)), 'ndjson');
  await engine.ingest.barrier();
  const reader = await remoteReader(engine, random);
  const airports = [...new Set(lines.map(line => (JSON.parse(line) as { data: { origin: string } }).data.origin))];
  const asked = Array.from({ length: 120 }, () => randomLookup(random, plan, airports, engine.now()));
  // More keys than are read at a time.
  const many = Array.from({ length: 1_200 }, (_, i) => (i % 3 === 0 ? `none ${i}` : random.pick(airports)));
  asked.push({ features: ['origin_delays:*'], entities: { origin: many }, at: null });
  const explained = asked.slice(0, 30).map(({ at }): Explain => {
    const { name, entity } = random.pick(plan.features);
    const [a, b] = [random.pick(airports), random.pick(airports)];
    return { feature: name, key: entity === 'route' ? [a, b] : a, at };
  });
  // All at once: the rows of one come between those of others.
  const found = await Promise.all([...asked, ...explained].map(one => said(reader, one)));
  for (const [i, one] of [...asked, ...explained].entries()) expect(found[i]).toBe(await said(engine.reader, one));
  expect(found.filter(text => text.startsWith('{')).length).toBeGreaterThan(60);
  await engine.close();
});
