/** What a definition is: the same under other names and elsewhere, another one where anything that it stands on is. */
import { describe, expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { Identities } from '../../src/plan/identity.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { givenOut } from '../../src/replay/subject.ts';
import { parseLog } from '../oracle/log.ts';
import { eventErrors, eventRow } from '../oracle/naive.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { body, tame } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { changeOne, reachedFrom } from './changing.ts';

const SEEDS = Array.from({ length: process.env.TILEFOLD_LONG ? 500 : 25 }, (_, i) => i + 1);

async function compiled(...texts: string[]): Promise<Plan> {
  const files = texts.map((text, i) => ({ file: text.includes(':=') ? `${i}.scowl` : `${i}.yaml`, text }));
  const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
  expect(faults.map(({ message }) => message)).toEqual([]);
  return plan;
}

/** Of each column that a replay gives out, by name. */
function hashes(plan: Plan): Record<string, string> {
  return Object.fromEntries(givenOut(plan).map(({ column, event, identity }) => [`${column} ${event}`, identity.hash]));
}

/** Names of columns that have other identities, or are in one of both only. */
function differing(before: Plan, after: Plan): string[] {
  const [was, now] = [hashes(before), hashes(after)];
  const names = new Set([...Object.keys(was), ...Object.keys(now)]);
  return [...names].filter(name => was[name] !== now[name]).map(name => name.split(' ')[0]!);
}

const SUM = `event e
x := $.x as int
y := $.y as int
a := x + 1
b := y * 2
c := a + b
`;

describe('c := a + b', () => {
  test('another a is another a and another c, and the same b', async () => {
    const [before, after] = [await compiled(SUM), await compiled(SUM.replace('x + 1', 'x + 2'))];
    expect(differing(before, after)).toEqual(['e.a', 'e.c']);
  });

  test('what only looks different is the same: comments, layout, order, and names', async () => {
    const before = await compiled(SUM);
    const moved = SUM.replace('a := x + 1\n', '').concat('-- the first\na :=\n  x   +\n 1\n');
    expect(differing(before, await compiled(moved))).toEqual([]);
    const renamed = await compiled(
      SUM.replaceAll(/\ba\b/g, 'first')
        .replaceAll(/\bx\b(?! as int)/g, 'input')
        .replace('$.input', '$.x'),
    );
    expect(Object.values(hashes(renamed)).sort()).toEqual(Object.values(hashes(before)).sort());
  });

  test('an input is its path, its type and its default', async () => {
    const before = await compiled(SUM);
    for (const other of ['$.z as int', '$.x as int ? 0', '$.x as float'])
      expect(differing(before, await compiled(SUM.replace('$.x as int', other)))).toEqual(['e.x', 'e.a', 'e.c']);
  });
});

test('a struct that is given out has its fields in their order', async () => {
  const crew = (fields: string) => `event e\ncrew := $.crew as {${fields}}\nn := crew.n + 1\n`;
  const [before, turned] = [await compiled(crew('name, n as int')), await compiled(crew('n as int, name'))];
  expect(differing(before, turned)).toEqual(['e.crew']);
});

test('what is said to be wrong with a value is a part of its column', async () => {
  const identities = new Identities(await compiled(SUM));
  const of = (column: string, wrong: string | null) => {
    const error = identities.plan.events[0]!.columns.find(({ name }) => name === wrong)?.expression ?? null;
    return identities.eventFeature('e', { column, description: '', error, at: null }).hash;
  };
  expect(new Set([of('c', null), of('c', 'a'), of('c', 'b'), of('b', 'a')]).size).toBe(4);
});

const EVENTS = `event login
user := $.user as string
ok := $.ok as bool
fails := Count(by user where not ok last day)
guessed := ok and fails > 3
event reset
user := $.user as string
event payment
user := $.user as string
guessed_1d := Count<login>(by user where guessed last day)
resets := Count<reset>(by user)
both := guessed_1d + resets
`;

describe('the event types that can change a feature', () => {
  test('are its own, and of aggregates those that write them and what these read', async () => {
    const plan = await compiled(EVENTS);
    const types = Object.fromEntries(givenOut(plan).map(({ column, identity }) => [column, identity.events.join(' ')]));
    expect(types).toMatchObject({
      'login.ok': 'login',
      'login.guessed': 'login',
      'payment.user': 'payment',
      'payment.guessed_1d': 'login payment',
      'payment.resets': 'payment reset',
      'payment.both': 'login payment reset',
    });
  });

  test('of what only others write are not its own, where nobody is given it', async () => {
    const plan = await compiled(`${EVENTS}entity user: string\n`);
    const looked = plan.features.find(({ name }) => name.endsWith(':resets'))!;
    expect(new Identities(plan).feature(looked).events).toEqual(['reset']);
  });
});

test('that features can be looked up by key changes none of those that events are answered with', async () => {
  const [bare, looked] = [await compiled(EVENTS), await compiled(`${EVENTS}entity user: string\n`)];
  expect(differing(bare, looked).filter(name => !name.includes(':'))).toEqual([]);
});

const DECLARED = `events:
  flight: { origin: string, carrier: { type: string, optional: true }, delay: int64, way: string }
entities: { airport: string }
---
`;
const SET = `feature_set: delays
entity: airport
key: origin
source: flight
windows: [1h, 2h, lifetime]
sql: SELECT origin, SUM(delay) AS d, COUNT(*) AS n FROM flight GROUP BY origin
derive: { mean: d_1h / n_1h }
`;

describe('of a feature set', () => {
  test('what is written of one aggregate is of its features alone', async () => {
    const before = await compiled(DECLARED + SET);
    const after = await compiled(DECLARED + SET.replace('SUM(delay)', 'SUM(delay + 1)'));
    expect(differing(before, after)).toEqual(['delays:d_1h', 'delays:d_2h', 'delays:d_lifetime', 'delays:mean']);
  });

  test('names of entities, owners, descriptions, files, tiles and other windows change none', async () => {
    const before = await compiled(DECLARED + SET);
    const others = [
      [`${DECLARED}${SET}owner: us\ndescription: how late\n`.replaceAll('airport', 'field')],
      [SET.replace('[1h, 2h, lifetime]', '[lifetime, 1h, 2h, 3d]'), DECLARED.replace('---\n', '')],
      [`${DECLARED}${SET}tiles: [1m, 5m, 1d]\n`.replace('2h,', '2h@1m,')],
    ];
    for (const texts of others) {
      const found = differing(before, await compiled(...texts));
      expect(found.filter(name => !name.endsWith('_3d'))).toEqual([]);
    }
  });

  test('how late an event may be changes what windows read, and no lifetime', async () => {
    const before = await compiled(DECLARED + SET);
    const after = differing(before, { ...before, latenessMs: 0 });
    expect(after).toEqual(['delays:d_1h', 'delays:d_2h', 'delays:n_1h', 'delays:n_2h', 'delays:mean']);
  });

  test('what begins at other moments is another window', async () => {
    const before = await compiled(DECLARED + SET);
    const after = await compiled(`${DECLARED}${SET}tile_offset: 5h30m\n`);
    expect(differing(before, after)).not.toContain('delays:d_lifetime');
    expect(differing(before, after)).toContain('delays:d_1h');
  });

  test('how many a list has, and from which tiles what has decayed drops, is a part of what it is', async () => {
    const set = (items: string, tiles: string) =>
      compiled(
        `${DECLARED}${SET}tiles: ${tiles}\n`
          .replace('SUM(delay) AS d', items)
          .replace(', lifetime]', ']')
          .replace(/derive.*/, ''),
      );
    const TILES = '[1m, 30m, 1d]';
    const before = await set("LAST_N(delay, 3) AS l, DECAYED_SUM(delay, '1h') AS d", TILES);
    const longer = await set("LAST_N(delay, 5) AS l, DECAYED_SUM(delay, '1h') AS d", TILES);
    expect(differing(before, longer)).toEqual(['delays:l_1h', 'delays:l_2h']);
    const slower = await set("LAST_N(delay, 3) AS l, DECAYED_SUM(delay, '2h') AS d", TILES);
    expect(differing(before, slower)).toEqual(['delays:d_1h', 'delays:d_2h']);
    const coarser = await set("LAST_N(delay, 3) AS l, DECAYED_SUM(delay, '1h') AS d", '[1m, 30m, 2d]');
    expect(differing(before, coarser)).toEqual(['delays:d_1h', 'delays:d_2h']);
  });

  test('what makes an event bad changes all that counts it', async () => {
    const before = await compiled(DECLARED + SET);
    const after = await compiled(DECLARED.replace('way: string', 'way: int64') + SET);
    expect(differing(before, after)).toEqual(Object.keys(hashes(before)).map(name => name.split(' ')[0]!));
  });

  test('events that name the key in another way are given another column', async () => {
    const second = SET.replace('delays', 'arrivals').replace('key: origin', 'key: way').replaceAll('origin', 'way');
    const given = givenOut(await compiled(DECLARED + SET, second));
    const of = (name: string) => given.find(({ column }) => column === name)!.identity.hash;
    expect(of('delays:n_1h')).not.toBe(of('delays:n_1h@way'));
  });
});

function allHashes(plan: Plan): Map<string, string> {
  const identities = new Identities(plan);
  return new Map([
    ...plan.events.flatMap(({ name, inputs, columns }) =>
      [...inputs, ...columns].map((one): [string, string] => {
        return [`${name}.${one.name}`, identities.column(name, one.name).hash];
      }),
    ),
    ...plan.aggregates.map(({ name }): [string, string] => [`~${name}`, identities.aggregate(name).hash]),
  ]);
}

/** Other names for all columns and aggregates that nobody but the plan reads, and another order of everything. */
function disguised(plan: Plan, rng: Random): { plan: Plan; nameOf: (name: string) => string } {
  const text = JSON.stringify(structuredClone(plan), (_member, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  expect(text).not.toContain('"z_');
  const nameOf = (name: string) => name.replace(/^(~|\w+\.)(?=[ac]\d)/, '$1z_');
  const rename = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(rename);
    if (typeof node === 'string') return /^[ac]\d+(_fault)?$/.test(node) ? `z_${node}` : node;
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(
      Object.entries(node).map(([name, child]) => [name, name === 'at' ? PLACE : rename(child)]),
    );
  };
  const other = rename(plan) as Plan;
  const shuffle = <T>(list: T[]) => list.sort(() => rng.next() - 0.5);
  shuffle(other.events);
  shuffle(other.aggregates);
  for (const { inputs, columns, features } of other.events)
    for (const list of [inputs, columns, features!]) shuffle(list as unknown[]);
  return { plan: other, nameOf };
}

const PLACE = { file: 'elsewhere.scowl', line: 7, column: 3, length: 1 };

describe.each(SEEDS)('a random topology, seed %d', seed => {
  test('under other names and in another order is the same', () => {
    const rng = new Random(seed);
    const plan = randomTopology(rng, 3 + rng.below(12));
    const { plan: other, nameOf } = disguised(plan, rng);
    const now = allHashes(other);
    for (const [name, hash] of allHashes(plan)) expect([name, now.get(nameOf(name))]).toEqual([name, hash]);
  });

  test('where one definition changes, is another in all that stands on it, and in nothing else', () => {
    const rng = new Random(seed + 1000);
    const plan = randomTopology(rng, 3 + rng.below(12));
    const before = allHashes(plan);
    const other = structuredClone(plan);
    const changed = changeOne(other, rng);
    const after = allHashes(other);
    const differs = [...before].filter(([name, hash]) => after.get(name) !== hash).map(([name]) => name);
    expect(differs.sort()).toEqual([...reachedFrom(changed, plan)].filter(name => before.has(name)).sort());
  });

  test('with the same identity has the same values, whatever else changes', () => {
    const rng = new Random(seed + 2000);
    const plan = randomTopology(rng, 3 + rng.below(8));
    const other = structuredClone(plan);
    for (let i = rng.below(3); i >= 0; i--) changeHow(other, rng);
    const lines = body(tame(randomTopologyLines(rng, 60)));
    const [was, now] = [valuesOf(plan, lines), valuesOf(other, lines)];
    const [before, after] = [hashes(plan), hashes(other)];
    for (const [name, hash] of Object.entries(before)) {
      if (after[name] !== hash) continue;
      const [column] = name.split(' ');
      expect([name, now.get(column!)]).toEqual([name, was.get(column!)]);
      compared.same++;
    }
  });

  test('has the same values, whatever becomes of events of types that it does not stand on', () => {
    const rng = new Random(seed + 3000);
    const plan = randomTopology(rng, 3 + rng.below(8));
    const gone = rng.pick(plan.events).name;
    const lines = tame(randomTopologyLines(rng, 60));
    const rest = lines.filter(line => !new TextDecoder().decode(line).includes(`"type":"${gone}"`));
    const [was, now] = [valuesOf(plan, body(lines)), valuesOf(plan, body(rest))];
    const bare = (values: [number, ...unknown[]][] = []) => values.map(([_position, ...value]) => value);
    for (const { column, identity } of givenOut(plan)) {
      if (identity.events.includes(gone)) continue;
      expect([column, bare(now.get(column))]).toEqual([column, bare(was.get(column))]);
      compared.others++;
    }
  });
});

/** What the tests above had to compare: a reject of an event's input may leave nothing. */
const compared = { same: 0, others: 0 };

test('most of them have had something to compare', () => {
  expect(Math.min(compared.same, compared.others)).toBeGreaterThan(SEEDS.length);
});

/** Anything that may change values or may not. */
function changeHow(plan: Plan, rng: Random): void {
  const aggregate = plan.aggregates.length > 0 ? rng.pick(plan.aggregates) : null;
  switch (rng.below(5)) {
    case 0:
      plan.latenessMs = rng.pick([0, 60_000, 2 * 86_400_000]);
      break;
    case 1:
      if (aggregate) aggregate.tiles = { ...aggregate.tiles, levelsMs: [1, 1000, 60_000, 3_600_000] };
      break;
    case 2:
      if (aggregate) aggregate.tiles = { ...aggregate.tiles, offsetMs: 7_000 };
      break;
    case 3:
      if (aggregate) aggregate.entity = 'user';
      break;
    default:
      changeOne(plan, rng);
  }
}

/** By `event.column`, what the oracle says at each position. */
function valuesOf(plan: Plan, lines: Uint8Array): Map<string, [number, ...unknown[]][]> {
  const log = parseLog(lines, plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const values = new Map<string, [number, ...unknown[]][]>();
  for (const { position, type } of log.records) {
    const [row, errors] = [eventRow(plan, log, position), eventErrors(plan, log, position)];
    for (const name of Object.keys(row ?? {})) {
      const column = `${type}.${name}`;
      values.set(column, [...(values.get(column) ?? []), [position, row![name], errors![name] ?? null]]);
    }
  }
  return values;
}
