/** Flink's dialect against Flink itself: flink.json beside this is what Flink 2.1.1 answered, by `bun scripts/flink.ts`. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { AGGREGATES, type Answer, DIFFERS, FAILING, ROWS, SAME } from '../../scripts/flink.ts';
import { Faults } from '../../src/base/fault.ts';
import { parseMicros } from '../../src/base/time.ts';
import { DIALECTS } from '../../src/compile/dialects.ts';
import { paramsOf } from '../../src/compile/spelling.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { compile, evaluateAll, type Row } from '../kernel/evaluate.ts';

const FLINK = DIALECTS.flink!;
const LIST: Type = { kind: 'list', of: { type: INT64, presence: OPTIONAL } };
const COLUMNS = {
  ...{ s: STRING, u: STRING, i: INT64, j: INT64, x: DOUBLE, y: DOUBLE },
  ...{ b: BOOL, c: BOOL, t: TIME, r: TIME, l: LIST },
};

const answers = new Map<string, Answer>();
let kernel: Kernel;

beforeAll(async () => {
  for (const answer of await Bun.file(join(import.meta.dir, 'flink.json')).json()) answers.set(answer.sql, answer);
  kernel = await loadKernel();
});

const rows: Row[] = ROWS.map(row => ({ ...row, t: microsOf(row.t), r: microsOf(row.r) }));

/** Flink leaves out seconds that are none. */
function microsOf(text: string | null): bigint | null {
  return text === null ? null : parseMicros(`${text.replace(' ', 'T').replace(/T\d\d:\d\d$/, '$&:00')}Z`);
}

/** A value as Flink writes it -> as the kernel has it. */
function read(text: string | null, { kind }: Type): Value {
  if (text === null || kind === 'string') return text;
  if (kind === 'bool') return text === 'true';
  if (kind === 'time') return microsOf(text);
  return kind === 'double' ? Number(text) : BigInt(text);
}

/** Before 1970 Flink 2.1 has no calendar: the hour of 1900-03-01 00:00:00.5 is -23 there. docs/definitions.md says so. */
const CALENDAR = /^(EXTRACT|YEAR|QUARTER|MONTH|WEEK|DAYOF\w+|HOUR|MINUTE|SECOND)\(|^FLOOR\(t TO/;

function isBefore1970({ t }: Row): boolean {
  return typeof t === 'bigint' && t < 0n;
}

describe('as Flink answers', () => {
  test.each(SAME)('%s', async sql => {
    const expression = await compile(sql, COLUMNS, FLINK);
    const [found] = evaluateAll(kernel, [expression], COLUMNS, rows);
    const wanted = answers.get(sql)!.values!.map(text => read(text, expression.type));
    const rowsCompared = [...rows.keys()].filter(row => !CALENDAR.test(sql) || !isBefore1970(rows[row]!));
    expect(rowsCompared.map(row => found![row]!)).toEqual(rowsCompared.map(row => wanted[row]!));
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
  const asked = SAME.map(sql => /^(\w+)\((.*)\)$/.exec(sql)).filter(call => call !== null);
  const missing = FLINK.calls.filter(([theirs]) => {
    const { name, params } = paramsOf(theirs);
    return !asked.some(([, called, list]) => {
      if (name.endsWith(' TO')) return name === `${called} TO` && list!.includes(' TO ');
      return called === name && (params === null || list!.split(/, | FROM /).length === params.length);
    });
  });
  expect(missing).toEqual([]);
});
