import { expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { diffPlans, isChanged } from '../../src/plan/diff.ts';
import type { Plan } from '../../src/plan/plan.ts';

async function planOf(text: string): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text }], { latenessMs: 0 });
  expect(faults).toEqual([]);
  return plan;
}

const BEFORE = `event login
email := $.email as string
ok := $.ok as bool
bad := not ok
event payment
email := $.email as string
n := Count<login>(by email where bad)
m := n + 1
a := 1.0 / n
b := IfError(a, 0)
c := 5
`;

/** `change name through` of each. */
async function changes(replaced: string, by: string): Promise<string[]> {
  const [before, after] = [await planOf(BEFORE), await planOf(BEFORE.replace(replaced, by))];
  const diff = diffPlans(before, after);
  expect(isChanged(diff)).toBe(diff.events.length > 0 || diff.aggregates.length > 0);
  return diff.events.map(({ change, name, through }) => [change, name, ...through].join(' '));
}

test('what is the same is no change, however it is written', async () => {
  expect(await changes('event login\n', '-- other\nevent login\n')).toEqual([]);
  expect(await changes('a := 1.0 / n\n', 'a := 1.0 /\n  n\n')).toEqual([]);
});

test('added, removed, redefined, and dirtied through features and aggregates', async () => {
  expect(await changes('c := 5\n', 'd := c\nc := 5\n')).toEqual(['added payment.d']);
  expect(await changes('c := 5\n', '')).toEqual(['removed payment.c']);
  expect(await changes('c := 5', 'c := 5.5')).toEqual(['redefined payment.c']);
  expect(await changes('m := n + 1', 'm := n + 2')).toEqual(['redefined payment.m']);
  expect(await changes('bad := not ok', 'bad := ok')).toEqual([
    'redefined login.bad',
    'dirtied payment.n login',
    'dirtied payment.m payment.n',
    'dirtied payment.a payment.n',
    'dirtied payment.b payment.a',
  ]);
  expect(await changes('email := $.email as string\nok', 'email := $.mail as string\nok')).toEqual([
    'redefined login.email',
    'dirtied payment.n login',
    'dirtied payment.m payment.n',
    'dirtied payment.a payment.n',
    'dirtied payment.b payment.a',
  ]);
});

test('everything is added where nothing was in force', async () => {
  const { events } = diffPlans(null, await planOf(BEFORE));
  expect(events.every(({ change }) => change === 'added')).toBe(true);
  expect(events).toHaveLength(9);
});
