/** The page of functions of topologies: it is as the tables make it, and every example comes out. */
import { describe, expect, test } from 'bun:test';
import { scowlFunctionsPage } from '../../scripts/scowl.ts';
import { faultLine } from '../../src/base/fault.ts';
import { formatMicros } from '../../src/base/time.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { FUNCTIONS } from '../../src/compile/scowl/library.ts';
import type { Type, Value } from '../../src/plan/value.ts';
import { parseLog } from '../oracle/log.ts';
import { eventErrors, eventRow } from '../oracle/naive.ts';

/** As the page writes values. */
function shown(value: Value, type: Type): string {
  if (value === null) return 'null';
  if (type.kind === 'time') return formatMicros(value as bigint);
  if (type.kind === 'double') return Number.isInteger(value) ? `${value}.0` : String(value);
  return type.kind === 'string' ? `'${value}'` : String(value);
}

/** What an expression is for an event of the year 2001. */
async function resultOf(scowl: string): Promise<string> {
  const text = `event e\nid := $.id as int\nx := ${scowl}\n`;
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text }], { latenessMs: 0 });
  expect(faults.map(faultLine)).toEqual([]);
  const log = parseLog('{"type":"e","time":"2001-01-01T00:00:00Z","data":{"id":1}}', plan, {
    ...{ clock: 'event', maxJumpMs: 1 },
  });
  const { type } = plan.events[0]!.columns.find(({ name }) => name === 'x')!.expression;
  const error = eventErrors(plan, log, 0)!.x;
  return shown(eventRow(plan, log, 0)!.x!, type) + (error === undefined ? '' : `, error: ${error}`);
}

describe('the page of functions', () => {
  test('is as the tables make it', async () => {
    const page = await Bun.file(new URL('../../docs/scowl_functions.md', import.meta.url)).text();
    expect(page).toBe(scowlFunctionsPage());
  });

  test.each(FUNCTIONS.map(fn => [fn.name, fn] as const))('%s', async (_, { examples }) => {
    expect(examples.length).toBeGreaterThan(0);
    for (const [scowl, value] of examples) expect([scowl, await resultOf(scowl)]).toEqual([scowl, value]);
  });
});
