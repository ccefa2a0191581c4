/** ClickHouse's dialect against ClickHouse itself: clickhouse.json beside this is what it answered, by `bun scripts/clickhouse.ts`. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { AGGREGATES, DIFFERS, FAILING, SAME } from '../../scripts/clickhouse.ts';
import type { Answer } from '../../scripts/dialect_rows.ts';
import { Faults } from '../../src/base/fault.ts';
import { DIALECTS } from '../../src/compile/dialects.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import { compile, type Row } from '../kernel/evaluate.ts';
import { besideAnswer, COLUMNS, rows, unasked } from './answered.ts';

const CLICKHOUSE = DIALECTS.clickhouse!;

const answers = new Map<string, Answer>();
let kernel: Kernel;

beforeAll(async () => {
  for (const answer of await Bun.file(join(import.meta.dir, 'clickhouse.json')).json()) answers.set(answer.sql, answer);
  kernel = await loadKernel();
});

/** Lists are never null there. */
const ASKED: Row[] = rows.map(row => ({ ...row, l: row.l ?? [] }));

/** 1970-01-05: before it weeks begin in 1969. */
const MONDAY = 4n * 86_400_000_000n;

/** Its Date and DateTime begin in 1970, and toInt64 beyond int64 is what the processor makes of it: docs/definitions.md says so. */
const UNLIKE: [RegExp, (row: Row) => boolean][] = [
  [/^to(StartOf|Date|Monday)|^date_?trunc/i, ({ t }) => typeof t === 'bigint' && t < MONDAY],
  [/^toInt64\(x\)|Nullable\(Int64\)/, ({ x }) => Math.abs(Number(x)) >= 2 ** 63],
];

describe('as ClickHouse answers', () => {
  test.each(SAME)('%s', async sql => {
    const isAlike = (row: Row) => !UNLIKE.some(([of, isUnlike]) => of.test(sql) && isUnlike(row));
    const { found, wanted } = await besideAnswer(kernel, CLICKHOUSE, answers.get(sql)!, ASKED, isAlike);
    expect(found).toEqual(wanted);
  });
  test.each(FAILING)('null where there is an error: %s', async sql => {
    expect(answers.get(sql)!.error).toMatch(/^Code: (153|349)/);
    const isNull = (row: Row) => row.i === null || !sql.startsWith('CAST');
    const given = { sql, values: ASKED.map(() => null) };
    const { found, wanted } = await besideAnswer(kernel, CLICKHOUSE, given, ASKED, isNull);
    expect(found).toEqual(wanted);
  });
  test.each(AGGREGATES)('%s is %s', (theirs, standard) => {
    expect(answers.get(theirs)!.values).toEqual(answers.get(standard)!.values!);
  });
});

describe('what differs, or is not sure to be the same, is refused', () => {
  test.each(DIFFERS)('%s', async sql => {
    expect(answers.get(sql)!.values ?? answers.get(sql)!.error).toBeDefined();
    expect(await compile(sql, COLUMNS, CLICKHOUSE).catch(error => error)).toBeInstanceOf(Faults);
  });
});

test('every row of the table has been asked of ClickHouse, and the answers are of these questions', () => {
  const questions = [...SAME, ...DIFFERS, ...FAILING, ...AGGREGATES.flat()];
  expect([...answers.keys()]).toEqual([...new Set(questions), 'version()']);
  expect(unasked(CLICKHOUSE, [...SAME, ...AGGREGATES.flat()])).toEqual([]);
});
