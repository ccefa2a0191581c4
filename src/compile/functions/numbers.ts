import { Fault } from '../../base/fault.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { DOUBLE, INT64 } from '../../plan/value.ts';
import { call } from '../typing.ts';
import { NUMBER, type SqlFunction, WHOLE, type Written, param, plain } from './function.ts';

export const INT64_MAX = 2n ** 63n - 1n;

/** 10^18 is the greatest power of ten in an int64; a double has 17 digits at most. */
const ROUND_DIGITS_MAX = 18n;

/** What is made of numbers. */
export const NUMBERS: SqlFunction[] = [
  {
    group: 'Numbers',
    names: ['ABS'],
    params: [NUMBER],
    result: 'as x',
    note: 'Null of the least int64.',
    examples: [['ABS(-7)', '7']],
    make: ([x], { at }) => call('absolute', [x!], x!.type, at),
  },
  {
    group: 'Numbers',
    names: ['SIGN'],
    params: [NUMBER],
    result: 'int64',
    note: '-1, 0 or 1; 0 for NaN.',
    examples: [['SIGN(-0.5)', '-1']],
    make: plain('sign', INT64),
  },
  {
    group: 'Numbers',
    names: ['ROUND'],
    params: [NUMBER, { name: 'digits', kinds: ['int64'], literal: true }],
    required: 1,
    result: 'as x',
    note: 'Ties away from zero. With `digits` (-18 to 18) it is `ROUND(x * 10^digits) / 10^digits`, computed in doubles, as DuckDB does; an int64 is rounded exactly, and only before the point.',
    examples: [
      ['ROUND(-2.5)', '-3.0'],
      ['ROUND(2.675, 2)', '2.68'],
      ['ROUND(1250, -2)', '1300'],
    ],
    make: makeRound,
  },
  ...(['floor', 'ceil', 'truncate'] as const).map(
    (fn, i): SqlFunction => ({
      group: 'Numbers',
      names: [['FLOOR'], ['CEIL', 'CEILING'], ['TRUNC']][i]!,
      params: [NUMBER],
      result: 'as x',
      note: ['Downward.', 'Upward.', 'Toward zero.'][i]!,
      examples: [[`${['FLOOR', 'CEIL', 'TRUNC'][i]}(-2.5)`, ['-3.0', '-2.0', '-2.0'][i]!]],
      make: rounding(fn),
    }),
  ),
  {
    group: 'Numbers',
    names: ['SQRT'],
    params: [NUMBER],
    result: 'double',
    note: 'Rounded correctly. Null of a negative number (DuckDB gives NaN).',
    examples: [['SQRT(2)', '1.4142135623730951']],
    make: ([x], { at }) => {
      const real = x!.type.kind === 'double' ? x! : call('toDouble', [x!], DOUBLE, at);
      return call('squareRoot', [real], DOUBLE, at);
    },
  },
  {
    group: 'Numbers',
    names: ['MOD'],
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    note: '`x % y`: the sign of `x`; null where `y` is 0.',
    examples: [['MOD(-7, 3)', '-1']],
    make: plain('modulo', INT64),
  },
  {
    group: 'Numbers',
    names: ['//', 'DIVIDE'],
    form: 'x // y',
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    note: 'Rounded toward zero; null where `y` is 0. Also `DIVIDE(x, y)`.',
    examples: [
      ['-7 // 2', '-3'],
      ['7 // 0', 'NULL'],
    ],
    make: plain('quotient', INT64),
  },
  {
    group: 'Numbers',
    names: ['&'],
    form: 'x & y',
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    examples: [['6 & 3', '2']],
    make: plain('bitAnd', INT64),
  },
  {
    group: 'Numbers',
    names: ['|'],
    form: 'x | y',
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    examples: [['6 | 3', '7']],
    make: plain('bitOr', INT64),
  },
  {
    group: 'Numbers',
    names: ['XOR'],
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    examples: [['XOR(6, 3)', '5']],
    make: plain('bitXor', INT64),
  },
  {
    group: 'Numbers',
    names: ['~'],
    form: '~x',
    params: [WHOLE],
    result: 'int64',
    examples: [['~5', '-6']],
    make: plain('bitNot', INT64),
  },
  {
    group: 'Numbers',
    names: ['<<'],
    form: 'x << y',
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    note: 'Null where `x` or `y` is negative, `y` is above 63, or a bit would be lost.',
    examples: [['5 << 2', '20']],
    make: plain('shiftLeft', INT64),
  },
  {
    group: 'Numbers',
    names: ['>>'],
    form: 'x >> y',
    params: [WHOLE, param('y', 'int64')],
    result: 'int64',
    note: 'Keeps the sign; 0 where `y` is not within 0 and 63.',
    examples: [['-8 >> 1', '-4']],
    make: plain('shiftRight', INT64),
  },
];

/** Of a double; an int64 is whole already. */
function rounding(fn: FunctionName): SqlFunction['make'] {
  return ([x], { at }) => (x!.type.kind === 'double' ? call(fn, [x!], DOUBLE, at) : x!);
}

function makeRound([x, digits]: Expression[], written: Written): Expression | null {
  const { at, args, faults } = written;
  if (!digits) return x!.type.kind === 'double' ? call('round', [x!], DOUBLE, at) : x!;
  const count = digits.kind === 'literal' ? (digits.value as bigint) : 0n;
  if (count >= -ROUND_DIGITS_MAX && count <= ROUND_DIGITS_MAX) return call('roundTo', [x!, digits], x!.type, at);
  const message = `ROUND wants -${ROUND_DIGITS_MAX} to ${ROUND_DIGITS_MAX} as digits, got ${count}`;
  faults.push(new Fault('definition', message, args[1]!.at));
  return null;
}
