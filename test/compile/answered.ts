/** What another system answered of the rows of scripts/dialect_rows.ts, beside what the kernels make of them. */
import { type Answer, ROWS } from '../../scripts/dialect_rows.ts';
import { parseMicros } from '../../src/base/time.ts';
import type { Dialect } from '../../src/compile/dialect.ts';
import { paramsOf } from '../../src/compile/spelling.ts';
import type { Kernel } from '../../src/kernel/instance.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { compile, evaluateAll, type Row } from '../kernel/evaluate.ts';

const LIST: Type = { kind: 'list', of: { type: INT64, presence: OPTIONAL } };

export const COLUMNS = {
  ...{ s: STRING, u: STRING, i: INT64, j: INT64, x: DOUBLE, y: DOUBLE },
  ...{ b: BOOL, c: BOOL, t: TIME, r: TIME, l: LIST },
};

export const rows: Row[] = ROWS.map(row => ({ ...row, t: microsOf(row.t), r: microsOf(row.r) }));

/** Some leave out seconds that are none, and a time of day that is midnight. */
function microsOf(text: string | null): bigint | null {
  if (text === null) return null;
  const whole = text.replace(' ', 'T').replace(/T\d\d:\d\d$/, '$&:00');
  return parseMicros(whole.includes('T') ? `${whole}Z` : `${whole}T00:00:00Z`);
}

/** A value as it is written there -> as the kernel has it. */
function read(text: string | null, { kind }: Type): Value {
  if (text === null || kind === 'string') return text;
  if (kind === 'bool') return text === 'true' || text === '1';
  if (kind === 'time') return microsOf(text);
  return kind === 'double' ? Number(text) : BigInt(text);
}

/** What the kernel makes of an expression, and what was answered, of those of the rows that are to be compared. */
export async function besideAnswer(
  kernel: Kernel,
  dialect: Dialect,
  { sql, values }: Answer,
  of: Row[] = rows,
  isCompared: (row: Row) => boolean = () => true,
): Promise<{ found: Value[]; wanted: Value[] }> {
  const expression = await compile(sql, COLUMNS, dialect);
  const [found] = evaluateAll(kernel, [expression], COLUMNS, of);
  const compared = [...of.keys()].filter(row => isCompared(of[row]!));
  return {
    found: compared.map(row => found![row]!),
    wanted: compared.map(row => read(values![row]!, expression.type)),
  };
}

/** Rows of a dialect's table that none of the questions calls. */
export function unasked({ calls, casts = [] }: Dialect, questions: string[]): string[] {
  const asked = questions.map(sql => {
    // What stands in brackets of its own has commas that part nothing.
    const flat = /^\w+\(/.test(sql)
      ? sql.replaceAll(/(?<=\w*\(.*)(?<!\w)\([^()]*\)|(?<=\(.*)\w+\([^()]*\)/g, 'x')
      : sql;
    const [, name = '', list = '', index] = /^(\w+)\((.*)\)(\[\w+\])?$/s.exec(flat) ?? [];
    const word = [' TO ', ' IN ', ' FROM '].find(one => list.includes(one));
    const called = index ? `${name} []` : word && word !== ' FROM ' ? `${name}${word.trimEnd()}` : name;
    return { called: called.toUpperCase(), count: list.split(word ?? ', ').length + (index ? 1 : 0) };
  });
  const missing = calls.filter(([theirs]) => {
    const { name, params } = paramsOf(theirs);
    return !asked.some(
      ({ called, count }) => called === name.toUpperCase() && (params === null || params.length === count),
    );
  });
  const names = casts.map(([name]) => name).filter(name => !asked.some(({ called }) => called === name.toUpperCase()));
  return [...missing.map(([theirs]) => theirs), ...names];
}
