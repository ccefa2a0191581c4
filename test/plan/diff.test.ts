/**
 * One folder of `diff/` is one case: definitions `before/` (none: nothing was in force) and `after/`, what of `lateness`
 * their `tilefold.yaml` says, and in `expected.txt` what `tilefold plan` says of them.
 */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseConfig } from '../../src/cli/config.ts';
import { planText } from '../../src/cli/plan.ts';
import { compileSources, readSources } from '../../src/compile/compile.ts';
import { formatFaults } from '../../src/compile/listing.ts';
import { diffPlans, isChanged } from '../../src/plan/diff.ts';
import { ALL_KNOWN } from '../../src/plan/known.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { transition } from '../../src/plan/transition.ts';
import { column } from '../oracle/fixtures/spell.ts';

const CASES = join(import.meta.dir, 'diff');

async function planOf(folder: string): Promise<Plan> {
  const path = join(folder, 'tilefold.yaml');
  const config = parseConfig(path, existsSync(path) ? readFileSync(path, 'utf8') : '{}');
  const sources = await readSources(folder);
  const named = sources.map(({ file, text }) => ({ file: relative(CASES, join(process.cwd(), file)), text }));
  const { plan, faults } = await compileSources(named, config);
  expect(formatFaults(faults)).toBe('');
  return plan;
}

async function bothOf(name: string): Promise<{ before: Plan | null; after: Plan }> {
  const [before, after] = ['before', 'after'].map(side => join(CASES, name, side)) as [string, string];
  return { before: existsSync(before) ? await planOf(before) : null, after: await planOf(after) };
}

describe('what plan says of', () => {
  test.each(readdirSync(CASES))('%s', async name => {
    const { before, after } = await bothOf(name);
    const diff = diffPlans(before, after);
    const text = (file: string) => readFileSync(join(CASES, file), 'utf8');
    const said = [planText(diff, null), formatFaults(diff.refusals, text)].filter(part => part !== '').join('\n\n');
    const path = join(CASES, name, 'expected.txt');
    expect(`${said}\n`).toBe(existsSync(path) ? readFileSync(path, 'utf8') : '');
  });

  test.each(readdirSync(CASES))('%s, of aggregates: what apply does with them', async name => {
    const { before, after } = await bothOf(name);
    if (!before) return;
    const members = new Map(before.aggregates.map((one, i) => [one.name, { id: i + 1, known: ALL_KNOWN }]));
    const at = { position: 9, clocks: new Map(), nowMicros: 0n, aheadMs: 0 };
    const { added, redefined, removed, renamed } = transition({ plan: before, members }, after, at, 'since-now');
    const named = (change: string) =>
      diffPlans(before, after).aggregates.flatMap(one =>
        one.change === change ? (one.after ?? one.before)!.name : [],
      );
    expect([added, redefined, removed, renamed.map(({ to }) => to)]).toEqual(
      ['added', 'redefined', 'removed', 'renamed'].map(named),
    );
  });

  test.each(readdirSync(CASES))('%s, of itself: nothing', async name => {
    const { after } = await bothOf(name);
    const diff = diffPlans(after, after);
    expect([isChanged(diff), diff.refusals]).toEqual([false, []]);
  });
});

describe('refused are, in plans that no compiler made,', () => {
  const base = () => planOf(join(CASES, 'same', 'before'));

  test('features that read what would be removed', async () => {
    const [before, after] = [await base(), await base()];
    after.features = after.features.filter(({ name }) => name !== 'shops:n_1d');
    const [fault, ...others] = diffPlans(before, after).refusals;
    expect(others).toEqual([]);
    expect(fault!.message).toBe('shops:mean_1d reads shops:n_1d, which would be removed; did you mean "shops:n_1h"?');
    expect(fault!.at).toMatchObject({ file: 'same/before/shops.yaml', line: 18, column: 21 });
  });

  test('aggregates that cannot take back what is retracted', async () => {
    const [before, after] = [await base(), await base()];
    after.events[0]!.weight = column('till', after.events[0]!.inputs[1]!.type);
    expect(diffPlans(before, after).refusals).toEqual([]);
    Object.assign(after.aggregates[0]!.fn, { name: 'max' });
    const [fault] = diffPlans(before, after).refusals;
    expect(fault!.message).toMatch(/^shops:n is max, which cannot take back what sale retracts; .* count, sum, avg/);
    expect(fault!.at).toMatchObject({ line: 14, column: 16 });
    Object.assign(after.events[0]!, { weight: null, changelog: { kind: 'debezium', time: null } });
    expect(diffPlans(before, after).refusals.map(({ message }) => message)).toContain(fault!.message);
  });

  test('numbers that two meanings bear', async () => {
    const plan = await base();
    const one = { kind: 'aggregate', id: 7, name: 'shops:n', hash: 'a' };
    const others = [
      { ...one, kind: 'entity', hash: 'b' },
      { ...one, id: 8, hash: 'b' },
      { ...one, name: 'shops:renamed' },
    ];
    expect(diffPlans(plan, plan, [one, ...others]).refusals).toEqual([]);
    const { refusals } = diffPlans(plan, plan, [one, ...others, { ...one, name: 'shops:m', hash: 'c' }]);
    expect(refusals.map(({ message }) => message)).toEqual([
      expect.stringContaining('number 7 is that of aggregate shops:n and of shops:m, which mean different things'),
    ]);
  });
});
