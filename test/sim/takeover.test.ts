import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { EVENTS, lineOf, takeoverEvents } from '../../scripts/takeover.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { Stages } from '../../src/base/stages.ts';
import { composeReplay } from '../../src/cli/alone/retelling.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { app } from '../../src/http/app.ts';
import { cellJson } from '../../src/http/columnar.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, memoryDatabase, openEngine } from './engine.ts';

const EXAMPLE = join(import.meta.dir, '../../examples/takeover');
const LOG = join(EXAMPLE, 'events.ndjson.gz');
const CLOCK = { kind: 'event', maxJumpMs: 31 * 86_400_000 } as const;

/** What memory may take in the live run: some thousand rows, so that most of them come and go. */
const LIVE_MEMORY_BYTES = 1 << 20;

const takeoverPlan = () => compileFolder(join(EXAMPLE, 'features'), { latenessMs: 3_600_000 });

/** Batches of the replayed log. */
async function openReplay(plan: Plan) {
  const source = await ndjsonFiles([LOG], CLOCK);
  const fail = (one: object) => {
    throw new Error(JSON.stringify(one));
  };
  return composeReplay(plan, source, { memoryBytes: 2 ** 30, path: '' }, { onRejected: fail, onBad: fail });
}

/** Values of each event by its position, of the features that are asked for, as JSON. */
async function replayed(features: string[]): Promise<Map<number, string[]>> {
  const replay = await openReplay(await takeoverPlan());
  const rows = new Map<number, string[]>();
  for await (const { count, positions, columns } of replay.batches) {
    const cells = features.map(name => cellJson(columns.find(column => column.name === name)!));
    for (let row = 0; row < count; row++)
      rows.set(
        Number(positions[row]),
        cells.map(cell => cell(row)),
      );
  }
  replay.close();
  return rows;
}

/** Features and errors of each event by its position, as JSON. */
async function replayedAnswers(plan: Plan): Promise<string[]> {
  const replay = await openReplay(plan);
  const answers: string[] = [];
  for await (const { count, positions, types, columns, errors } of replay.batches) {
    const cells = columns.map(cellJson);
    for (let row = 0; row < count; row++) {
      const [position, prefix] = [Number(positions[row]), `${types[row]}.`];
      const texts = (list: string[]) => `{${list.join(',')}}`;
      const own = columns.flatMap(({ name }, c) =>
        name.startsWith(prefix) ? [`${JSON.stringify(name.slice(prefix.length))}:${cells[c]!(row)}`] : [],
      );
      const wrong = errors
        .filter(error => error.position === position)
        .map(({ feature, text }) => `${JSON.stringify(feature.slice(prefix.length))}:${JSON.stringify(text)}`);
      answers[position] = `"features":${texts(own)},"errors":${texts(wrong)}}`;
    }
  }
  replay.close();
  return answers;
}

/** The whole HTTP surface over an engine. */
function surfaceOf(engine: Engine): ReturnType<typeof app> {
  const quiet = () => {};
  const none = () => Promise.reject(new Error('nobody asks for it'));
  const timelines = { list: async () => [], show: none, create: none, upload: none, remove: none };
  const tables = { table: none, page: none };
  const replays = { list: none, show: none, follow: none, create: none, cancel: none, resume: none, remove: none };
  const branches = { list: none, show: none, save: none, remove: none };
  return app({
    parts: {
      ...engine,
      ...{
        applyFiles: none,
        abort: none,
        timelines,
        branches,
        replays: { ...replays, ...tables },
        feed: { events: none },
        stages: new Stages(),
      },
      planState: () => ({ position: 0, applied_at: '2026-01-01T00:00:00Z', computing: null, waiting: null }),
      reader: { lookup: lookup => engine.reader.lookup(lookup), explain: asked => engine.reader.explain(asked) },
      moment: () => ({ position: engine.ingest.position, nowMicros: engine.now(), clocks: engine.here.clocks() }),
    },
    unready: () => null,
    origins: [],
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    metrics: new Metrics(() => null),
    broken: quiet,
  });
}

test('the log of the example is what its script makes', async () => {
  const lines = takeoverEvents().map(lineOf).join('');
  expect(gunzipSync(await readFile(LOG)).toString()).toBe(lines);
});

test('what the example holds back are the payments of the attack, and nothing else', async () => {
  const rows = await replayed(['payment.hold', 'payment.score', 'login.suspicious', 'payout_change.risky']);
  const events = takeoverEvents();
  expect(rows.size).toBe(EVENTS);
  const found = (type: string, cell: number) =>
    events.flatMap((event, i) => (event.type === type && rows.get(i)![cell] === 'true' ? [i] : []));
  const planted = (type: string) => events.flatMap((event, i) => (event.type === type && event.isFraud ? [i] : []));
  expect(found('payment', 0)).toEqual(planted('payment'));
  expect(found('payout_change', 3)).toEqual(planted('payout_change'));
  for (const login of planted('login')) expect(found('login', 2)).toContain(login);
});

test('answered live, in bodies of any size and with little memory, each event has what its replay has', async () => {
  const plan = await takeoverPlan();
  const wanted = await replayedAnswers(plan);
  const lines = takeoverEvents().map(lineOf);
  const world = { disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes: LIVE_MEMORY_BYTES, expires: true };
  const engine = await openEngine(plan, world);
  const surface = surfaceOf(engine);
  for (let from = 0, size = 1; from < lines.length; from += size) {
    size = (size * 7) % 1009;
    const body = lines.slice(from, from + size).join('');
    const headers = { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson' };
    const reply = await surface.request('/v1/events?features', { method: 'POST', headers, body });
    expect(reply.status).toBe(200);
    const answers = (await reply.text()).split('\n').slice(0, -1);
    expect(answers.length).toBe(Math.min(size, lines.length - from));
    for (const [i, answer] of answers.entries()) {
      const at = answer.indexOf('"features":');
      if (answer.slice(at) !== wanted[from + i])
        expect([from + i, answer.slice(at)]).toEqual([from + i, wanted[from + i]!]);
    }
    engine.ingest.barrier();
  }
  expect(wanted.length).toBe(EVENTS);
  await engine.close();
});
