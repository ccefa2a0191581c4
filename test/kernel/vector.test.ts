/** Averages of vectors with weights of +1 and -1, and as long as they may be: batch by batch what the oracle says. */
import { expect, test } from 'bun:test';
import { advance } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { makeColumn } from '../../src/kernel/feature_column.ts';
import { STATUS } from '../../src/kernel/window.ts';
import { DOUBLE, INT64, OPTIONAL, STRING, type Type } from '../../src/plan/value.ts';
import { answerKeys } from '../../src/read/answer.ts';
import { aggregate, column, feature, optional, plan, read } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { value } from '../oracle/naive.ts';
import { isSame, valueAt } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, layout, NEVER_MS } from './columns.ts';

const DOUBLES: Type = { kind: 'list', of: { type: DOUBLE, presence: OPTIONAL } };
const LENGTHS = [1, 2, 1024];

const key = [column('k', STRING)];
const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: key, sql: '', at: null };
const aggregates = LENGTHS.map(limit =>
  aggregate(`set:v${limit}`, 'e', key, 'vectorAvg', column('v', DOUBLES), {
    ...{ entity: 'k', type: DOUBLES, fn: { name: 'vectorAvg', args: [column('v', DOUBLES)], limit, params: [] } },
  }),
);
const weighted = plan({
  events: [eventType('e', [optional('k', STRING), optional('v', DOUBLES), optional('w', INT64)], column('w', INT64))],
  entities: [{ name: 'k', keys: [STRING], at: null }],
  aggregates,
  sets: [set],
  features: aggregates.map(of => feature(set, of.name.slice(4), read(of.name, of.type))),
});

function line(rng: Random): string {
  const number = () =>
    rng.pick(['0.1', '-0.0', '1e308', '-1e308', '1e-320', '3', '1e400', String(rng.below(1000) / 7)]);
  const length = rng.pick([...LENGTHS, 0, 3]);
  const items = Array.from({ length }, () => (rng.chance(0.2 / length) ? 'null' : number()));
  const v = rng.chance(0.1) ? 'null' : `[${items}]`;
  return `{"type":"e","time":1000,"data":{"k":"${rng.pick(['a', 'b'])}","v":${v},"w":${rng.pick([1, 1, -1])}}}`;
}

test.each([1, 2])('seed %p', async seed => {
  const rng = new Random(seed);
  const of = await layout(weighted);
  const pipeline = { layout: of, folds: [new Fold(of.kernel, null)] };
  const decoder = new Decoder(of.kernel, of.types);
  const answer = of.lookups.get('k')!;
  const lines = Array.from({ length: 160 }, () => line(rng));
  const statuses = new Set<string | null>();
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + rng.below(30));
    decoder.fill(bytesOf(lines.slice(from, to).join('\n')));
    while (decoder.next(from, null)) advance(pipeline);
    from = to;
    const log = parseLog(lines.slice(0, to).join('\n'), weighted, { clock: 'event', maxJumpMs: NEVER_MS });
    const features = [...answer.features.values()];
    const columns = features.map(({ feature: { name }, type }) => makeColumn({ name, type }, 2));
    answerKeys(of.kernel, answer, features, ['a', 'b'].map(bytesOf), 2_000_000_000n, false, null, columns);
    for (const column of columns)
      for (const [row, k] of ['a', 'b'].entries()) {
        const wanted = value(weighted, log, column.name, [k], log.records.length - 1, 2_000_000_000n);
        const status = STATUS[column.statuses[row]!]!;
        if (!isSame(valueAt(column, row), wanted.value) || status !== wanted.status)
          expect([to, column.name, k, valueAt(column, row), status]).toEqual([
            to,
            column.name,
            k,
            wanted.value,
            wanted.status,
          ]);
        statuses.add(status);
      }
  }
  expect(statuses.size).toBeGreaterThan(1);
});
