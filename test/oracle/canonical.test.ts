import { describe, expect, test } from 'bun:test';
import { aggregateHash } from '../../src/plan/canonical.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { Aggregate, EventType, Plan } from '../../src/plan/plan.ts';
import { BOOL, INT64, STRING } from '../../src/plan/value.ts';
import { crewPlan } from './fixtures/crew.ts';
import { flightsPlan } from './fixtures/flights.ts';
import { riskPlan } from './fixtures/risk.ts';
import { aggregate, call, column, DAY_MS, literal } from './fixtures/spell.ts';

/** Of the last of a chain through three events: nearly everything in the plan is part of what it means. */
function changed(change: (plan: Plan) => void): string {
  const plan = unshared(riskPlan());
  const asked = named(plan, 'risky_spent');
  change(plan);
  return aggregateHash(asked, plan);
}

/** A copy in which nothing stands in two places, so that a change is made in one. */
function unshared<T>(node: T): T {
  if (Array.isArray(node)) return node.map(unshared) as T;
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(Object.entries(node).map(([name, child]) => [name, unshared(child)])) as T;
}

function event(plan: Plan, name: string): EventType {
  return plan.events.find(e => e.name === name)!;
}

function named(plan: Plan, name: string): Aggregate {
  return plan.aggregates.find(a => a.name === name)!;
}

/** Changes every object of a plan in place, from the top down. */
function everywhere(node: unknown, change: (object: Record<string, unknown>) => void): void {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) change(node as Record<string, unknown>);
  for (const child of Object.values(node)) everywhere(child, change);
}

function rename(plan: Plan, from: string, to: string): void {
  everywhere(plan, object => {
    for (const member of ['name', 'aggregate']) if (object[member] === from) object[member] = to;
  });
}

function readOf(expression: Expression) {
  if (expression.kind !== 'read') throw new Error('no read');
  return expression.read;
}

const hash = changed(() => {});

describe('a hash ignores', () => {
  test('names of aggregates, columns and inputs', () => {
    for (const name of ['resets', 'risky_logins', 'risky_spent', 'fails', 'risky', 'email', 'amount']) {
      expect([name, changed(plan => rename(plan, name, 'renamed'))]).toEqual([name, hash]);
    }
  });

  test('names of structs, and the order of their fields', () => {
    const hashOf = (change: (object: Record<string, unknown>) => void) => {
      const plan = unshared(crewPlan('reject'));
      plan.aggregates.push(aggregate('n', 'departure', [column('lead', STRING)], 'count', null));
      everywhere(plan, change);
      return aggregateHash(plan.aggregates[0]!, plan);
    };
    const plain = hashOf(() => {});
    const renamed = hashOf(object => {
      if (object.kind === 'struct') object.name = 'person';
    });
    const reversed = hashOf(object => {
      if (object.kind === 'struct') object.fields = (object.fields as unknown[]).toReversed();
    });
    const refitted = hashOf(object => {
      if (object.kind === 'struct') object.fields = (object.fields as unknown[]).slice(0, 1);
    });
    expect([renamed, reversed]).toEqual([plain, plain]);
    expect(refitted).not.toBe(plain);
  });

  test('places in files', () => {
    const at = { file: 'a.yaml', line: 3, column: 5, length: 2 };
    const placed = changed(plan =>
      everywhere(plan, object => {
        if ('at' in object) object.at = at;
      }),
    );
    expect(placed).toBe(hash);
  });

  test('the order of events, inputs, columns and aggregates', () => {
    const reversed = changed(plan => {
      plan.events.reverse();
      plan.aggregates.reverse();
      for (const one of plan.events) {
        one.inputs.reverse();
        one.columns.reverse();
      }
    });
    expect(reversed).toBe(hash);
    const flights = flightsPlan();
    const turned = unshared(flightsPlan());
    for (const one of turned.events) one.inputs.reverse();
    expect(turned.aggregates.map(a => aggregateHash(a, turned))).toEqual(
      flights.aggregates.map(a => aggregateHash(a, flights)),
    );
  });

  test('what the aggregate does not depend on', () => {
    const others = changed(plan => {
      plan.aggregates.push(aggregate('more', 'reset', [column('email', STRING)], 'max', null));
      event(plan, 'payment').columns.push({ name: 'more', expression: literal(1n) });
      event(plan, 'login').inputs.push({ ...event(plan, 'login').inputs[0]!, name: 'more', path: ['more'] });
      plan.latenessMs = 5;
    });
    expect(others).toBe(hash);
  });
});

describe('a hash changes with', () => {
  const changes: [what: string, change: (plan: Plan) => void][] = [
    ['the function', plan => Object.assign(named(plan, 'risky_spent').fn, { name: 'avg' })],
    ['its argument', plan => Object.assign(named(plan, 'risky_spent').fn, { args: [literal(1n)] })],
    ['its limit', plan => Object.assign(named(plan, 'risky_spent').fn, { limit: 10 })],
    ['the event', plan => Object.assign(named(plan, 'resets'), { event: 'login' })],
    ['the entity', plan => Object.assign(named(plan, 'risky_spent'), { entity: 'user' })],
    ['the keys', plan => named(plan, 'risky_spent').keys.push(column('amount', INT64))],
    ['the tiles', plan => Object.assign(named(plan, 'risky_spent'), { tiles: { levelsMs: [DAY_MS], offsetMs: 0 } })],
    ['no condition', plan => Object.assign(named(plan, 'risky_spent'), { where: null })],
    [
      'a literal in the condition of what it reads',
      plan =>
        Object.assign(named(plan, 'risky_logins'), {
          where: call('greater', BOOL, column('fails', INT64), literal(3n)),
        }),
    ],
    [
      'the type of that literal',
      plan =>
        Object.assign(named(plan, 'risky_logins'), {
          where: call('greater', BOOL, column('fails', INT64), literal(2)),
        }),
    ],
    [
      'the window of a read',
      plan =>
        Object.assign(readOf(event(plan, 'login').columns[0]!.expression), {
          window: { kind: 'exact', lengthMs: DAY_MS, resolutionMs: 1 },
        }),
    ],
    ['exclusive', plan => Object.assign(readOf(event(plan, 'login').columns[0]!.expression), { exclusive: true })],
    [
      'after',
      plan => Object.assign(readOf(event(plan, 'login').columns[0]!.expression), { after: column('email', STRING) }),
    ],
    ['the path of an input', plan => Object.assign(event(plan, 'reset').inputs[0]!, { path: ['mail'] })],
    ['the type of an input', plan => Object.assign(event(plan, 'payment').inputs[1]!, { type: STRING })],
    [
      'the default of an input',
      plan => Object.assign(event(plan, 'payment').inputs[1]!, { presence: { kind: 'default', value: 1n } }),
    ],
    ['what a faulty input does', plan => Object.assign(event(plan, 'payment'), { onFault: 'reject' })],
    ['the weight', plan => Object.assign(event(plan, 'payment'), { weight: literal(-1n) })],
  ];

  test.each(changes)('%s', (_what, change) => {
    expect(changed(change)).not.toBe(hash);
  });

  test('an input that only can make events bad', () => {
    const [plain, more] = [flightsPlan(), unshared(flightsPlan())];
    more.events[0]!.inputs.push({ ...more.events[0]!.inputs[0]!, name: 'carrier', path: ['carrier'] });
    expect(aggregateHash(more.aggregates[0]!, more)).not.toBe(aggregateHash(plain.aggregates[0]!, plain));
  });

  test('all of these in different ways', () => {
    expect(new Set(changes.map(([, change]) => changed(change))).size).toBe(changes.length);
  });
});
