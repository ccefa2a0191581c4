/**
 * What a cluster does with its servers on the same cores: one process that tiles and folds, beside what the same servers take to be handed the
 * same events, to give them back, and to be written as many rows.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keptLevels } from '../../src/plan/window.ts';
import { runOf } from '../../src/store/batch.ts';
import { keptTables } from '../../src/store/cql.ts';
import { byAddress } from '../../src/store/sqlite.ts';
import type { Row as StoredRow } from '../../src/store/store.ts';
import { startCluster, stopCluster } from '../cluster.ts';
import { findServer } from '../cluster/server.ts';
import { cpuSecondsOf, type Row } from './measure.ts';
import { loadOn, requestBody } from './serving.ts';
import { countOf, type Input, metricsOf, type Place, sendsOf, Working } from './working.ts';

/** Rows that the bare writer writes at once: about what a barrier has. */
const WRITE_ROWS = 5_000;

/** Parts of a run that are compared, and what comes before them: then programs are compiled, and tables have files on the disk. */
const TENTHS = 10;
const WARM_SHARE = 1 / 5;

/** A pace that leaves two cores time, and at most a part of what they took at their fastest. */
const STEADY_EVENTS = 2_000;
const STEADY_SHARE = 1 / 4;
const STEADY_SECONDS = 20;
const STEADY_EVERY_MS = 50;
const CONNECTIONS = 4;
/** Each reads some hundred partitions, which a node that shares its cores with all the rest has little time for. */
const REQUESTS = 400;
const REQUESTS_FIRST = 40;
/** Events whose keys are looked up. */
const SAMPLED = 10_000;
const MEMORY = { ours: null, peer: null };

/** The last input is also what comes at a steady pace, and what is looked up. */
export async function clusterRows(inputs: Input[], program: string[]): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-bench-'));
  // Processes that were started end with this one, however it ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  try {
    const servers = await startCluster({ dir, isTied: true, note: console.error });
    const cpu = new Cpu(dir);
    const rows: Row[] = [];
    const add = (...more: Row[]) => {
      rows.push(...more);
      for (const { work, ours, unit, note } of more)
        console.error(`bench:   ${work}: ${ours.toPrecision(3)} ${unit}; ${note}`);
    };
    for (const input of inputs) {
      const working = await Working.open(join(dir, input.name), servers, input, program);
      const { place, rate, told } = await thrown(working, cpu);
      add(...told);
      if (input === inputs.at(-1)) {
        add(await tenths(working));
        add(await steady(working, Math.min(STEADY_EVENTS, rate * STEADY_SHARE)));
        add(...(await served(working, place, cpu)));
      }
      await working.close();
    }
    return rows;
  } finally {
    await stopCluster(dir);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** All events at once, as fast as they go. */
async function thrown(working: Working, cpu: Cpu): Promise<{ place: Place; rate: number; told: Row[] }> {
  const { lines, name } = working.input;
  tell(`${name}: ${lines.length} events -> rows`);
  const place = await working.place();
  const work = await working.start(place, 'work');
  const before = cpu.of(work.pid);
  const startMs = performance.now();
  await working.send(place.topic, lines);
  await working.until(work, lines.length);
  const seconds = (performance.now() - startMs) / 1000;
  const took = cpu.since(before, work.pid);
  const text = await metricsOf(work.url);
  const [written, loaded] = [countOf(text, 'barrier_rows_total'), countOf(text, 'rows_loaded_total')];
  await work.stop();
  tell(`${name}: the same, bare`);
  const bareBefore = cpu.of(process.pid);
  const bare = await bareSeconds(working, place.keyspace, written);
  const bareTook = cpu.since(bareBefore, process.pid);
  const total = bare.produce + bare.consume + bare.write;
  const parts = Object.entries(bare).map(([what, part]) => `${what} ${part.toFixed(1)} s`);
  const aggregates = working.plan.aggregates.length;
  const told: Row[] = [
    {
      ...{ work: `cluster, ${name}: events -> rows`, unit: 'events/s', ours: lines.length / seconds },
      ...{ peer: { name: 'bare', value: lines.length / total }, goal: null, memory: MEMORY },
      note: `${lines.length} events, ${written} rows, ${seconds.toFixed(1)} s; CPU: ${took}; bare: ${parts.join(', ')}; CPU: ${bareTook}`,
    },
    {
      ...{ work: `cluster, ${name}: rows written`, unit: 'rows/event', ours: written / lines.length },
      ...{ peer: { name: 'a row for each feature and tile', value: rowsOfOthers(working) }, goal: 100, memory: MEMORY },
      note: `${aggregates} aggregates, at the pace of the row above; ${loaded} rows were looked for first`,
    },
  ];
  return { place, rate: lines.length / seconds, told };
}

/** Whether the process, and the tables that it writes, become slower: a part of the events is sent when the one before it is in rows. */
async function tenths(working: Working): Promise<Row> {
  const { lines, name } = working.input;
  tell(`${name}: the last tenth beside the first`);
  const place = await working.place();
  const work = await working.start(place, 'work');
  const parts = cut(lines);
  const took: { seconds: number; cpu: number }[] = [];
  let sent = 0;
  for (const part of parts) {
    const [startMs, cpu] = [performance.now(), cpuSecondsOf(work.pid)];
    await working.send(place.topic, part);
    sent += part.length;
    await working.until(work, sent);
    took.push({ seconds: (performance.now() - startMs) / 1000, cpu: cpuSecondsOf(work.pid) - cpu });
  }
  await work.stop();
  const [first, last] = [took.at(-TENTHS)!, took.at(-1)!];
  const rate = ({ seconds }: typeof first) => parts.at(-1)!.length / seconds;
  const text = ({ seconds, cpu }: typeof first) => `${seconds.toFixed(1)} s, ${cpu.toFixed(2)} s of the processor`;
  return {
    ...{ work: `cluster, ${name}: the last tenth`, unit: 'events/s', ours: rate(last) },
    ...{ peer: { name: 'the first tenth', value: rate(first) }, goal: 0.9, memory: MEMORY },
    note: `${parts.at(-1)!.length} events each, behind a fifth that makes it warm; first ${text(first)}, last ${text(last)}`,
  };
}

/** A fifth, before which nothing is warm, and tenths of the rest. */
function cut(lines: string[]): string[][] {
  const count = Math.floor((lines.length * (1 - WARM_SHARE)) / TENTHS);
  const warm = lines.length - count * TENTHS;
  const starts = Array.from({ length: TENTHS }, (_, i) => warm + i * count);
  return [lines.slice(0, warm), ...starts.map(start => lines.slice(start, start + count))];
}

/** Of an event where each aggregate of each level of tiles has a row of its own, written with each event. */
function rowsOfOthers({ plan }: Working): number {
  return plan.aggregates.reduce((sum, aggregate) => sum + keptLevels(aggregate, plan).length, 0);
}

/** Seconds for the same events through a topic, and for as many rows into tables: those of a keyspace, again and again. */
async function bareSeconds(working: Working, keyspace: string, rowCount: number) {
  const { name, lines } = working.input;
  const topic = `${name}.bare`;
  await working.makeTopic(topic);
  const [from, to] = [await working.store(keyspace), await working.store(`${name}_bare`)];
  const rows: StoredRow[] = [];
  for (const { levelMs } of keptTables(working.plan)) for await (const row of from.scan(levelMs)) rows.push(row);
  const runs: { run: Uint8Array[]; count: number }[] = [];
  rows.sort(byAddress);
  for (let at = 0; at < rows.length; at += WRITE_ROWS) {
    const part = rows.slice(at, at + WRITE_ROWS);
    runs.push({ run: [...runOf(part)].map(bytes => bytes.slice()), count: part.length });
  }
  const produce = await secondsOf(() => working.send(topic, lines));
  const consume = await secondsOf(() => consumeAll(working, topic, sendsOf(lines).flat().length));
  const write = await secondsOf(async () => {
    let stamp = 0n;
    for (let written = 0; written < rowCount; )
      for (const { run, count } of runs) {
        if (written >= rowCount) break;
        await to.writeRows(run, { applied: 0n, stamp: ++stamp });
        written += count;
      }
  });
  await from.close();
  await to.close();
  return { produce, consume, write };
}

async function consumeAll({ kafka }: Working, topic: string, wanted: number): Promise<void> {
  const consumer = kafka.consumer({ groupId: `${topic}.bare`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const done = Promise.withResolvers<void>();
  let count = 0;
  await consumer.run({
    eachBatch: async ({ batch }) => {
      count += batch.messages.length;
      if (count >= wanted) done.resolve();
    },
  });
  await done.promise;
  await consumer.disconnect();
}

/** At a pace that it can hold: how old what can be read is. */
async function steady(working: Working, rate: number): Promise<Row> {
  tell(`${Math.round(rate)} events/s for ${STEADY_SECONDS} s`);
  const place = await working.place();
  const work = await working.start(place, 'work');
  const { lines } = working.input;
  const each = Math.ceil((rate * STEADY_EVERY_MS) / 1000);
  let sent = 0;
  const startMs = performance.now();
  for (let n = 0; n * STEADY_EVERY_MS < STEADY_SECONDS * 1000; n++) {
    await Bun.sleep(Math.max(0, startMs + n * STEADY_EVERY_MS - performance.now()));
    const part = Array.from({ length: each }, (_, i) => lines[(sent + i) % lines.length]!);
    await working.send(place.topic, part);
    sent += each;
  }
  const pace = sent / ((performance.now() - startMs) / 1000);
  await working.until(work, sent);
  const text = await metricsOf(work.url);
  const [p50, p99] = [freshness(text, 0.5), freshness(text, 0.99)];
  await work.stop();
  return {
    ...{ work: `cluster: freshness, p99, ${Math.round(pace)} events/s`, unit: 'ms', ours: p99 * 1000 },
    ...{ peer: { name: 'goal', value: 3_000 }, goal: 1, memory: MEMORY },
    note: `p50 ${Math.round(p50 * 1000)} ms; from arrival until rows could be read, barrier 1 s, bounds of a histogram`,
  };
}

/** In seconds: the upper bound of the bucket that has it. */
function freshness(metrics: string, q: number): number {
  const buckets = [...metrics.matchAll(/^tilefold_freshness_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)];
  const all = Number(buckets.at(-1)![2]);
  const [, bound] = buckets.find(([, , count]) => Number(count) >= q * all)!;
  return bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
}

/** Lookups of rows that are there, alone and while another process makes them anew from the first event on. */
async function served(working: Working, place: Place, cpu: Cpu): Promise<Row[]> {
  tell('lookups, alone and beside a cold backfill');
  const serve = await working.start(place, 'serve', ['--grace', '0s', '--log-level', 'error']);
  const body = join(working.dir, 'lookup.json');
  await writeFile(body, requestBody(working.input.lines.slice(0, SAMPLED).join('\n')));
  const ask = (requests = REQUESTS) => loadOn(`${serve.url}/v1/features`, body, CONNECTIONS, requests);
  await ask(REQUESTS_FIRST);
  const before = cpu.of(serve.pid);
  const alone = await ask();
  const took = `; CPU: ${cpu.since(before, serve.pid)}`;
  const backfill = await working.start(await working.place(place.topic), 'work');
  const beside = await ask();
  await backfill.kill();
  await serve.kill();
  const row = (what: string, { p50Ms, p99Ms, seconds }: typeof alone, more = ''): Row => ({
    ...{ work: `cluster, lookups: p99, ${what}`, unit: 'ms', ours: p99Ms, peer: null, goal: null, memory: MEMORY },
    note: `p50 ${p50Ms.toFixed(1)} ms, ${Math.round(REQUESTS / seconds)} requests/s over ${CONNECTIONS} connections${more}`,
  });
  return [row('alone', alone, took), row('beside a cold backfill, 64 reads at once', beside)];
}

/** What one of our processes and the servers have had of the processor: of a machine that does something else, too, it says more than a clock. */
class Cpu {
  constructor(private readonly dir: string) {}

  of(pid: number): Record<string, number> {
    const servers = (['kafka', 'cassandra'] as const).map(
      name => [name, findServer(join(this.dir, name))!.pid] as const,
    );
    return Object.fromEntries([['tilefold', pid] as const, ...servers].map(([name, one]) => [name, cpuSecondsOf(one)]));
  }

  since(before: Record<string, number>, pid: number): string {
    return Object.entries(this.of(pid))
      .map(([name, seconds]) => `${name} ${(seconds - before[name]!).toFixed(1)} s`)
      .join(', ');
  }
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}

function tell(what: string): void {
  console.error(`bench: cluster, ${what}`);
}
