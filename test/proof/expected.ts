/** What the oracle answers at the end of a trial, as JSON for people to read. */
import { formatMicros } from '../../src/base/time.ts';
import type { Value } from '../../src/plan/value.ts';
import { now, value } from '../oracle/naive.ts';
import { compileTrial, Judge, type Trial } from './trial.ts';

export async function expectedOf(trial: Trial): Promise<string> {
  const plan = await compileTrial(trial);
  const { log, keys } = new Judge(trial, plan);
  const p = log.records.length - 1;
  const t = now(log, p);
  const entities = [...keys].map(([entity, of]) => ({
    entity,
    answers: of.map(key => ({
      key,
      ...Object.fromEntries(
        plan.features
          .filter(feature => feature.entity === entity)
          .map(({ name }) => [name, shown(value(plan, log, name, key, p, t))]),
      ),
    })),
  }));
  return `${JSON.stringify({ position: p, time: p < 0 ? null : formatMicros(t), entities }, exactly, 2)}\n`;
}

function shown({ value: of, status }: { value: Value; status: string | null }): unknown {
  return status === null ? of : { value: of, status };
}

/** No digit is lost, and no sign of a zero. */
function exactly(_name: string, of: unknown): unknown {
  if (typeof of === 'bigint') return String(of);
  return typeof of === 'number' && (!Number.isFinite(of) || Object.is(of, -0))
    ? `double ${Object.is(of, -0) ? '-0' : of}`
    : of;
}
