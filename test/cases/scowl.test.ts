import type { Plan } from '../../src/plan/plan.ts';
import { parseLog } from '../oracle/log.ts';
import { eventErrors, eventRow } from '../oracle/naive.ts';
import { conformanceSuite, type EventAnswer } from './conformance.ts';

const OPTIONS = { clock: 'event', maxJumpMs: 31 * 86_400_000 } as const;

/** As the oracle answers: event by event, from the whole log before it. */
function byOracle(plan: Plan, ndjson: string): EventAnswer[] {
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

conformanceSuite('the oracle', byOracle);
