import { describe, expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { stateHash } from '../../src/plan/canonical.ts';
import { ALL_KNOWN, ceilTile, type Known, windowKnown } from '../../src/plan/known.ts';
import type { Aggregate, Plan } from '../../src/plan/plan.ts';
import { type Beginning, type InForce, type Moment, planOnly, transition } from '../../src/plan/transition.ts';
import { INT64, STRING } from '../../src/plan/value.ts';
import { eventType } from '../kernel/columns.ts';
import { aggregate, column, feature, optional, plan, read, required } from '../oracle/fixtures/spell.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Noon of a day. */
const CLOCK = BigInt(Date.UTC(2026, 2, 2, 12)) * 1000n;
const LATENESS_MS = HOUR_MS;

/** Windows of one aggregate of users, by name: hours, or 0 for the lifetime; all by the tile that is usual for them. */
type Windows = Record<string, number[]>;

function planOf(windows: Windows, of: Partial<Record<string, Partial<Aggregate>>> = {}, inputs: string[] = []): Plan {
  const key = column('k', STRING);
  const event = eventType('e', [
    required('k', STRING),
    optional('x', INT64),
    ...inputs.map(name => optional(name, INT64)),
  ]);
  const names = Object.keys(windows);
  const sets = [...new Set(names.map(name => name.split(':')[0]!))].map(name => ({
    ...{ name, description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null },
  }));
  const tiles = { levelsMs: [60_000, 30 * 60_000, DAY_MS], offsetMs: 0 };
  return {
    ...plan({
      events: [event],
      entities: [{ name: 'k', keys: [STRING], at: null }],
      aggregates: names.map(name => ({
        ...aggregate(name, 'e', [key], 'count', null, { entity: 'k', tiles }),
        ...of[name],
      })),
      sets,
      features: names.flatMap(name =>
        windows[name]!.map(hours => {
          const resolutionMs = hours >= 12 ? 30 * 60_000 : 60_000;
          const window =
            hours === 0
              ? ({ kind: 'lifetime' } as const)
              : ({ kind: 'sliding', lengthMs: hours * HOUR_MS, resolutionMs } as const);
          const set = sets.find(one => one.name === name.split(':')[0])!;
          return feature(set, `${name.split(':')[1]}_${hours}`, read(name, INT64, { window }));
        }),
      ),
    }),
    latenessMs: LATENESS_MS,
  };
}

function inForce(of: Plan, known: Record<string, Known> = {}): InForce {
  return {
    plan: of,
    members: new Map(of.aggregates.map(({ name }, i) => [name, { id: i + 1, known: known[name] ?? ALL_KNOWN }])),
  };
}

const AT: Moment = {
  ...{ position: 100, clocks: new Map([['e', { at: CLOCK, since: CLOCK, jumps: [] }]]) },
  ...{ nowMicros: CLOCK + 5n, aheadMs: 0 },
};

function change(before: Plan | InForce, next: Plan, beginning: Beginning = 'since-now', at = AT) {
  return transition('members' in before ? before : inForce(before), next, at, beginning);
}

const SUM: Partial<Aggregate> = {
  fn: { name: 'sum', args: [column('x', INT64)], limit: null, params: [] },
  type: INT64,
};
const WHERE = { where: column('x', INT64) };

describe('an aggregate', () => {
  test('that is the same keeps its number, whatever else is declared, in any order', () => {
    const { members, kept, ...rest } = change(planOf({ 's:a': [2, 0], 's:b': [2] }, { 's:b': SUM }), {
      ...planOf({ 's:b': [2], 's:a': [2, 0] }, { 's:b': SUM }, ['more']),
    });
    expect([...members]).toEqual([
      ['s:b', { id: 2, known: ALL_KNOWN }],
      ['s:a', { id: 1, known: ALL_KNOWN }],
    ]);
    expect([kept, rest]).toEqual([
      2,
      { added: [], redefined: [], removed: [], renamed: [], extended: [], refusals: [] },
    ]);
  });

  test('that is added knows its events from the microsecond after its type’s clock on', () => {
    const { members, added } = change(planOf({ 's:a': [2] }), planOf({ 's:a': [2], 's:b': [2] }, { 's:b': SUM }));
    expect(added).toEqual(['s:b']);
    const known = { ...ALL_KNOWN, position: 100, sinceMicros: CLOCK + 1n };
    expect(members.get('s:b')).toEqual({ id: null, known });
    const wall = change(planOf({}), planOf({ 's:a': [2] }), 'since-now', { ...AT, aheadMs: 600_000 });
    expect(wall.members.get('s:a')!.known.sinceMicros).toBe(CLOCK + 600_000_001n);
  });

  test('that is added before any event of its type knows all; of a type that was not declared, from the log’s now on', () => {
    const nothing = { ...AT, clocks: new Map() };
    expect(
      change(planOf({ 's:b': [2] }, { 's:b': SUM }), planOf({ 's:a': [2] }), 'warm', nothing).members.get('s:a')!.known,
    ).toEqual(ALL_KNOWN);
    const undeclared = change({ ...planOf({}), events: [] }, planOf({ 's:a': [2] }), 'warm', nothing);
    expect(undeclared.members.get('s:a')!.known.sinceMicros).toBe(CLOCK + 6n);
  });

  test('that is called otherwise keeps its number; of two that mean the same, the one that its set calls alike', () => {
    const before = planOf({ 's:a': [2], 's:b': [2] });
    const { members, renamed, removed } = change(before, planOf({ 't:b': [2], 't:a': [2] }));
    expect([members.get('t:a')!.id, members.get('t:b')!.id]).toEqual([1, 2]);
    expect(renamed).toEqual([
      { from: 's:b', to: 't:b' },
      { from: 's:a', to: 't:a' },
    ]);
    expect(removed).toEqual([]);
    // What is still there is not renamed.
    expect(change(before, planOf({ 's:a': [2], 's:b': [2], 's:c': [2] }))).toMatchObject({
      renamed: [],
      added: ['s:c'],
    });
  });

  test('that is gone is removed, and one that means another thing is new under its name', () => {
    const before = planOf({ 's:a': [2], 's:b': [2] }, { 's:b': SUM });
    expect(change(before, planOf({ 's:a': [2] }, { 's:a': WHERE }))).toMatchObject({
      ...{ redefined: ['s:a'], removed: ['s:b'], kept: 0 },
      members: new Map([['s:a', { id: null, known: { ...ALL_KNOWN, position: 100, sinceMicros: CLOCK + 1n } }]]),
    });
  });
});

describe('tiles', () => {
  const known = (before: Plan | InForce, next: Plan) => change(before, next).members.get('s:a')!.known;

  test('of a longer window are whole from the first one on that was not over', () => {
    // Kept for 2 h + 30 min + 1 h, so at noon those of 8:30 and before are over.
    expect(known(planOf({ 's:a': [2] }), planOf({ 's:a': [2, 24] })).levels).toContainEqual({
      ...{ levelMs: 30 * 60_000, position: 0, sinceMicros: BigInt(Date.UTC(2026, 2, 2, 9)) * 1000n },
    });
    // Those of the day: 2 h + 1 d + 1 h.
    expect(known(planOf({ 's:a': [2] }), planOf({ 's:a': [2, 24] })).levels).toContainEqual({
      ...{ levelMs: DAY_MS, position: 0, sinceMicros: BigInt(Date.UTC(2026, 2, 2)) * 1000n },
    });
    expect(known(planOf({ 's:a': [2, 24] }), planOf({ 's:a': [2] })).levels).toEqual([]);
  });

  test('of a level that is new are whole from the next one on, and a lifetime counts from now on', () => {
    const { levels } = known(planOf({ 's:a': [24] }), planOf({ 's:a': [2, 24, 0] }));
    expect(levels).toEqual([
      { levelMs: 60_000, position: 100, sinceMicros: CLOCK + 60_000_000n },
      { levelMs: 0, position: 100, sinceMicros: CLOCK + 1n },
    ]);
  });

  test('that were not whole stay so when other things change', () => {
    const before = planOf({ 's:a': [2] });
    const longer = planOf({ 's:a': [2, 24] });
    const first = change(before, longer);
    const then = { plan: longer, members: new Map([['s:a', { id: 1, known: first.members.get('s:a')!.known }]]) };
    expect(known(then, planOf({ 's:a': [2, 24], 's:b': [2] }))).toEqual(first.members.get('s:a')!.known);
    expect(known(then, before).levels.map(({ levelMs }) => levelMs)).toEqual([30 * 60_000, DAY_MS]);
  });

  test('of a lifetime that was given up are none of another one: that is a new aggregate', () => {
    const without = planOf({ 's:a': [2] });
    const first = change(planOf({ 's:a': [2, 0] }), without);
    expect(first.members.get('s:a')).toEqual({ id: 1, known: { ...ALL_KNOWN, hasOldLifetime: true } });
    const then = { plan: without, members: new Map([['s:a', { id: 1, known: first.members.get('s:a')!.known }]]) };
    expect(change(then, planOf({ 's:a': [2, 0] })).redefined).toEqual(['s:a']);
  });
});

describe('refused is, without being asked for,', () => {
  const said = (before: Plan, next: Plan, beginning: Beginning) =>
    change(before, next, beginning).refusals.map(({ message }) => message.split(':').slice(0, 2).join(':'));

  test.each([
    [
      'a new lifetime',
      planOf({ 's:b': [2] }),
      planOf({ 's:b': [2], 's:a': [0] }, { 's:a': SUM }),
      's:a is new, and has a lifetime, which would count from now on only',
    ],
    [
      'a lifetime beside windows',
      planOf({ 's:a': [2] }),
      planOf({ 's:a': [2, 0] }),
      's:a is new, and has a lifetime, which would count from now on only',
    ],
    [
      'another meaning',
      planOf({ 's:a': [2] }),
      planOf({ 's:a': [2] }, { 's:a': SUM }),
      's:a is redefined, and its rows are of the old definition',
    ],
  ])('%s', (_what, before, next, message) => {
    expect(said(before, next, 'warm')).toEqual([message]);
    expect(said(before, next, 'since-now')).toEqual([]);
    expect(said(before, next, 'whole')).toEqual([]);
  });

  test('nothing that warms up', () => {
    expect(said(planOf({ 's:a': [2] }), planOf({ 's:a': [2, 24], 's:b': [2] }, { 's:b': SUM }), 'warm')).toEqual([]);
  });

  test('more windows that know different things than are read together', () => {
    const hours = Array.from({ length: 40 }, (_, i) => i + 13);
    const message = change(planOf({ 's:a': hours }), planOf({ 's:a': hours, 's:b': hours }, { 's:b': SUM }))
      .refusals[0]!;
    expect(message.message).toStartWith('k would have 80 different windows while some are WARMING, and at most 64');
  });
});

test('what is whole before it answers has a number of its own wherever tiles are lacking', () => {
  const next = planOf({ 's:a': [2, 24], 's:b': [2], 's:c': [2] }, { 's:b': SUM, 's:c': WHERE });
  const { members, redefined, added } = change(planOf({ 's:a': [2], 's:b': [2] }, { 's:b': SUM }), next, 'whole');
  expect([redefined, added]).toEqual([['s:a'], ['s:c']]);
  for (const { known } of members.values()) expect(known).toEqual(ALL_KNOWN);
  expect([...members.values()].map(({ id }) => id)).toEqual([null, 2, null]);
});

describe('what is counted by what events read', () => {
  const TOPOLOGY = `event login
user := $.user as string
fails := Count(by user last hour)
odd := fails > 3
event payment
user := $.user as string
n := Count(by user last hour)
`;
  const compiled = async (text: string) =>
    (await compileSources([{ file: 'a.scowl', text }], { latenessMs: LATENESS_MS })).plan;
  const more = (line: string) => TOPOLOGY.replace('n := ', `${line}\nn := `);

  test('cannot be computed alone from the log, unless that is computed too', async () => {
    const [before, after] = [await compiled(TOPOLOGY), await compiled(more('odd := Count<login>(by user where odd)'))];
    const { refusals } = change(before, after, 'whole');
    expect(refusals.map(({ message }) => message)).toEqual([
      expect.stringContaining('payment.odd is new, and counts by login.fails, which goes on'),
    ]);
    expect(change(before, after, 'since-now').refusals).toEqual([]);
    expect(change(before, after, 'whole', { ...AT, position: 0 }).refusals).toEqual([]);
    const nothing = await compiled('event payment\nuser := $.user as string\n');
    expect(change(nothing, after, 'whole').refusals).toEqual([]);
  });

  test('of what is computed alone, events have what it counts by, and read nothing else', async () => {
    const after = await compiled(more('all := Count<login>(by user where user != "x")'));
    expect(change(await compiled(TOPOLOGY), after, 'whole').refusals).toEqual([]);
    const alone = planOnly(after, new Set(['payment.all']));
    expect(alone.events.flatMap(({ columns, features = [] }) => [...columns, ...features])).toEqual([]);
    const odd = await compiled(more('odd := Count<login>(by user where odd)'));
    const both = planOnly(odd, new Set(['payment.odd', 'login.fails']));
    expect(both.events.flatMap(({ columns }) => columns.map(({ name }) => name))).toEqual(['fails', 'odd']);
  });
});

test('a state’s hash leaves out what its aggregate does not look at, and nothing else', () => {
  const of = (next: Plan) => stateHash(next.aggregates[0]!, next);
  const one = of(planOf({ 's:a': [2] }));
  expect(of(planOf({ 's:other': [2, 0] }, {}, ['more']))).toBe(one);
  expect(of(planOf({ 's:a': [2] }, { 's:a': WHERE }))).not.toBe(one);
  expect(of(planOf({ 's:a': [2] }, { 's:a': { tiles: { levelsMs: [60_000, DAY_MS], offsetMs: 0 } } }))).not.toBe(one);
});

test('a window lacks what the levels that it reads lack', () => {
  const sliding = (resolutionMs: number) => ({ kind: 'sliding', lengthMs: DAY_MS, resolutionMs }) as const;
  const level = (levelMs: number, ms: number) => ({ levelMs, position: 5, sinceMicros: BigInt(ms) * 1000n });
  const known = { ...ALL_KNOWN, levels: [level(60_000, 120_000), level(1_800_000, 1_800_000), level(0, 7)] };
  expect(windowKnown(ALL_KNOWN, sliding(60_000))).toBeNull();
  expect(windowKnown(known, sliding(60_000))).toEqual({ sinceMicros: 1_800_000_000n, floorMs: 1_800_000 });
  expect(windowKnown(known, sliding(DAY_MS))).toBeNull();
  expect(windowKnown(known, { kind: 'lifetime' })!.sinceMicros).toBe(7_000n);
  const later = windowKnown({ ...known, sinceMicros: 10n ** 12n }, sliding(60_000))!;
  expect(later).toEqual({ sinceMicros: 10n ** 12n, floorMs: 1_800_000 });
});

test('the first tile at or after a moment, before 1970 too', () => {
  expect([0n, 1n, 60_000_000n, 60_000_001n].map(at => ceilTile(at, 60_000, 0))).toEqual([0, 60_000, 60_000, 120_000]);
  expect([-1n, -60_000_000n, -60_000_001n].map(at => ceilTile(at, 60_000, 0))).toEqual([0, -60_000, -60_000]);
  expect(ceilTile(1n, 60_000, 30_000)).toBe(30_000);
});
