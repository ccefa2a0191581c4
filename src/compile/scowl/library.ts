import type { Position } from '../../base/fault.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { EVENT_TIME } from '../../plan/expression.ts';
import { compileTimeFormat, TimeFormatError } from '../../plan/time_format.ts';
import type { Type } from '../../plan/value.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME } from '../../plan/value.ts';
import { isZone } from '../../plan/zone.ts';
import { call, isNullLiteral, literal, literalText, nullLiteral, toDouble } from '../typing.ts';
import type { Bound, Scope } from './bound.ts';
import {
  adapt,
  agree,
  chosen,
  contains,
  ERRORS,
  firstError,
  joined,
  made,
  present,
  pure,
  refuse,
  wantBool,
} from './bound.ts';
import { typeText } from './slot.ts';
import type { Node } from './tree.ts';

/**
 * The functions of topologies, in one table: what calls are checked and made by is what docs/scowl_functions.md is made
 * of. Aggregates have one of their own.
 */
export interface ScowlFunction {
  group: 'Choices' | 'Conversions' | 'Numbers' | 'Texts' | 'Times';
  name: string;
  params: Param[];
  /** How many of the params must be there, where not all must. */
  required?: number;
  /** The last param may come again and again. */
  repeats?: boolean;
  result: string;
  note: string;
  /** What it says where it cannot be done. */
  error?: string;
  /** Of a value that has an error beside it, `value, error: text`. */
  examples: [scowl: string, value: string][];
  bind(nodes: Node[], called: Called): Bound | null;
}

export interface Param {
  name: string;
  /** As the page says it; those of `kinds` are checked. */
  kinds: Kind[] | null;
  /** It has to be written as a literal. */
  literal?: true;
}

type Kind = 'bool' | 'int64' | 'double' | 'string' | 'time' | 'list';

/** A call as it was written. */
export interface Called {
  fn: ScowlFunction;
  at: Position;
  scope: Scope;
  /** Of an argument: what arguments are is not known here. */
  bind(node: Node, scope: Scope): Bound | null;
}

const KIND_TYPES: Partial<Record<Kind, Type>> = {
  bool: BOOL,
  int64: INT64,
  double: DOUBLE,
  string: STRING,
  time: TIME,
};
const KIND_NAMES: Record<Kind, string> = {
  ...{ bool: 'bool', int64: 'int', double: 'float', string: 'string', time: 'time', list: 'a list' },
};

export function kindsText(kinds: Kind[]): string {
  return kinds.map(kind => KIND_NAMES[kind]).join(' or ');
}

const ANY: Param = { name: 'x', kinds: null };
const CONDITION: Param = { name: 'condition', kinds: ['bool'] };
const NUMBER: Param = { name: 'x', kinds: ['int64', 'double'] };
const TEXT: Param = { name: 'text', kinds: ['string'] };
const MOMENT: Param = { name: 'time', kinds: ['time'] };
const DURATION: Param = { name: 'duration', kinds: ['int64'] };

/** Of arguments that are as the params say: all of them are evaluated, whatever they are. */
function eager(make: (args: Bound[], called: Called) => Bound | null): ScowlFunction['bind'] {
  return (nodes, called) => {
    const bound = bindAll(nodes, called);
    const fitted = bound?.map((arg, i) => fit(arg, i, nodes, called)) ?? [null];
    return fitted.includes(null) ? null : make(fitted as Bound[], called);
  };
}

function bindAll(nodes: Node[], { bind, scope }: Called): Bound[] | null {
  const bound = nodes.map(node => bind(node, scope));
  return bound.includes(null) ? null : (bound as Bound[]);
}

function bindCondition(node: Node, { bind, fn, scope }: Called): Bound | null {
  const bound = bind(node, scope);
  return bound && wantBool(bound, node, fn.name, scope);
}

function fit(arg: Bound, i: number, nodes: Node[], { fn, scope }: Called): Bound | null {
  const { name, kinds, literal: isLiteral } = fn.params[Math.min(i, fn.params.length - 1)]!;
  const { start, end } = nodes[i]!;
  const at = scope.place(start, end);
  if (isLiteral && (arg.value.kind !== 'literal' || arg.value.value === null))
    return refuse(`${fn.name} wants its ${name} as a literal`, at, scope);
  if (!kinds) return arg;
  const value = isNullLiteral(arg.value)
    ? nullLiteral(KIND_TYPES[kinds[0]!] ?? arg.value.type, at)
    : kinds.length === 1 && kinds[0] === 'time'
      ? adapt(arg.value, TIME, scope)
      : arg.value;
  if (!value) return null;
  const kind = value.type.kind as Kind;
  if (kinds.includes(kind) || (isNullLiteral(value) && kinds.includes('list'))) return { ...arg, value };
  return refuse(`${fn.name} wants ${kindsText(kinds)} as its ${name}, got ${typeText(value.type)}`, at, scope);
}

/** One function of the plan, with the arguments as they are. */
function plain(fn: FunctionName, type: Type): ScowlFunction['bind'] {
  return eager((args, called) => made(callOf(fn, args, type, called), args, called.fn.error ?? null, called.at));
}

function callOf(fn: FunctionName, args: Bound[], type: Type, { at }: Called): Expression {
  return call(
    fn,
    args.map(({ value }) => value),
    type,
    at,
  );
}

/** Of a float; an int is whole already. */
function rounding(fn: FunctionName): ScowlFunction['bind'] {
  return eager(([x], called) =>
    x!.value.type.kind === 'double' ? made(callOf(fn, [x!], DOUBLE, called), [x!], null, called.at) : x!,
  );
}

const CHOICES: ScowlFunction[] = [
  {
    group: 'Choices',
    name: 'If',
    params: [CONDITION, { name: 'then', kinds: null }, { name: 'else', kinds: null }],
    required: 2,
    result: 'as its values',
    note: '`else` where the condition is false or null; null without one. What is not chosen is not computed, and its errors are none.',
    examples: [
      ["If(2 > 1, 'yes', 'no')", "'yes'"],
      ['If(null, 1, 0.5)', '0.5'],
      ['If(true, 1, 1 / 0)', '1.0'],
    ],
    bind: (nodes, called) => {
      const condition = bindCondition(nodes[0]!, called);
      const values = bindAll(nodes.slice(1), called);
      return condition && values && chosen([condition], values, nodes.slice(1), 'If', called.scope, called.at);
    },
  },
  {
    group: 'Choices',
    name: 'IfNull',
    params: [ANY, { name: 'y', kinds: null }],
    result: 'as its values',
    note: '`y` where `x` is null; an error of `x` stays.',
    examples: [
      ['IfNull(null, 4)', '4'],
      ['IfNull(1 / 0, 4)', '4.0, error: division by zero'],
    ],
    bind: firstPresent,
  },
  {
    group: 'Choices',
    name: 'Coalesce',
    params: [ANY],
    repeats: true,
    result: 'as its values',
    note: 'The first that is not null.',
    examples: [['Coalesce(null, 2, 1 / 0)', '2.0']],
    bind: firstPresent,
  },
  {
    group: 'Choices',
    name: 'IfError',
    params: [ANY, { name: 'y', kinds: null }],
    result: 'as its values',
    note: '`y` where making `x` had an error, `x` with no error where not. A name stands here for its feature with the error it has.',
    examples: [
      ['IfError(0/0, 4)', '4.0'],
      ["IfError(Int('5'), 0)", '5'],
      ["IfError(Int('five'), 0)", '0'],
    ],
    bind: ([x, y], { at, scope, bind }) => {
      const tried = bind(x!, { ...scope, looksThrough: true });
      const instead = bind(y!, scope);
      const same = tried && instead && agree([tried, instead], [x!, y!], 'IfError', scope);
      if (!same) return null;
      const [value, otherwise] = same.values as [Bound, Bound];
      if (!value.error) return pure(value.value);
      const failed = present(value.error, at);
      const error = otherwise.error && call('case', [failed, otherwise.error, nullLiteral(STRING, at)], STRING, at);
      return { value: call('case', [failed, otherwise.value, value.value], same.type, at), error };
    },
  },
  {
    group: 'Choices',
    name: 'Assert',
    params: [CONDITION, { name: 'message', kinds: ['string'], literal: true }],
    required: 1,
    result: 'bool',
    note: 'True where the condition is. Where it is false or null it is null, and the message its error.',
    error: 'assertion failed',
    examples: [
      ['Assert(2 > 1)', 'true'],
      ["Assert(1 > 2, 'too small')", 'null, error: too small'],
    ],
    bind: ([condition, message], called) => {
      const { fn, at, scope, bind } = called;
      const bound = bindCondition(condition!, called);
      const text = message ? bind(message, scope) : pure(literal(fn.error!, STRING, at));
      if (!bound || !text) return null;
      if (literalText(text.value) === null)
        return refuse('Assert wants its message as a literal text', scope.place(message!.start, message!.end), scope);
      const failed = call('case', [bound.value, nullLiteral(STRING, at), text.value], STRING, at);
      const value = call('case', [bound.value, literal(true, BOOL, at), nullLiteral(BOOL, at)], BOOL, at);
      return { value, error: firstError([bound.error, failed], at) };
    },
  },
  {
    group: 'Choices',
    name: 'IsNull',
    params: [ANY],
    result: 'bool',
    note: 'As `x is null`.',
    examples: [['IsNull(null)', 'true']],
    bind: ([x], { at, scope, bind }) => {
      const bound = bind(x!, scope);
      return bound && { value: call('isNull', [bound.value], BOOL, at), error: bound.error };
    },
  },
  ...(['and', 'or'] as const).map((fn): ScowlFunction => {
    const name = fn === 'and' ? 'And' : 'Or';
    return {
      ...{ group: 'Choices', name, params: [CONDITION], repeats: true, result: 'bool' },
      note: `As \`a ${fn} b ${fn} ...\`.`,
      examples: [
        [`${name}(true, null)`, fn === 'and' ? 'null' : 'true'],
        [`${name}(false, null)`, fn === 'and' ? 'false' : 'null'],
      ],
      bind: (nodes, called) => {
        const sides = nodes.map(node => bindCondition(node, called));
        return sides.includes(null) ? null : joined(fn, sides as Bound[], called.at);
      },
    };
  }),
  {
    group: 'Choices',
    name: 'Not',
    params: [CONDITION],
    result: 'bool',
    note: 'As `not a`.',
    examples: [['Not(false)', 'true']],
    bind: plain('not', BOOL),
  },
];

function firstPresent(nodes: Node[], called: Called): Bound | null {
  const { fn, at, scope } = called;
  const bound = bindAll(nodes, called);
  const same = bound && agree(bound, nodes, fn.name, scope);
  if (!same) return null;
  const value = call(
    'coalesce',
    same.values.map(each => each.value),
    same.type,
    at,
  );
  const error = same.values.reduceRight<Expression | null>((behind, each) => {
    const later = behind && call('case', [present(each.value, at), nullLiteral(STRING, at), behind], STRING, at);
    return firstError([each.error, later], at);
  }, null);
  return { value, error };
}

/** JSON has no spelling for it. */
const NOT_FINITE = 'a float that is not finite';

const CONVERSIONS: ScowlFunction[] = [
  {
    group: 'Conversions',
    name: 'Bool',
    params: [{ name: 'x', kinds: ['bool', 'int64', 'double', 'string'] }],
    result: 'bool',
    note: 'Of a number whether it is not 0; of a text what it spells: true, t, yes, y, 1, or false, f, no, n, 0, in any case.',
    error: 'expected bool',
    examples: [
      ['Bool(0)', 'false'],
      ["Bool('Yes')", 'true'],
      ["Bool('maybe')", 'null, error: expected bool'],
    ],
    bind: eager(([x], called) => {
      const { type } = x!.value;
      if (type.kind === 'bool') return x!;
      if (type.kind === 'string') return made(callOf('toBool', [x!], BOOL, called), [x!], called.fn.error!, called.at);
      const zero = literal(type.kind === 'double' ? 0 : 0n, type, called.at);
      return made(call('notEqual', [x!.value, zero], BOOL, called.at), [x!], null, called.at);
    }),
  },
  {
    group: 'Conversions',
    name: 'Int',
    params: [{ name: 'x', kinds: ['int64', 'bool', 'double', 'string', 'time'] }],
    result: 'int',
    note: 'Of a float its whole part; of a bool 0 or 1; of a text the digits with a sign it may have; of a time its nanoseconds since 1970.',
    error: 'expected int',
    examples: [
      ['Int(5.6)', '5'],
      ["Int('-12')", '-12'],
      ["Int('5.6')", 'null, error: expected int'],
    ],
    bind: eager(([x], called) => {
      const { at, fn } = called;
      const { kind } = x!.value.type;
      if (kind === 'int64') return x!;
      const whole = kind === 'double' ? call('truncate', [x!.value], DOUBLE, at) : x!.value;
      const int = call('toInt64', [whole], INT64, at);
      if (kind === 'bool') return made(int, [x!], null, at);
      if (kind !== 'time') return made(int, [x!], fn.error!, at);
      return made(call('multiply', [int, literal(1000n, INT64, at)], INT64, at), [x!], ERRORS.int, at);
    }),
  },
  {
    group: 'Conversions',
    name: 'Float',
    params: [{ name: 'x', kinds: ['double', 'int64', 'bool', 'string'] }],
    result: 'float',
    note: 'Of a bool 0 or 1; of a text a decimal number, with a sign, a point and a power of ten where it has them.',
    error: 'expected float',
    examples: [
      ['Float(3)', '3.0'],
      ["Float('-1.5e1')", '-15.0'],
      ["Float('much')", 'null, error: expected float'],
    ],
    bind: eager(([x], { at, fn }) => {
      const { kind } = x!.value.type;
      return kind === 'double' ? x! : made(toDouble(x!.value), [x!], kind === 'string' ? fn.error! : null, at);
    }),
  },
  {
    group: 'Conversions',
    name: 'String',
    params: [{ name: 'x', kinds: ['string', 'int64', 'double', 'bool', 'time'] }],
    result: 'string',
    note: 'Times are RFC 3339; a float is as JSON has it, in as few digits as tell it from all others.',
    error: NOT_FINITE,
    examples: [
      ['String(42)', "'42'"],
      ['String(0.1 + 0.2)', "'0.30000000000000004'"],
      ['String(2 > 1)', "'true'"],
    ],
    bind: eager(([x], called) => spelled(x!, called)),
  },
];

function spelled(x: Bound, called: Called): Bound {
  const { kind } = x.value.type;
  if (kind === 'string') return x;
  return made(callOf('toText', [x], STRING, called), [x], kind === 'double' ? NOT_FINITE : null, called.at);
}

const NUMBERS: ScowlFunction[] = [
  ...(['Maximum', 'Minimum'] as const).map((name): ScowlFunction => {
    const [fn, ofList] = name === 'Maximum' ? (['greatest', 'listMax'] as const) : (['least', 'listMin'] as const);
    return {
      ...{ group: 'Numbers', name, params: [ANY], repeats: true, result: 'as its values' },
      note: `The ${name === 'Maximum' ? 'greatest' : 'least'} of those that are not null, or of the elements of one list.`,
      examples: [
        [`${name}(3, null, 1.5)`, name === 'Maximum' ? '3.0' : '1.5'],
        [`${name}([4, 7, 5])`, name === 'Maximum' ? '7' : '4'],
      ],
      bind: (nodes, called) => {
        const { at, scope } = called;
        const bound = bindAll(nodes, called);
        const [first] = bound ?? [];
        if (bound?.length === 1 && first!.value.type.kind === 'list')
          return made(callOf(ofList, bound, first!.value.type.of.type, called), bound, null, at);
        const same = bound && agree(bound, nodes, name, scope);
        return same && made(callOf(fn, same.values, same.type, called), same.values, null, at);
      },
    };
  }),
  {
    group: 'Numbers',
    name: 'Abs',
    params: [NUMBER],
    result: 'as `x`',
    note: '',
    error: ERRORS.int,
    examples: [['Abs(-3)', '3']],
    bind: eager(([x], called) =>
      made(callOf('absolute', [x!], x!.value.type, called), [x!], called.fn.error!, called.at),
    ),
  },
  {
    group: 'Numbers',
    name: 'Round',
    params: [NUMBER, { name: 'digits', kinds: ['int64'], literal: true }],
    required: 1,
    result: 'as `x`',
    note: 'Ties go away from 0. `digits` stay behind the point, or with a minus become 0 before it.',
    error: ERRORS.int,
    examples: [
      ['Round(2.5)', '3.0'],
      ['Round(2.345, 2)', '2.35'],
      ['Round(1250, -2)', '1300'],
    ],
    bind: eager((args, called) => {
      const { type } = args[0]!.value;
      if (args.length > 1) return made(callOf('roundTo', args, type, called), args, called.fn.error!, called.at);
      return type.kind === 'double' ? made(callOf('round', args, DOUBLE, called), args, null, called.at) : args[0]!;
    }),
  },
  {
    group: 'Numbers',
    name: 'Floor',
    params: [NUMBER],
    result: 'as `x`',
    note: '',
    examples: [['Floor(-2.5)', '-3.0']],
    bind: rounding('floor'),
  },
  {
    group: 'Numbers',
    name: 'Ceil',
    params: [NUMBER],
    result: 'as `x`',
    note: '',
    examples: [['Ceil(2.1)', '3.0']],
    bind: rounding('ceil'),
  },
];

const TEXTS: ScowlFunction[] = [
  {
    group: 'Texts',
    name: 'Contains',
    params: [
      { name: 'of', kinds: ['string', 'list'] },
      { name: 'part', kinds: null },
    ],
    result: 'bool',
    note: 'Is `part` a part of the text, or an element of the list?',
    examples: [
      ["Contains('hello', 'ell')", 'true'],
      ["'hello'.Contains('x')", 'false'],
      ['Contains([1, 2], 2)', 'true'],
    ],
    bind: eager(([of, part], called) => {
      const { at, scope } = called;
      if (of!.value.type.kind === 'list') return contains(of!, part!, 'Contains', at, at, scope);
      const text = adapt(part!.value, STRING, scope);
      if (text?.type.kind !== 'string')
        return refuse(`Contains wants string as its part, got ${typeText(part!.value.type)}`, at, scope);
      return made(call('contains', [of!.value, text], BOOL, at), [of!, part!], null, at);
    }),
  },
  {
    group: 'Texts',
    name: 'StringSimilarity',
    params: [
      { name: 'a', kinds: ['string'] },
      { name: 'b', kinds: ['string'] },
    ],
    result: 'float',
    note: 'From 0.0, nothing in common, to 1.0, the same.',
    examples: [["StringSimilarity('abc', 'abc')", '1.0']],
    bind: plain('similarity', DOUBLE),
  },
  {
    group: 'Texts',
    name: 'Lower',
    params: [TEXT],
    result: 'string',
    note: '',
    examples: [["Lower('ÅB1')", "'åb1'"]],
    bind: plain('lower', STRING),
  },
  {
    group: 'Texts',
    name: 'Upper',
    params: [TEXT],
    result: 'string',
    note: '',
    examples: [["Upper('åb')", "'ÅB'"]],
    bind: plain('upper', STRING),
  },
  {
    group: 'Texts',
    name: 'Length',
    params: [{ name: 'of', kinds: ['string', 'list'] }],
    result: 'int',
    note: 'Code points of a text, elements of a list.',
    examples: [
      ["Length('né😀')", '3'],
      ['Length([4, null])', '2'],
    ],
    bind: eager(([of], called) => {
      const fn = of!.value.type.kind === 'list' ? 'listLength' : 'length';
      return made(callOf(fn, [of!], INT64, called), [of!], null, called.at);
    }),
  },
  {
    group: 'Texts',
    name: 'Concat',
    params: [{ name: 'text', kinds: ['string', 'int64', 'double', 'bool', 'time'] }],
    repeats: true,
    result: 'string',
    note: 'Of other types than string as String spells them. Also `text + text`.',
    error: ERRORS.text,
    examples: [
      ["Concat('a', 1, true)", "'a1true'"],
      ["Concat('a', null)", 'null'],
    ],
    bind: eager((args, called) => {
      const texts = args.map(arg => spelled(arg, called));
      return made(callOf('concat', texts, STRING, called), texts, called.fn.error!, called.at);
    }),
  },
  {
    group: 'Texts',
    name: 'IPCBlock',
    params: [{ name: 'ip', kinds: ['string'] }],
    result: 'string',
    note: 'The first three numbers of an IPv4 address, its /24.',
    error: 'expected an IPv4 address',
    examples: [["IPCBlock('82.177.157.9')", "'82.177.157'"]],
    bind: plain('ipBlock', STRING),
  },
];

const FORMAT: Param = { name: 'format', kinds: ['string'], literal: true };
const FORMAT_NOTE = '`%Y-%m-%d %H:%M:%S` and the like, as [STRFTIME](functions.md#times) has them.';

const TIMES: ScowlFunction[] = [
  {
    group: 'Times',
    name: 'EventTime',
    params: [],
    result: 'time',
    note: "The event's own.",
    examples: [["EventTime() > '1970-01-01'", 'true']],
    bind: (_, { at }) => pure({ kind: 'column', name: EVENT_TIME, type: TIME, at }),
  },
  ...(['Day', 'Hour'] as const).map(
    (name): ScowlFunction => ({
      ...{ group: 'Times', name, params: [MOMENT], result: 'int' },
      note: name === 'Day' ? 'Of the month, from 1.' : 'Of the day, from 0 to 23.',
      examples: [[`${name}('2001-03-11T17:30:00Z')`, name === 'Day' ? '11' : '17']],
      bind: eager((args, { at }) => {
        const part = literal(name.toLowerCase(), STRING, at);
        return made(call('datePart', [part, args[0]!.value], INT64, at), args, null, at);
      }),
    }),
  ),
  ...(
    [
      ['Days', 86_400e9, '36 hours', '1.5'],
      ['Hours', 3_600e9, '90 minutes', '1.5'],
      ['Minutes', 60e9, '1 hour', '60.0'],
      ['Seconds', 1e9, '250 milliseconds', '0.25'],
    ] as const
  ).map(
    ([name, nanos, example, value]): ScowlFunction => ({
      ...{ group: 'Times', name, params: [DURATION], result: 'float' },
      note: `How many ${name.toLowerCase()} a duration has: \`${name}(EventTime() - since)\`.`,
      examples: [[`${name}(${example})`, value]],
      bind: eager((args, { at }) =>
        made(call('divide', [args[0]!.value, literal(nanos, DOUBLE, at)], DOUBLE, at), args, null, at),
      ),
    }),
  ),
  {
    group: 'Times',
    name: 'FormatTime',
    params: [MOMENT, FORMAT],
    result: 'string',
    note: FORMAT_NOTE,
    error: ERRORS.text,
    examples: [["FormatTime('2001-03-11T17:30:00Z', '%Y-%m-%d')", "'2001-03-11'"]],
    bind: eager((args, called) => {
      if (!isTimeFormat(args[1]!, 'spell', called)) return null;
      return made(callOf('formatTime', args, STRING, called), args, called.fn.error!, called.at);
    }),
  },
  {
    group: 'Times',
    name: 'ParseTime',
    params: [TEXT, FORMAT],
    required: 1,
    result: 'time',
    note: `${FORMAT_NOTE} Without a format RFC 3339, or a date alone.`,
    error: 'expected time',
    examples: [
      ["ParseTime('2001-03-11')", '2001-03-11T00:00:00Z'],
      ["ParseTime('soon')", 'null, error: expected time'],
    ],
    bind: eager((args, called) => {
      if (args.length === 2 && !isTimeFormat(args[1]!, 'read', called)) return null;
      const fn = args.length === 1 ? 'toTime' : 'parseTime';
      return made(callOf(fn, args, TIME, called), args, called.fn.error!, called.at);
    }),
  },
  ...(
    [
      ['FromUnixSeconds', '1000000000', 'seconds'],
      ['FromUnixMillis', '1000000000000', 'milliseconds'],
      ['FromUnixNanos', '1000000000000000000', 'nanoseconds'],
    ] as const
  ).map(
    ([name, example, unit]): ScowlFunction => ({
      ...{ group: 'Times', name, params: [{ name: 'x', kinds: ['int64'] }], result: 'time', error: ERRORS.time },
      note: `So many ${unit} after 1970.${unit === 'nanoseconds' ? ' What is less than a microsecond is cut off.' : ''}`,
      examples: [[`${name}(${example})`, '2001-09-09T01:46:40Z']],
      bind: eager((args, { at, fn }) => {
        const x = args[0]!.value;
        const factor = literal(unit === 'seconds' ? 1_000_000n : 1000n, INT64, at);
        const micros = call(unit === 'nanoseconds' ? 'quotient' : 'multiply', [x, factor], INT64, at);
        return made(call('timeOfMicros', [micros], TIME, at), args, fn.error!, at);
      }),
    }),
  ),
  {
    group: 'Times',
    name: 'AsTimezone',
    params: [MOMENT, { name: 'zone', kinds: ['string'], literal: true }],
    result: 'time',
    note: 'A time whose day and hour are those of the clocks in that zone, for Day, Hour and FormatTime. Before 1970 and after 2100 clocks are taken to be as at the ends of that span.',
    error: ERRORS.time,
    examples: [["Hour(AsTimezone('2001-03-11T17:30:00Z', 'America/New_York'))", '12']],
    bind: eager((args, called) => {
      const zone = literalText(args[1]!.value)!;
      if (isZone(zone)) return made(callOf('inZone', args, TIME, called), args, called.fn.error!, called.at);
      return refuse(`"${zone}" is no time zone; wanted a name like Europe/Berlin`, args[1]!.value.at!, called.scope);
    }),
  },
];

function isTimeFormat({ value }: Bound, use: 'read' | 'spell', { fn, scope }: Called): boolean {
  try {
    compileTimeFormat(literalText(value)!, use);
    return true;
  } catch (error) {
    if (!(error instanceof TimeFormatError)) throw error;
    refuse(`${fn.name}: ${error.message}`, value.at!, scope);
    return false;
  }
}

export const FUNCTIONS: ScowlFunction[] = [...CHOICES, ...CONVERSIONS, ...NUMBERS, ...TEXTS, ...TIMES];

const BY_NAME = new Map(FUNCTIONS.map(fn => [fn.name, fn]));

export function functionNamed(name: string): ScowlFunction | null {
  return BY_NAME.get(name) ?? null;
}
