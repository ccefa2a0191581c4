/** Flink's dialect against Flink itself: flink.json beside this is what Flink 2.1.1 answered, by `bun scripts/flink.ts`. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Answer } from '../../scripts/dialect_rows.ts';
import { AGGREGATES, DIFFERS, FAILING, SAME } from '../../scripts/flink.ts';
import { Faults } from '../../src/base/fault.ts';
import { DIALECTS } from '../../src/compile/dialects.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import { compile, evaluateAll, type Row } from '../kernel/evaluate.ts';
import { besideAnswer, COLUMNS, rows, unasked } from './answered.ts';

const FLINK = DIALECTS.flink!;

const answers = new Map<string, Answer>();
let kernel: Kernel;

beforeAll(async () => {
  for (const answer of await Bun.file(join(import.meta.dir, 'flink.json')).json()) answers.set(answer.sql, answer);
  kernel = await loadKernel();
});

/** Before 1970 Flink 2.1 has no calendar: the hour of 1900-03-01 00:00:00.5 is -23 there. docs/definitions.md says so. */
const CALENDAR = /^(EXTRACT|YEAR|QUARTER|MONTH|WEEK|DAYOF\w+|HOUR|MINUTE|SECOND)\(|^FLOOR\(t TO/;

function isBefore1970({ t }: Row): boolean {
  return typeof t === 'bigint' && t < 0n;
}

describe('as Flink answers', () => {
  test.each(SAME)('%s', async sql => {
    const isAlike = (row: Row) => !CALENDAR.test(sql) || !isBefore1970(row);
    const { found, wanted } = await besideAnswer(kernel, FLINK, answers.get(sql)!, rows, isAlike);
    expect(found).toEqual(wanted);
  });
  test.each(FAILING)('null where there is an error: %s', async sql => {
    expect(answers.get(sql)!.error).toContain('ArithmeticException');
    const [found] = evaluateAll(kernel, [await compile(sql, COLUMNS, FLINK)], COLUMNS, rows.slice(0, 1));
    expect(found!).toEqual([null]);
  });
});

describe('what differs, or is not sure to be the same, is refused', () => {
  test.each(DIFFERS)('%s', async sql => {
    expect(answers.get(sql)!.values ?? answers.get(sql)!.error).toBeDefined();
    expect(await compile(sql, COLUMNS, FLINK).catch(error => error)).toBeInstanceOf(Faults);
  });
  test('means and variances of whole numbers are whole', () => {
    const types = ['AVG(i)', 'AVG(j)', 'VAR_POP(j)', 'STDDEV_SAMP(j)'].map(sql => answers.get(sql)!.type);
    expect(new Set(types)).toEqual(new Set(['BIGINT']));
    expect(answers.get('AVG(CAST(j AS DOUBLE))')!.type).toBe('DOUBLE');
  });
});

test('every row of the table has been asked of Flink, and the answers are of these questions', () => {
  expect([...answers.keys()]).toEqual([...SAME, ...DIFFERS, ...AGGREGATES, ...FAILING]);
  expect(unasked(FLINK, SAME)).toEqual([]);
});
