/** What definitions change of others: by meaning, with the way from what is dirtied to what was redefined. */
import { describe, expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { changesOf, type DefinitionChange } from '../../src/plan/changes.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { Random } from '../sim/random.ts';
import { randomTopology } from '../sim/topologies.ts';
import { changeOne, reachedFrom } from './changing.ts';

async function planOf(text: string): Promise<Plan> {
  const file = text.includes(':=') ? 'a.scowl' : 'a.yaml';
  const { plan, faults } = await compileSources([{ file, text }], { latenessMs: 3_600_000 });
  expect(faults.map(({ message }) => message)).toEqual([]);
  return plan;
}

const TOPOLOGY = `event login
user := $.user as string
country := $.country as string
ok := $.ok as bool
odd := country != "se"
event payment
user := $.user as string
logins_1h := Count<login>(by user where odd last hour)
risk := logins_1h > 3
score := IfError(1.0 / logins_1h, 0.0)
flat := 5
`;

/** `change name`, and what is said of it. */
function said({ change, name, was, chain, description, descriptionWas }: DefinitionChange): string {
  const more = {
    renamed: [`was ${was}`],
    redefined: [`${descriptionWas} -> ${description}`],
    dirtied: [chain.join(' <- ')],
  };
  return [`${change} ${name}`, ...(more[change as keyof typeof more] ?? [])].join(': ');
}

async function features(before: string, after: string): Promise<string[]> {
  return changesOf(await planOf(before), await planOf(after)).features.map(said);
}

describe('of a topology', () => {
  test('the same, however it is written, is no change', async () => {
    const moved = TOPOLOGY.replace('flat := 5\n', '').replace('risk :=', '-- why\nflat :=\n  5\nrisk :=');
    expect(changesOf(await planOf(TOPOLOGY), await planOf(moved))).toEqual({ events: [], features: [] });
  });

  test('added, deleted, renamed', async () => {
    expect(await features(TOPOLOGY, `${TOPOLOGY}more := flat\n`)).toEqual(['added payment.more']);
    expect(await features(TOPOLOGY, TOPOLOGY.replace('flat := 5\n', ''))).toEqual(['deleted payment.flat']);
    expect(await features(TOPOLOGY, TOPOLOGY.replaceAll('odd', 'foreign'))).toEqual([
      'renamed login.foreign: was login.odd',
    ]);
  });

  test('what stands on another definition is dirtied, through each step to it', async () => {
    expect(await features(TOPOLOGY, TOPOLOGY.replace('"se"', '"no"'))).toEqual([
      'redefined login.odd: country != "se" -> country != "no"',
      'dirtied payment.logins_1h: payment.logins_1h <- login.odd',
      'dirtied payment.risk: payment.risk <- payment.logins_1h <- login.odd',
      'dirtied payment.score: payment.score <- payment.logins_1h <- login.odd',
    ]);
  });

  test('an input is its path and its type', async () => {
    const after = await planOf(TOPOLOGY.replace('$.country as string', '$.land as string'));
    const { events, features } = changesOf(await planOf(TOPOLOGY), after);
    expect(events).toEqual([
      { change: 'redefined', name: 'login', what: ['input country: string from land, was country: string'] },
    ]);
    expect(features.map(({ change, name }) => `${change} ${name}`)).toEqual([
      'redefined login.country',
      'dirtied login.odd',
      'dirtied payment.logins_1h',
      'dirtied payment.risk',
      'dirtied payment.score',
    ]);
    expect(features.at(-1)!.chain).toEqual(['payment.score', 'payment.logins_1h', 'login.odd', 'login.country']);
  });

  test('the error that a feature stands on dirties it too, under its own name', async () => {
    const before = `event e\nx := $.x as int\na := 1 / x\nb := IfError(a, 0.0)\n`;
    expect(await features(before, before.replace('1 / x', '2 / x'))).toEqual([
      'redefined e.a: 1 / x -> 2 / x',
      'dirtied e.b: e.b <- e.a',
    ]);
  });

  test('event types come and go', async () => {
    const [before, after] = [TOPOLOGY, TOPOLOGY.concat('event reset\nuser := $.user as string\n')];
    const added = changesOf(await planOf(before), await planOf(after));
    expect(added.events).toEqual([{ change: 'added', name: 'reset', what: ['user: string'] }]);
    expect(added.features.map(said)).toEqual(['added reset.user']);
    expect(changesOf(await planOf(after), await planOf(before)).events).toEqual([
      { change: 'deleted', name: 'reset', what: [] },
    ]);
  });
});

const SET = `events:
  flight: { origin: string, delay: int64, way: string }
entities: { origin: string }
---
feature_set: delays
entity: origin
source: flight
windows: [1h, lifetime]
sql: SELECT origin, SUM(delay) AS d, COUNT(*) AS n FROM flight GROUP BY origin
derive: { mean: d_1h / n_1h }
`;

describe('of a feature set', () => {
  test('what is derived of a redefined one is dirtied', async () => {
    expect(await features(SET, SET.replace('SUM(delay)', 'SUM(delay + 1)'))).toEqual([
      'redefined delays:d_1h: SUM(delay) over 1h -> SUM(delay + 1) over 1h',
      'redefined delays:d_lifetime: SUM(delay) over lifetime -> SUM(delay + 1) over lifetime',
      'dirtied delays:mean: delays:mean <- delays:d_1h',
    ]);
  });

  test('what makes an event bad dirties all that counts it', async () => {
    const { events, features } = changesOf(await planOf(SET), await planOf(SET.replace('way: string', 'way: int64')));
    expect(events).toEqual([{ change: 'redefined', name: 'flight', what: ['input way: int64, was way: string'] }]);
    expect(features.map(({ chain }) => chain.join(' <- '))).toEqual([
      'delays:d_1h <- event flight',
      'delays:d_lifetime <- event flight',
      'delays:n_1h <- event flight',
      'delays:n_lifetime <- event flight',
      'delays:mean <- delays:d_1h <- event flight',
    ]);
  });

  test('how late an event may be dirties what reads windows', async () => {
    const before = await planOf(SET);
    expect(changesOf(before, { ...before, latenessMs: 0 }).features.map(said)).toEqual([
      'dirtied delays:d_1h: delays:d_1h <- lateness',
      'dirtied delays:n_1h: delays:n_1h <- lateness',
      'dirtied delays:mean: delays:mean <- delays:d_1h <- lateness',
    ]);
  });
});

const SEEDS = Array.from({ length: process.env.TILEFOLD_LONG ? 300 : 15 }, (_, i) => i + 1);

test.each(SEEDS)('a random topology with one other definition, seed %d', seed => {
  const rng = new Random(seed);
  const plan = randomTopology(rng, 3 + rng.below(12));
  const other = structuredClone(plan);
  const changed = changeOne(other, rng);
  const { features } = changesOf(plan, other);
  const reached = reachedFrom(changed, plan);
  const given = plan.events.flatMap(({ name, features = [] }) =>
    features
      .filter(({ column, error }) => {
        const wrong = error?.kind === 'column' ? [`${name}.${error.name}`] : [];
        return [`${name}.${column}`, ...wrong].some(part => reached.has(part));
      })
      .map(({ column }) => `${name}.${column}`),
  );
  expect(features.map(({ name }) => name).sort()).toEqual(given.sort());
  for (const { name, change, chain } of features) {
    // An aggregate has no name of its own: what reads it is redefined with it.
    if (name === changed) expect([name, change]).toEqual([name, 'redefined']);
    if (change !== 'dirtied') continue;
    expect(chain[0]).toBe(name);
    const end = chain.at(-1)!;
    expect(end.startsWith('event ') || features.some(one => one.name === end && one.change === 'redefined')).toBe(true);
  }
});
