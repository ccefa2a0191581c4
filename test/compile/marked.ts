import { expect } from 'bun:test';
import type { Fault } from '../../src/base/fault.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { typeName } from '../../src/plan/value.ts';
import { windowText } from '../../src/plan/window.ts';

/** Definitions for tests, written with the faults that are expected in them: «this part» is what one is about. */

export const FLIGHT = `events:
  flight:
    origin: string
    destination: string
    delay: { type: int64, optional: true }
    distance: { type: int64, default: 0 }
    ok: bool
    landed: time
entities:
  origin: string
  route: [string, string]
`;

/** A feature set over flights with one window. */
export function setOf(sql: string, more = ''): string {
  const indented = sql.replaceAll('\n', '\n  ');
  return `feature_set: s\nentity: origin\nsource: flight\nwindows: [2h]\n${more}sql: |\n  ${indented}\n`;
}

/** SELECT of these items by origin. */
export function selectOf(items: string): string {
  return `SELECT origin, ${items} FROM flight GROUP BY origin`;
}

export async function planOf(...texts: string[]): Promise<Plan> {
  const files = texts.map((text, i) => ({ file: `${i}.yaml`, text }));
  const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
  expect(faults.map(lineOf)).toEqual([]);
  return plan;
}

/** Faults as `file:line:column+length: text`. */
export async function faultsOf(...texts: string[]): Promise<string[]> {
  const files = texts.map((text, i) => ({ file: `${i}.yaml`, text }));
  return (await compileSources(files, { latenessMs: 0 })).faults.map(lineOf);
}

export function lineOf({ at, message }: Fault): string {
  return `${at?.file}:${at?.line}:${at?.column}+${at?.length}: ${message}`;
}

/** Takes the marks out of a text and puts one message to each place that they marked. */
export function unmark(file: string, marked: string, messages: string[]): { text: string; expected: string[] } {
  let text = '';
  const expected: string[] = [];
  for (const [i, part] of marked.split(/[«»]/).entries()) {
    if (i % 2 === 1) {
      const lines = text.split('\n');
      const place = `${file}:${lines.length}:${lines.at(-1)!.length + 1}+${Math.max(1, part.length)}`;
      expected.push(`${place}: ${messages[expected.length]}`);
    }
    text += part;
  }
  expect(expected.length).toBe(messages.length);
  return { text, expected };
}

/** Are these the faults of a feature set, in this order, at these places, and no others? */
export async function expectSetFaults(marked: string, messages: string[]): Promise<void> {
  const { text, expected } = unmark('1.yaml', marked, messages);
  expect(await faultsOf(FLIGHT, text)).toEqual(expected);
}

/** An expression in one line: `sum(delay) over 2h` is `[s:sum 7200000/60000]`. */
export function show(expression: Expression): string {
  switch (expression.kind) {
    case 'literal': {
      const { value, type } = expression;
      if (typeof value === 'bigint') return type.kind === 'time' ? `${value}us` : `${value}`;
      if (Array.isArray(value) && type.kind === 'list')
        return `[${value.map(one => show({ kind: 'literal', value: one, type: type.of.type, at: null })).join(', ')}]`;
      return value === null ? `null:${type.kind}` : typeof value === 'number' ? `${value}d` : JSON.stringify(value);
    }
    case 'column':
      return expression.name;
    case 'now':
      return 'now';
    case 'call':
      return `${expression.fn}(${expression.args.map(show).join(', ')})`;
    case 'read': {
      const { aggregate, window } = expression.read;
      return `[${aggregate} ${window.kind === 'sliding' ? `${window.lengthMs}/${window.resolutionMs}` : windowText(window)}]`;
    }
    case 'field':
      return `${show(expression.of)}.${expression.name}`;
    case 'index':
      return `${show(expression.of)}[${show(expression.by)}]`;
    case 'fault':
      return `fault(${show(expression.of)})`;
  }
}

/** Stored aggregates as `name = fn(args) where condition: type`. */
export function showAggregates(plan: Plan): string[] {
  return plan.aggregates.map(({ name, fn, where, type }) => {
    const condition = where ? ` where ${show(where)}` : '';
    const args = [...fn.args.map(show), ...(fn.limit === null ? [] : [fn.limit]), ...fn.params];
    return `${name} = ${fn.name}(${args.join(', ')})${condition}: ${typeName(type)}`;
  });
}

export function showFeatures(plan: Plan): string[] {
  return plan.features.map(({ name, expression }) => `${name} = ${show(expression)}: ${expression.type.kind}`);
}
