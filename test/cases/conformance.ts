import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'bun:test';
import { faultLine } from '../../src/base/fault.ts';
import { formatMicros } from '../../src/base/time.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Type, Value } from '../../src/plan/value.ts';

/** A value that is JSON already, as this suite expects it. */
export class Shown {
  constructor(readonly json: unknown) {}
}

/** Of one event: the values of its features by name, and the errors of those that have one. Null where it is bad. */
export type EventAnswer = { features: { [name: string]: Value | Shown }; errors: { [name: string]: string } } | null;

/** What is judged: the answers to the events of a log, in their order. */
export type Evaluate = (plan: Plan, ndjson: string) => EventAnswer[] | Promise<EventAnswer[]>;

/**
 * A test for each folder in `test/cases/scowl`: `topology.scowl` (and whatever else it has of definitions),
 * `events.ndjson`, and in `expected.ndjson` what each event is answered with, written by hand.
 */
export function conformanceSuite(name: string, evaluate: Evaluate): void {
  for (const folder of conformanceCases())
    test(`${name}: ${folder}`, async () => {
      const plan = await casePlan(folder);
      const answers = await evaluate(plan, caseText(folder, 'events.ndjson'));
      const types = typesOf(plan);
      const events = linesOf(caseText(folder, 'events.ndjson')) as { type: string }[];
      const shown = answers.map((answer, i) => answer && shownAnswer(answer, types.get(events[i]!.type)!));
      expect(shown).toEqual(linesOf(caseText(folder, 'expected.ndjson')) as typeof shown);
    });
}

const CASES = join(import.meta.dir, 'scowl');

export function conformanceCases(): string[] {
  return readdirSync(CASES).sort();
}

export function caseText(folder: string, file: string): string {
  return readFileSync(join(CASES, folder, file), 'utf8');
}

export async function casePlan(folder: string): Promise<Plan> {
  const names = readdirSync(join(CASES, folder)).filter(file => /\.(scowl|yaml)$/.test(file));
  const files = names.map(file => ({ file, text: caseText(folder, file) }));
  const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
  expect(faults.map(faultLine)).toEqual([]);
  return plan;
}

function linesOf(ndjson: string): unknown[] {
  const lines = ndjson.split('\n').filter(line => line !== '');
  return lines.map(line => JSON.parse(line) as unknown);
}

/** Of each event type the types of its features. */
function typesOf(plan: Plan): Map<string, Map<string, Type>> {
  return new Map(
    plan.events.map(({ name, inputs, columns }) => [
      name,
      new Map([
        ...inputs.map(input => [input.name, input.type] as const),
        ...columns.map(column => [column.name, column.expression.type] as const),
      ]),
    ]),
  );
}

function shownAnswer({ features, errors }: NonNullable<EventAnswer>, types: Map<string, Type>) {
  const shown = Object.entries(features).map(([name, value]) => [
    name,
    value instanceof Shown ? value.json : shownValue(value, types.get(name)!),
  ]);
  return { features: Object.fromEntries(shown), errors };
}

/** As JSON has it: times as RFC 3339, whole numbers as numbers, which in these cases fit one. */
export function shownValue(value: Value, type: Type): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'time':
      return formatMicros(value as bigint);
    case 'int64':
      return Number(value as bigint);
    case 'double':
      return Number.isFinite(value) ? value : String(value);
    case 'list':
      return (value as Value[]).map(one => shownValue(one, type.of.type));
    case 'map':
      return shownMembers(value, () => type.of.type);
    case 'struct':
      return shownMembers(value, name => type.fields.find(field => field.name === name)!.type);
    default:
      return value;
  }
}

function shownMembers(value: Value, typeOf: (name: string) => Type): unknown {
  const members = Object.entries(value as { [name: string]: Value });
  return Object.fromEntries(members.map(([name, member]) => [name, shownValue(member, typeOf(name))]));
}
