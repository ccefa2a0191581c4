/** What events of topologies are answered with, by those who can say it. */
import type { FeatureColumn } from '../../src/kernel/feature_column.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { isScalar } from '../../src/plan/value.ts';
import { parseLog } from '../oracle/log.ts';
import { eventErrors, eventRow } from '../oracle/naive.ts';
import { valueAt } from '../sim/judge.ts';
import { replayed } from '../sim/replayed.ts';
import { type EventAnswer, Shown } from './conformance.ts';

const OPTIONS = { clock: 'event', maxJumpMs: 31 * 86_400_000 } as const;

/** As the oracle answers: event by event, from the whole log before it. */
export function byOracle(plan: Plan, ndjson: string): EventAnswer[] {
  const log = parseLog(ndjson, plan, OPTIONS);
  return log.records.map(({ position, type }) => {
    const row = eventRow(plan, log, position);
    const names = plan.events.find(event => event.name === type)?.features?.map(({ column }) => column) ?? [];
    if (!row) return null;
    return {
      features: Object.fromEntries(names.map(name => [name, row[name]!])),
      errors: eventErrors(plan, log, position)!,
    };
  });
}

/** As a replay answers: by the kernels. */
export async function byReplay(plan: Plan, ndjson: string): Promise<EventAnswer[]> {
  const lines = ndjson
    .trimEnd()
    .split('\n')
    .map(line => new TextEncoder().encode(line));
  const answers: EventAnswer[] = lines.map(() => null);
  for await (const { count, positions, types, columns, errors } of (await replayed(plan, lines)).batches)
    for (let i = 0; i < count; i++) {
      const own = columns.filter(({ name }) => name.startsWith(`${types[i]}.`));
      const features = own.map(column => [column.name.slice(types[i]!.length + 1), answered(column, i)]);
      const wrong = errors.filter(({ position }) => position === Number(positions[i]));
      const texts = wrong.map(({ feature, text }) => [feature.slice(types[i]!.length + 1), text]);
      answers[Number(positions[i])] = { features: Object.fromEntries(features), errors: Object.fromEntries(texts) };
    }
  return answers;
}

/** What is nested is text of JSON. */
function answered(column: FeatureColumn, row: number) {
  const value = valueAt(column, row);
  return !isScalar(column.type) && typeof value === 'string' ? new Shown(JSON.parse(value)) : value;
}
