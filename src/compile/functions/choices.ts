import { call, compare, nullLiteral, unify, wantBool } from '../typing.ts';
import { ANY, type SqlFunction, unified } from './function.ts';

/** One of several values. */
export const CHOICES: SqlFunction[] = [
  {
    group: 'Choices',
    names: ['COALESCE'],
    params: [ANY],
    repeats: true,
    result: 'as its arguments',
    note: 'The first argument that is not null.',
    examples: [['COALESCE(NULL, 2, 3)', '2']],
    make: (args, written) => unified('coalesce', args, written),
  },
  {
    group: 'Choices',
    names: ['IFNULL', 'NVL'],
    params: [ANY, { name: 'otherwise', kinds: null }],
    result: 'as its arguments',
    note: 'COALESCE of two.',
    examples: [['IFNULL(NULL, 2)', '2']],
    make: (args, written) => unified('coalesce', args, written),
  },
  {
    group: 'Choices',
    names: ['NULLIF'],
    params: [ANY, { name: 'other', kinds: null }],
    result: 'as value',
    note: 'Null where both are equal, else the first.',
    examples: [['NULLIF(0, 0)', 'NULL']],
    make: ([of, other], { name, symbol, at, faults, rules }) => {
      const equal = compare('equal', of!, other!, { name, at: symbol.at }, at, faults, rules);
      return equal && call('case', [equal, nullLiteral(of!.type, at), of!], of!.type, at);
    },
  },
  {
    group: 'Choices',
    names: ['IF', 'IIF'],
    params: [
      { name: 'condition', kinds: null },
      { name: 'a', kinds: null },
      { name: 'b', kinds: null },
    ],
    result: 'as a and b',
    note: '`a` where the condition is true, else `b`.',
    examples: [["IF(2 > 1, 'yes', 'no')", "'yes'"]],
    make: ([condition, ...values], { name, args, at, faults }) => {
      const bool = wantBool(condition!, args[0]!, name, faults);
      const same = unify(values, args.slice(1), name, faults);
      return bool && same && call('case', [bool, ...same.values], same.type, at);
    },
  },
  {
    group: 'Choices',
    names: ['GREATEST'],
    params: [ANY],
    repeats: true,
    result: 'as its arguments',
    note: 'Passes over nulls. NaN is greater than all; texts compare by their UTF-8 bytes.',
    examples: [['GREATEST(1, NULL, 3)', '3']],
    make: (args, written) => unified('greatest', args, written),
  },
  {
    group: 'Choices',
    names: ['LEAST'],
    params: [ANY],
    repeats: true,
    result: 'as its arguments',
    note: 'Passes over nulls.',
    examples: [['LEAST(1, NULL, 3.5)', '1.0']],
    make: (args, written) => unified('least', args, written),
  },
];
