/** Clocks of event types, and what of a window was before them: against the oracle, and by hand. */
import { describe, expect, test } from 'bun:test';
import { resumeClocks, typeClocks } from '../../src/kernel/clock.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { BADS, Decoder } from '../../src/kernel/ndjson.ts';
import { windowRanges } from '../../src/kernel/cover.ts';
import { STATUS } from '../../src/kernel/window.ts';
import { INT64, STRING } from '../../src/plan/value.ts';
import { aggregate, column, feature, HOUR_MS, LIFETIME } from '../oracle/fixtures/spell.ts';
import { optional, plan, read, required, sliding } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { countedIds } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, layout } from './columns.ts';
import { count, row } from './rows.ts';

const MAX_JUMP_MS = 10;
const TYPES = ['a', 'b', 'c'];
const typed = plan({ events: TYPES.map(name => eventType(name, [optional('x', INT64)])) });

async function freshLayout(): Promise<Layout> {
  const settings = { clock: { kind: 'event', maxJumpMs: MAX_JUMP_MS }, aheadMaxMs: 0, shards: 1 } as const;
  return layPlan(await loadKernel(), typed, countedIds(typed), settings);
}

/** Times that mostly go on by little, and often by about as much as a clock may jump. */
function lineOf(rng: Random, aroundMs: number): string {
  const ms = aroundMs + rng.pick([0, 1, MAX_JUMP_MS, MAX_JUMP_MS + 1, 2 * MAX_JUMP_MS + 1, 40]) + rng.below(3);
  const x = rng.chance(0.1) ? '"faulty"' : '1';
  return `{"type":"${rng.pick(TYPES)}","time":${ms},"data":{"x":${x}}}`;
}

test('clocks, jumps and since when, in batches and over restarts, are those of the oracle', async () => {
  const seed = 11;
  const rng = new Random(seed);
  const lines: string[] = [];
  let aroundMs = 1_000_000;
  while (lines.length < 4000) {
    lines.push(lineOf(rng, aroundMs));
    if (rng.chance(0.2)) aroundMs += rng.below(4);
  }
  const { records } = parseLog(lines.join('\n'), typed, { clock: 'event', maxJumpMs: MAX_JUMP_MS });
  let of = await freshLayout();
  const latest = new Map<string, bigint>();
  let moved = 0;
  for (let from = 0, to = 0; from < lines.length; from = to) {
    to = Math.min(lines.length, from + 1 + rng.below(60));
    const { exports } = of.kernel;
    const decoder = new Decoder(of.kernel, of.types);
    decoder.fill(bytesOf(lines.slice(from, to).join('\n')));
    expect(decoder.next(from, null)).toBe(true);
    exports.seeRecords(0, decoder.count);
    const clocks = of.kernel.longs(exports.recordClock.value, decoder.count);
    const bads = of.kernel.ints(exports.recordBad.value, decoder.count);
    for (const [i, { type, bad, clock, since, position }] of records.slice(from, to).entries()) {
      const none = exports.CLOCK_NONE.value;
      const wanted = { seed, position, clock: clock ?? none, jumps: bad === 'jumps ahead' };
      expect({ seed, position, clock: clocks[i]!, jumps: BADS[bads[i]!]!.code === 'time_jump' }).toEqual(wanted);
      if (position === to - 1) expect(exports.seenSince(TYPES.indexOf(type))).toBe(since!);
      if (clock! - (latest.get(type) ?? clock!) > MAX_JUMP_MS * 1000) moved++;
      latest.set(type, clock!);
    }
    if (!rng.chance(0.3)) continue;
    const next = await freshLayout();
    resumeClocks(next, typeClocks(of));
    of = next;
  }
  expect(records.filter(({ bad }) => bad === 'jumps ahead').length).toBeGreaterThan(100);
  expect(moved).toBeGreaterThan(5);
});

describe('WARMING', () => {
  const SINCE = BigInt(Date.UTC(2026, 2, 2, 12)) * 1000n + 1n;
  const MINUTE = 60_000_000n;

  /** The status of a row's value and since when, read at a moment, for a window of 2 hours and a lifetime. */
  async function read2h(timeMicros: bigint, isPast: boolean, since: bigint | null) {
    const key = column('k', STRING);
    const set = { name: 's', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
    const of = await layout(
      plan({
        events: [eventType('e', [required('k', STRING)])],
        entities: [{ name: 'k', keys: [STRING], at: null }],
        aggregates: [aggregate('s:n', 'e', [key], 'count', null, { entity: 'k' })],
        sets: [set],
        features: [sliding(2 * HOUR_MS, 60_000), LIFETIME].map((window, i) =>
          feature(set, `n_${i}`, read('s:n', INT64, { window })),
        ),
      }),
    );
    const { kernel, lookups } = of;
    const { exports } = kernel;
    const answer = lookups.get('k')!;
    if (since !== null) exports.setSeen(0, since, since);
    exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
    const block = kernel.put(bytesOf('x'));
    exports.startKey(answer.index, block, 1);
    const one = row([1, count(1n)]);
    const { levelMs, fromMs } = windowRanges(kernel, answer)[0]!;
    const stored = kernel.put(one);
    expect(exports.addStoredRow(answer.index, levelMs, fromMs, stored, one.length)).toBe(exports.READ_OK.value);
    exports.finishKey(answer.index, 0);
    const feature2h = answer.features.get('s:n_0')!;
    const [{ member, window }] = feature2h.cells as [{ member: number; window: number }];
    const known = exports.warmingSince(answer.index, member, window);
    const lifetime = answer.windows.findIndex(({ lengthMs }) => lengthMs === 0);
    expect(exports.warmingSince(answer.index, member, lifetime)).toBe(exports.CLOCK_NONE.value);
    const status = kernel.bytes(exports.frameStatuses(answer.frame, feature2h.register), 1)[0]!;
    return { status: STATUS[status], since: known === exports.CLOCK_NONE.value ? null : known };
  }

  test('is a window that starts a microsecond before, and none that starts with it', async () => {
    // Read at 14:00:59.999999 it starts at 12:00, at 14:01 at 12:01.
    const last = SINCE - 1n + 121n * MINUTE - 1n;
    expect(await read2h(last, false, SINCE)).toEqual({ status: 'WARMING', since: SINCE });
    expect(await read2h(last + 1n, false, SINCE)).toEqual({ status: null, since: null });
    expect(await read2h(last, false, SINCE - 1n)).toEqual({ status: null, since: null });
  });

  test('is one of a past moment too, and none of a type without a clock', async () => {
    expect(await read2h(SINCE + 60n * MINUTE, true, SINCE)).toEqual({ status: 'WARMING', since: SINCE });
    expect(await read2h(SINCE + 60n * MINUTE, false, null)).toEqual({ status: null, since: null });
  });
});
