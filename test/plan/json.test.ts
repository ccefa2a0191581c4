/** A plan that was written as JSON is read back as it was, whatever is in it. */
import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileFolder, compileSources } from '../../src/compile/compile.ts';
import { planHash } from '../../src/plan/canonical.ts';
import type { Expression } from '../../src/plan/expression.ts';
import { planJson, readPlan } from '../../src/plan/json.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Type, Value } from '../../src/plan/value.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, REQUIRED, STRING, TIME } from '../../src/plan/value.ts';
import { crewPlan } from '../oracle/fixtures/crew.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { riskPlan } from '../oracle/fixtures/risk.ts';

const ROOT = join(import.meta.dir, '../..');
const DIFFS = join(import.meta.dir, 'diff');
const FOLDERS = [
  join(ROOT, 'examples/flights/features'),
  join(ROOT, 'scripts/bench/features/serving'),
  join(ROOT, 'scripts/bench/features/tiles'),
  ...readdirSync(DIFFS).map(name => join(DIFFS, name, 'after')),
];

function expectSame(plan: Plan): void {
  const read = readPlan(planJson(plan));
  expect(read).toEqual(plan);
  expect(planJson(read)).toBe(planJson(plan));
}

describe('as it was', () => {
  test.each(FOLDERS)('%s', async folder => {
    const plan = await compileFolder(folder, { latenessMs: 3_600_000 });
    expectSame(plan);
    expect(planHash(readPlan(planJson(plan)))).toBe(planHash(plan));
  });

  test('params of aggregates, and the lists that they count by', async () => {
    const text = `events:
  e: { who: string, x: double? }
entities: { who: string }
---
feature_set: f
entity: who
source: e
windows: [2h]
sql: |
  SELECT who, HISTOGRAM(x) AS h, BUCKET_COUNTS(x, [-0.5, 0, 1e300]) AS b, APPROX_QUANTILE(x, [0, 0.5], 0.02) AS q,
         TOP_K(x, 3, 20) AS t, DECAYED_AVG(x, '1h') AS d
  FROM e GROUP BY who
`;
    const { plan, faults } = await compileSources([{ file: 'f.yaml', text }], { latenessMs: 3_600_000 });
    expect(faults).toEqual([]);
    expectSame(plan);
    expect(planHash(readPlan(planJson(plan)))).toBe(planHash(plan));
  });

  test('plans that nobody compiles yet', () => {
    for (const plan of [crewPlan('convert'), flightsPlan(), riskPlan()]) expectSame(plan);
  });

  const LIST: Type = { kind: 'list', of: { type: INT64, presence: OPTIONAL } };
  const MAP: Type = { kind: 'map', key: STRING, of: { type: DOUBLE, presence: REQUIRED } };
  const STRUCT: Type = {
    kind: 'struct',
    name: null,
    fields: [
      { name: 'kind', type: STRING, presence: REQUIRED, path: ['kind'] },
      { name: 'type', type: INT64, presence: REQUIRED, path: ['type'] },
      { name: 'presence', type: LIST, presence: REQUIRED, path: ['presence'] },
    ],
  };
  const values: [Type, Value][] = [
    [INT64, 1n],
    [INT64, -(2n ** 63n)],
    [TIME, 9_007_199_254_740_993n],
    [DOUBLE, 1],
    [DOUBLE, -0],
    [DOUBLE, 5e-324],
    [DOUBLE, Number.POSITIVE_INFINITY],
    [DOUBLE, Number.NEGATIVE_INFINITY],
    [DOUBLE, Number.NaN],
    [STRING, '1n'],
    [STRING, '-0'],
    [STRING, 'NaN'],
    [STRING, '\ud800 \u2028'],
    [BOOL, true],
    [BOOL, null],
    [LIST, [1n, null]],
    [MAP, { literal: -0, constructor: 1 }],
    [STRUCT, { kind: 'literal', type: 5n, presence: [2n] }],
  ];

  test.each(values)('%p %p as a literal and as a default', (type, value) => {
    const plan = flightsPlan();
    const literal: Expression = { kind: 'literal', type, value, at: null };
    plan.aggregates[0]!.where = { kind: 'call', fn: 'isNull', args: [literal], type: BOOL, at: null };
    plan.events[0]!.inputs.push({ name: 'more', path: ['more'], type, presence: { kind: 'default', value } });
    const read = readPlan(planJson(plan));
    const { where } = read.aggregates[0]!;
    const [back] = where?.kind === 'call' ? where.args : [];
    expect(back).toEqual(literal);
    expect(read.events[0]!.inputs.at(-1)!.presence).toEqual({ kind: 'default', value });
    expectSame(plan);
  });
});

test.each([
  '',
  'null',
  '[]',
  '{}',
  '{"events":[],"entities":[],"aggregates":[],"sets":[],"features":{},"latenessMs":1}',
  '{"events":[],"entities":[],"aggregates":[],"sets":[],"features":[{}],"latenessMs":1}',
  '{"events":[],"entities":[],"aggregates":[{"name":"a","where":{"kind":"literal","type":{"kind":"int64"},"value":1}}],"sets":[],"features":[],"latenessMs":1}',
  '{"events":[],"entities":[],"aggregates":[{"name":"a","where":{"kind":"literal","type":{"kind":"double"},"value":"one"}}],"sets":[],"features":[],"latenessMs":1}',
])('%s is no plan', text => {
  expect(() => readPlan(text)).toThrow('the plan in the database cannot be read: ');
});
