import { assert } from '../base/assert.ts';
import type { Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Expression, FunctionName, TimePart } from '../plan/expression.ts';
import { TIME_PARTS } from '../plan/expression.ts';
import { compileRegex, quoteRegex, readReplacement, RegexError } from '../plan/regex.ts';
import { compileTimeFormat, TIME_FORMAT_BYTES_MAX, TimeFormatError } from '../plan/time_format.ts';
import type { ScalarKind, Type } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, OPTIONAL, STRING, TIME, typeName } from '../plan/value.ts';
import type { Rules, SqlNode, Word } from './node.ts';
import {
  adapt,
  call,
  compare,
  isNullLiteral,
  literal,
  literalText,
  nullLiteral,
  scalarHint,
  unify,
  wantBool,
} from './typing.ts';

/**
 * The functions that SQL can call, in one table: what `bind` checks and builds a call by is what docs/functions.md is
 * made of. Values that differ from DuckDB's are said in the notes.
 */
export interface SqlFunction {
  group: 'Texts' | 'Times' | 'Numbers' | 'Lists' | 'Choices';
  /** All spellings, in capitals; what is written otherwise than NAME(a, b) has its shape in `form`. */
  names: string[];
  form?: string;
  params: Param[];
  /** How many of the params must be there, where not all must. */
  required?: number;
  /** The last param may come again and again. */
  repeats?: boolean;
  result: string;
  note?: string;
  examples: [sql: string, value: string][];
  /** The call, of arguments that are as `params` says; null where it put a fault into `faults`. */
  make(args: Expression[], written: Written): Expression | null;
}

export interface Param {
  name: string;
  /** Null where any type will do, for `make` sees to it. */
  kinds: (ScalarKind | 'list')[] | null;
  /** It has to be written as a literal. */
  literal?: true;
}

/** A call as it was written. */
export interface Written {
  name: string;
  symbol: Word;
  args: SqlNode[];
  at: Position;
  faults: Fault[];
  /** Of another dialect than DuckDB's. */
  rules?: Rules | undefined;
}

/** An operator or a clause that looks like one: it stands between its arguments, so it cannot be called. */
export const WRITTEN_BETWEEN = new Set(['||', 'LIKE', 'ILIKE', '//', '&', '|', '<<', '>>', '~']);

/** A literal pattern is matched in at most its length times that of the text. */
export const LIKE_PATTERN_LENGTH_MAX = 1024;

/** What TRIM takes off where nothing is said: Unicode's space separators. */
const SPACES = ' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000';

const TEXT: Param = { name: 'text', kinds: ['string'] };
const PART: Param = { name: 'part', kinds: ['string'], literal: true };
const MOMENT: Param = { name: 'time', kinds: ['time'] };
const WHOLE: Param = { name: 'x', kinds: ['int64'] };
const NUMBER: Param = { name: 'x', kinds: ['int64', 'double'] };
const SPELLABLE: Param = { name: 'value', kinds: ['string', 'int64', 'bool', 'time'] };
const ANY: Param = { name: 'value', kinds: null };
const PATTERN: Param = { name: 'pattern', kinds: ['string'], literal: true };
const FORMAT: Param = { name: 'format', kinds: ['string'], literal: true };
const OPTIONS: Param = { name: 'options', kinds: ['string'], literal: true };

const LIST: Param = { name: 'list', kinds: ['list'] };

function param(name: string, ...kinds: (ScalarKind | 'list')[]): Param {
  return { name, kinds };
}

/** The call of one function of the plan, with the arguments as they are. */
function plain(fn: FunctionName, type: Type): SqlFunction['make'] {
  return (args, { at }) => call(fn, args, type, at);
}

/** Of a double; an int64 is whole already. */
function rounding(fn: FunctionName): SqlFunction['make'] {
  return ([x], { at }) => (x!.type.kind === 'double' ? call(fn, [x!], DOUBLE, at) : x!);
}

const TEXTS: SqlFunction[] = [
  {
    group: 'Texts',
    names: ['LOWER', 'LCASE'],
    params: [TEXT],
    result: 'string',
    note: 'By code points, where Unicode maps one to one: `İ` stays as it is.',
    examples: [["LOWER('ÅB1')", "'åb1'"]],
    make: plain('lower', STRING),
  },
  {
    group: 'Texts',
    names: ['UPPER', 'UCASE'],
    params: [TEXT],
    result: 'string',
    note: 'By code points, where Unicode maps one to one: `ß`, `ŉ` and ligatures stay as they are (DuckDB makes `ẞ` of `ß`).',
    examples: [["UPPER('åbß')", "'ÅBß'"]],
    make: plain('upper', STRING),
  },
  {
    group: 'Texts',
    names: ['LENGTH', 'LEN', 'CHAR_LENGTH', 'CHARACTER_LENGTH'],
    params: [param('text', 'string', 'list')],
    result: 'int64',
    note: 'Code points of a text, elements of a list.',
    examples: [
      ["LENGTH('né😀')", '3'],
      ['LEN([4, NULL])', '2'],
    ],
    make: ([of], { at }) => call(of!.type.kind === 'list' ? 'listLength' : 'length', [of!], INT64, at),
  },
  {
    group: 'Texts',
    names: ['STRLEN'],
    params: [TEXT],
    result: 'int64',
    note: 'Bytes of its UTF-8.',
    examples: [["STRLEN('né😀')", '7']],
    make: plain('byteLength', INT64),
  },
  {
    group: 'Texts',
    names: ['CONCAT'],
    params: [SPELLABLE],
    repeats: true,
    result: 'string',
    note: 'A null argument counts as the empty text. Other types than string are spelled as CAST does.',
    examples: [
      ["CONCAT('a', NULL, 1, TRUE)", "'a1true'"],
      ['CONCAT(NULL)', "''"],
    ],
    make: (args, { at }) =>
      joined(
        args.map(arg => call('coalesce', [asText(arg), literal('', STRING, at)], STRING, at)),
        at,
      ),
  },
  {
    group: 'Texts',
    names: ['||'],
    form: 'text || text',
    params: [SPELLABLE, SPELLABLE],
    result: 'string',
    examples: [
      ["'a' || 1 || 'b'", "'a1b'"],
      ["'a' || NULL", 'NULL'],
    ],
    make: (args, { at }) => joined(args.map(asText), at),
  },
  {
    group: 'Texts',
    names: ['SUBSTRING', 'SUBSTR'],
    params: [TEXT, param('start', 'int64'), param('length', 'int64')],
    required: 2,
    result: 'string',
    note: 'Code points from `start` on, the first one being 1; what lies outside of the text is left out. A negative `start` counts from the end, a negative `length` reaches back. Also `SUBSTRING(text FROM start FOR length)`.',
    examples: [
      ["SUBSTRING('hello', 2, 3)", "'ell'"],
      ["SUBSTRING('hello' FROM 4)", "'lo'"],
      ["SUBSTR('hello', -2, 1)", "'l'"],
    ],
    make: (args, { at }) =>
      call('substring', [args[0]!, args[1]!, args[2] ?? literal(INT64_MAX, INT64, at)], STRING, at),
  },
  {
    group: 'Texts',
    names: ['LEFT'],
    params: [TEXT, param('count', 'int64')],
    result: 'string',
    note: 'All but the last `-count` code points where `count` is negative.',
    examples: [
      ["LEFT('hello', 2)", "'he'"],
      ["LEFT('hello', -2)", "'hel'"],
    ],
    make: plain('left', STRING),
  },
  {
    group: 'Texts',
    names: ['RIGHT'],
    params: [TEXT, param('count', 'int64')],
    result: 'string',
    note: 'All but the first `-count` code points where `count` is negative.',
    examples: [
      ["RIGHT('hello', 2)", "'lo'"],
      ["RIGHT('hello', -2)", "'llo'"],
    ],
    make: plain('right', STRING),
  },
  ...(['trim', 'trimStart', 'trimEnd'] as const).map((fn, i): SqlFunction => {
    const name = ['TRIM', 'LTRIM', 'RTRIM'][i]!;
    return {
      group: 'Texts',
      names: [name],
      params: [TEXT, { name: 'characters', kinds: ['string'], literal: true }],
      required: 1,
      result: 'string',
      note: `Takes characters off ${['both ends', 'the beginning', 'the end'][i]}: those given, or spaces (Unicode's category Zs).${i === 0 ? ' Also `TRIM(LEADING | TRAILING | BOTH characters FROM text)`.' : ''}`,
      examples: [
        [[`TRIM(BOTH 'x' FROM 'xaxx')`, `LTRIM('  a ')`, `RTRIM('axyx', 'xy')`][i]!, ["'a'", "'a '", "'a'"][i]!],
      ],
      make: (args, { at }) => call(fn, [args[0]!, args[1] ?? literal(SPACES, STRING, at)], STRING, at),
    };
  }),
  {
    group: 'Texts',
    names: ['REPLACE'],
    params: [TEXT, param('from', 'string'), param('to', 'string')],
    result: 'string',
    note: 'Every occurrence, from the left; nothing where `from` is empty.',
    examples: [["REPLACE('banana', 'an', 'o')", "'booa'"]],
    make: plain('replace', STRING),
  },
  {
    group: 'Texts',
    names: ['STARTS_WITH', 'PREFIX'],
    params: [TEXT, param('start', 'string')],
    result: 'bool',
    examples: [["STARTS_WITH('hello', 'he')", 'true']],
    make: plain('startsWith', BOOL),
  },
  {
    group: 'Texts',
    names: ['ENDS_WITH', 'SUFFIX'],
    params: [TEXT, param('end', 'string')],
    result: 'bool',
    examples: [["ENDS_WITH('hello', 'lo')", 'true']],
    make: plain('endsWith', BOOL),
  },
  {
    group: 'Texts',
    names: ['CONTAINS'],
    params: [param('text', 'string', 'list'), { name: 'part', kinds: null }],
    result: 'bool',
    note: 'Of a list it is LIST_CONTAINS.',
    examples: [
      ["CONTAINS('hello', 'ell')", 'true'],
      ["CONTAINS(['hello'], 'ell')", 'false'],
    ],
    make: ([of, part], written) => {
      if (of!.type.kind === 'list') return seek('listContains', of!, part!, BOOL, written);
      const text = fit(part!, param('part', 'string'), written, 1);
      return text && call('contains', [of!, text], BOOL, written.at);
    },
  },
  {
    group: 'Texts',
    names: ['STRPOS', 'INSTR', 'POSITION'],
    params: [TEXT, param('part', 'string')],
    result: 'int64',
    note: 'In code points from 1; 0 where the text has no such part. POSITION is written `POSITION(part IN text)`.',
    examples: [
      ["STRPOS('hello', 'l')", '3'],
      ["POSITION('z' IN 'hello')", '0'],
    ],
    make: plain('position', INT64),
  },
  {
    group: 'Texts',
    names: ['REVERSE'],
    params: [TEXT],
    result: 'string',
    note: 'By code points (DuckDB keeps a letter and its combining marks together).',
    examples: [["REVERSE('né😀')", "'😀én'"]],
    make: plain('reverse', STRING),
  },
  ...(['padStart', 'padEnd'] as const).map((fn, i): SqlFunction => {
    const name = ['LPAD', 'RPAD'][i]!;
    return {
      group: 'Texts',
      names: [name],
      params: [TEXT, param('count', 'int64'), param('filler', 'string')],
      result: 'string',
      note: `Filled ${['in front', 'at the end'][i]}, or cut at the end, to \`count\` code points. Null where \`filler\` is empty and needed.`,
      examples: [
        [`${name}('7', 3, '0')`, ["'007'", "'700'"][i]!],
        [`${name}('hello', 2, 'x')`, "'he'"],
      ],
      make: plain(fn, STRING),
    };
  }),
  {
    group: 'Texts',
    names: ['REPEAT'],
    params: [TEXT, param('count', 'int64')],
    result: 'string',
    examples: [["REPEAT('ab', 3)", "'ababab'"]],
    make: plain('repeat', STRING),
  },
  {
    group: 'Texts',
    names: ['SPLIT_PART'],
    params: [TEXT, param('separator', 'string'), param('index', 'int64')],
    result: 'string',
    note: 'Parts count from 1, or with a minus from the end; the empty text where there is none. An empty separator parts code points.',
    examples: [
      ["SPLIT_PART('a,b,c', ',', 2)", "'b'"],
      ["SPLIT_PART('a,b,c', ',', -1)", "'c'"],
      ["SPLIT_PART('a,b,c', ',', 9)", "''"],
    ],
    make: plain('splitPart', STRING),
  },
  {
    group: 'Texts',
    names: ['LIKE'],
    form: 'text [NOT] LIKE pattern [ESCAPE character]',
    params: [
      TEXT,
      { name: 'pattern', kinds: ['string'], literal: true },
      { name: 'character', kinds: ['string'], literal: true },
    ],
    required: 2,
    result: 'bool',
    note: `\`%\` stands for any text, \`_\` for one code point. No character escapes them unless ESCAPE names one. At most ${LIKE_PATTERN_LENGTH_MAX} characters.`,
    examples: [
      ["'hello' LIKE 'h_l%'", 'true'],
      ["'100%' LIKE '100!%' ESCAPE '!'", 'true'],
      ["'hello' NOT LIKE 'h%'", 'false'],
    ],
    make: makeLike,
  },
  {
    group: 'Texts',
    names: ['ILIKE'],
    form: 'text [NOT] ILIKE pattern',
    params: [TEXT, { name: 'pattern', kinds: ['string'], literal: true }],
    result: 'bool',
    note: 'LIKE of both in small letters, as LOWER makes them.',
    examples: [["'HELLO' ILIKE 'h_l%'", 'true']],
    make: ([text, pattern], written) => {
      const small = (of: Expression) => call('lower', [of], STRING, written.at);
      if (!isLikePattern(pattern!, '', written)) return null;
      return call('like', [small(text!), small(pattern!), literal('', STRING, written.at)], BOOL, written.at);
    },
  },
  {
    group: 'Texts',
    names: ['REGEXP_MATCHES'],
    params: [TEXT, PATTERN, OPTIONS],
    required: 2,
    result: 'bool',
    note: 'Is a part of the text like the pattern? Patterns and options are below. Also `text ~ pattern`, `text !~ pattern`, and `~*` and `!~*`, to which case does not matter.',
    examples: [
      ["REGEXP_MATCHES('flight 42', '\\d+$')", 'true'],
      ["REGEXP_MATCHES('Delayed', 'delay', 'i')", 'true'],
      ["'hello' ~ '^l'", 'false'],
    ],
    make: (args, written) => makeRegex('regexContains', BOOL, args, 2, written),
  },
  {
    group: 'Texts',
    names: ['REGEXP_FULL_MATCH'],
    params: [TEXT, PATTERN, OPTIONS],
    required: 2,
    result: 'bool',
    note: 'Is the whole text like the pattern? Also `text SIMILAR TO pattern`, whose pattern is a regular expression in DuckDB.',
    examples: [
      ["REGEXP_FULL_MATCH('AA42', '[A-Z]{2}\\d+')", 'true'],
      ["'AA42' SIMILAR TO '[A-Z]+'", 'false'],
    ],
    make: (args, written) => makeRegex('regexMatches', BOOL, args, 2, written),
  },
  {
    group: 'Texts',
    names: ['REGEXP_EXTRACT'],
    params: [TEXT, PATTERN, { name: 'group', kinds: ['int64'], literal: true }, OPTIONS],
    required: 2,
    result: 'string',
    note: 'The first part that is like the pattern, or what is in its group (1 to 9); the empty text where there is none.',
    examples: [
      ["REGEXP_EXTRACT('flight 42', '\\d+')", "'42'"],
      ["REGEXP_EXTRACT('ATL-ORD', '(\\w+)-(\\w+)', 2)", "'ORD'"],
      ["REGEXP_EXTRACT('hello', 'x')", "''"],
    ],
    make: makeRegexExtract,
  },
  {
    group: 'Texts',
    names: ['REGEXP_REPLACE'],
    params: [TEXT, PATTERN, { name: 'replacement', kinds: ['string'], literal: true }, OPTIONS],
    required: 3,
    result: 'string',
    note: 'The first part that is like the pattern, or with the option g every such part, replaced. In the replacement `\\1` to `\\9` stand for groups, `\\0` for the whole part, `\\\\` for a backslash. Null where the text would have to be read more than 64 times.',
    examples: [
      ["REGEXP_REPLACE('ATL-ORD', '(\\w+)-(\\w+)', '\\2-\\1')", "'ORD-ATL'"],
      ["REGEXP_REPLACE('a1b22', '\\d+', '#', 'g')", "'a#b#'"],
    ],
    make: makeRegexReplace,
  },
  {
    group: 'Texts',
    names: ['JARO_WINKLER_SIMILARITY'],
    params: [param('text', 'string'), param('other', 'string')],
    result: 'double',
    note: 'How alike two texts are: from 0, nothing in common or nothing there, to 1. By code points (DuckDB takes bytes).',
    examples: [
      ["JARO_WINKLER_SIMILARITY('duck', 'duck')", '1.0'],
      ["JARO_WINKLER_SIMILARITY('dixon', 'dicksonx')", '0.8133333333333332'],
    ],
    make: plain('similarity', DOUBLE),
  },
];

const TIMES: SqlFunction[] = [
  {
    group: 'Times',
    names: ['EXTRACT', 'DATE_PART', 'DATEPART'],
    params: [PART, MOMENT],
    result: 'int64; double for epoch',
    note: 'Written `EXTRACT(part FROM time)` or `DATE_PART(part, time)`. Parts: year, quarter, month, week and isoyear (ISO 8601), day, dow (0 is Sunday), isodow (1 is Monday, 7 Sunday), doy, hour, minute, second; millisecond and microsecond of the minute, whole seconds included; epoch, the seconds since 1970.',
    examples: [
      ["EXTRACT(year FROM TIMESTAMP '2001-03-11T23:59:00Z')", '2001'],
      ["EXTRACT(week FROM TIMESTAMP '2000-01-01')", '52'],
      ["DATE_PART('dow', TIMESTAMP '2001-03-11')", '0'],
      ["EXTRACT(epoch FROM TIMESTAMP '1970-01-01T00:00:01.5Z')", '1.5'],
    ],
    make: ([part, time], written) => {
      if (literalText(part!)?.toLowerCase() === 'epoch') return epochOf(time!, written.at);
      const name = partOf(part!, written, TIME_PARTS, ['epoch']);
      return name && partCall('datePart', name, [time!], INT64, written.at);
    },
  },
  {
    group: 'Times',
    names: ['YEAR', 'QUARTER', 'MONTH', 'WEEK', 'DAY', 'HOUR', 'MINUTE', 'SECOND', 'MILLISECOND', 'MICROSECOND'],
    params: [MOMENT],
    result: 'int64',
    note: 'EXTRACT of that part.',
    examples: [["HOUR(TIMESTAMP '2001-03-11T23:59:00Z')", '23']],
    make: ([time], { name, at }) => partCall('datePart', name.toLowerCase() as TimePart, [time!], INT64, at),
  },
  {
    group: 'Times',
    names: ['DAYOFWEEK', 'ISODOW', 'DAYOFYEAR', 'WEEKOFYEAR', 'ISOYEAR', 'DAYOFMONTH', 'WEEKDAY'],
    params: [MOMENT],
    result: 'int64',
    note: 'EXTRACT of dow, isodow, doy, week, isoyear, day and dow.',
    examples: [["DAYOFYEAR(TIMESTAMP '2001-03-11')", '70']],
    make: ([time], { name, at }) =>
      partCall('datePart', PART_ALIASES[name.toLowerCase()] ?? 'isodow', [time!], INT64, at),
  },
  {
    group: 'Times',
    names: ['EPOCH'],
    params: [MOMENT],
    result: 'double',
    note: 'Seconds since 1970: the microseconds as a double, divided by a million.',
    examples: [["EPOCH(TIMESTAMP '1970-01-01T00:01:00Z')", '60.0']],
    make: ([time], { at }) => epochOf(time!, at),
  },
  {
    group: 'Times',
    names: ['EPOCH_MS'],
    params: [param('time', 'time', 'int64')],
    result: 'int64 of a time, time of an int64',
    note: 'Milliseconds since 1970, rounded down (DuckDB rounds to the nearest), or the time that is so many after it.',
    examples: [
      ["EPOCH_MS(TIMESTAMP '1970-01-01T00:00:01Z')", '1000'],
      ['EPOCH_MS(1000)', '1970-01-01T00:00:01Z'],
    ],
    make: ([x], { at }) =>
      x!.type.kind === 'time' ? partCall('datePart', 'epoch_ms', [x!], INT64, at) : timeOf(x!, 1000n, at),
  },
  {
    group: 'Times',
    names: ['EPOCH_US'],
    params: [MOMENT],
    result: 'int64',
    note: 'Microseconds since 1970.',
    examples: [["EPOCH_US(TIMESTAMP '1970-01-01T00:00:01Z')", '1000000']],
    make: plain('toInt64', INT64),
  },
  {
    group: 'Times',
    names: ['TO_TIMESTAMP'],
    params: [param('seconds', 'int64')],
    result: 'time',
    note: 'Seconds since 1970, whole ones.',
    examples: [['TO_TIMESTAMP(60)', '1970-01-01T00:01:00Z']],
    make: ([x], { at }) => timeOf(x!, 1_000_000n, at),
  },
  {
    group: 'Times',
    names: ['MAKE_TIMESTAMP'],
    params: [param('microseconds', 'int64')],
    result: 'time',
    note: 'Microseconds since 1970.',
    examples: [['MAKE_TIMESTAMP(1500000)', '1970-01-01T00:00:01.500Z']],
    make: ([x], { at }) => timeOf(x!, 1n, at),
  },
  {
    group: 'Times',
    names: ['STRFTIME'],
    params: [MOMENT, FORMAT],
    result: 'string',
    note: `By a format of at most ${TIME_FORMAT_BYTES_MAX} bytes: %Y %y %m %d %j, %H %I %p %M %S, %g (milliseconds), %f (microseconds), %b %B (months), %a %A (days), %u %w, %U %W, %G %V (ISO weeks), %z, %x %X %c, %%; also %F %T %R. %-d and the like have no zeros in front.`,
    examples: [
      ["STRFTIME(TIMESTAMP '2001-03-11T07:08:09Z', '%d.%m.%y %H:%M')", "'11.03.01 07:08'"],
      ["STRFTIME(DATE '2001-03-11', '%A, %-d %B %Y')", "'Sunday, 11 March 2001'"],
    ],
    make: (args, written) =>
      isTimeFormat(args[1]!, 'spell', written) ? call('formatTime', args, STRING, written.at) : null,
  },
  {
    group: 'Times',
    names: ['STRPTIME', 'TRY_STRPTIME'],
    params: [TEXT, FORMAT],
    result: 'time',
    note: 'By a format as STRFTIME has it, without weeks. Null where the text is not so. What the format leaves out is that of 1900-01-01; %z is Z, +02, +0200 or +02:00.',
    examples: [
      ["STRPTIME('11/Mar/2001:07:08:09 +0200', '%d/%b/%Y:%H:%M:%S %z')", '2001-03-11T05:08:09Z'],
      ["STRPTIME('11.3.', '%d.%m.%Y')", 'NULL'],
    ],
    make: (args, written) =>
      isTimeFormat(args[1]!, 'read', written) ? call('parseTime', args, TIME, written.at) : null,
  },
  {
    group: 'Times',
    names: ['DATE_TRUNC', 'DATETRUNC'],
    params: [PART, MOMENT],
    result: 'time',
    note: 'The start of the year, quarter, month, week (Monday), day, hour, minute, second, millisecond or microsecond.',
    examples: [
      ["DATE_TRUNC('hour', TIMESTAMP '2001-03-11T23:59:00Z')", '2001-03-11T23:00:00Z'],
      ["DATE_TRUNC('week', TIMESTAMP '2001-03-11T23:59:00Z')", '2001-03-05T00:00:00Z'],
    ],
    make: ([part, time], written) => {
      const name = partOf(part!, written, SPANS, []);
      return name && partCall('dateTrunc', name, [time!], TIME, written.at);
    },
  },
  {
    group: 'Times',
    names: ['DATE_DIFF', 'DATEDIFF'],
    params: [PART, param('from', 'time'), param('to', 'time')],
    result: 'int64',
    note: 'How many starts of the part lie after `from`, up to `to`; negative where `to` is before `from`. Weeks begin on Monday (DuckDB counts every seven days after `from`).',
    examples: [
      ["DATE_DIFF('hour', TIMESTAMP '2001-03-11T22:59:00Z', TIMESTAMP '2001-03-11T23:01:00Z')", '1'],
      ["DATE_DIFF('month', TIMESTAMP '2001-03-11', TIMESTAMP '2001-01-31')", '-2'],
    ],
    make: ([part, from, to], written) => {
      const name = partOf(part!, written, SPANS, []);
      return name && partCall('dateDiff', name, [from!, to!], INT64, written.at);
    },
  },
  {
    group: 'Times',
    names: ['DATE_SUB', 'DATESUB'],
    params: [PART, param('from', 'time'), param('to', 'time')],
    result: 'int64',
    note: 'How many whole weeks, days, hours, minutes, seconds, milliseconds or microseconds lie between `from` and `to`.',
    examples: [["DATE_SUB('hour', TIMESTAMP '2001-03-11T22:59:00Z', TIMESTAMP '2001-03-11T23:01:00Z')", '0']],
    make: makeDateSub,
  },
];

const NUMBERS: SqlFunction[] = [
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

const CHOICES: SqlFunction[] = [
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

const LISTS: SqlFunction[] = [
  {
    group: 'Lists',
    names: ['LIST_EXTRACT', 'LIST_ELEMENT', 'ARRAY_EXTRACT'],
    params: [LIST, param('index', 'int64')],
    result: 'as the elements',
    note: '`list[index]`: elements count from 1, or with a minus from the end; null where there is none.',
    examples: [
      ['LIST_EXTRACT([4, 5, 6], 2)', '5'],
      ['LIST_EXTRACT([4, 5, 6], -1)', '6'],
      ['LIST_EXTRACT([4, 5, 6], 0)', 'NULL'],
    ],
    make: ([list, index], { at, symbol, args, faults }) =>
      elementAt(list!, index!, { at, symbol, of: args[0]!, index: args[1]! }, faults),
  },
  {
    group: 'Lists',
    names: ['ARRAY_LENGTH', 'CARDINALITY'],
    params: [LIST],
    result: 'int64',
    note: 'How many elements there are, nulls among them; also LEN and LENGTH.',
    examples: [['ARRAY_LENGTH([4, NULL])', '2']],
    make: plain('listLength', INT64),
  },
  {
    group: 'Lists',
    names: ['LIST_COUNT'],
    params: [LIST],
    result: 'int64',
    note: 'How many elements are not null.',
    examples: [['LIST_COUNT([4, NULL])', '1']],
    make: plain('listCount', INT64),
  },
  {
    group: 'Lists',
    names: ['LIST_CONTAINS', 'LIST_HAS', 'ARRAY_CONTAINS', 'ARRAY_HAS'],
    params: [LIST, ANY],
    result: 'bool',
    note: 'Is an element equal to the value? Elements that are null are not.',
    examples: [
      ["LIST_CONTAINS(['a', 'b'], 'b')", 'true'],
      ['LIST_CONTAINS([1, NULL], 2)', 'false'],
    ],
    make: ([list, value], written) => seek('listContains', list!, value!, BOOL, written),
  },
  {
    group: 'Lists',
    names: ['LIST_POSITION', 'LIST_INDEXOF', 'ARRAY_POSITION', 'ARRAY_INDEXOF'],
    params: [LIST, ANY],
    result: 'int64',
    note: 'From 1, of the first element that is equal to the value, or of the first null where the value is null; null where there is none.',
    examples: [
      ["LIST_POSITION(['a', 'b'], 'b')", '2'],
      ['LIST_POSITION([1, NULL], NULL)', '2'],
      ['LIST_POSITION([1, 2], 3)', 'NULL'],
    ],
    make: ([list, value], written) => seek('listPosition', list!, value!, INT64, written),
  },
  ...(['listMin', 'listMax'] as const).map(
    (fn, i): SqlFunction => ({
      group: 'Lists',
      names: [['LIST_MIN'], ['LIST_MAX']][i]!,
      params: [LIST],
      result: 'as the elements',
      note: `The ${['least', 'greatest'][i]} element that is not null, of scalars; texts compare by their UTF-8 bytes.`,
      examples: [[`LIST_${['MIN', 'MAX'][i]}([4, NULL, 6])`, ['4', '6'][i]!]],
      make: ([list], written) => {
        const type = elementType(list!, written, SCALARS);
        return type && call(fn, [list!], type, written.at);
      },
    }),
  ),
  {
    group: 'Lists',
    names: ['LIST_SUM'],
    params: [LIST],
    result: 'as the elements',
    note: 'Of int64 or double elements that are not null; null where there is none, and beyond int64. Doubles are summed exactly and rounded once, as SUM does.',
    examples: [
      ['LIST_SUM([4, NULL, 6])', '10'],
      ['LIST_SUM([1e100, 1.0, -1e100])', '1.0'],
      ['LIST_SUM([])', 'NULL'],
    ],
    make: ([list], written) => {
      const type = elementType(list!, written, SUMMED);
      return type && call('listSum', [list!], type, written.at);
    },
  },
  {
    group: 'Lists',
    names: ['LIST_AVG'],
    params: [LIST],
    result: 'double',
    note: 'Of int64 or double elements that are not null: their exact sum divided by their count, rounded once.',
    examples: [['LIST_AVG([4, NULL, 7])', '5.5']],
    make: ([list], written) => {
      const type = elementType(list!, written, SUMMED);
      return type && call('listMean', [list!], DOUBLE, written.at);
    },
  },
];

export const FUNCTIONS: readonly SqlFunction[] = [...TEXTS, ...TIMES, ...NUMBERS, ...LISTS, ...CHOICES];

const BY_NAME = new Map(FUNCTIONS.flatMap(of => of.names.map(name => [name, of] as const)));

export function findFunction(name: string): SqlFunction | undefined {
  return BY_NAME.get(name);
}

/** What can be called by NAME(...). */
export const CALLABLE = [...BY_NAME.keys()].filter(name => !WRITTEN_BETWEEN.has(name));

/** Checks the arguments of a call against its params, and makes it; null where that put a fault into `faults`. */
export function bindFunction(bound: Expression[], written: Written): Expression | null {
  const { name, faults, symbol } = written;
  const fn = BY_NAME.get(name);
  assert(fn, `no function ${name}`);
  const most = fn.repeats ? Infinity : fn.params.length;
  const least = fn.required ?? fn.params.length;
  if (bound.length < least || bound.length > most) {
    const range = least === most ? plural(least) : `${COUNTS[least]} or ${plural(most)}`;
    const wanted = fn.repeats ? `at least ${plural(least)}` : range;
    faults.push(new Fault('definition', `${name} wants ${wanted}, got ${bound.length}`, symbol.at));
    return null;
  }
  const args = bound.map((arg, i) => fit(arg, fn.params[Math.min(i, fn.params.length - 1)]!, written, i));
  if (args.includes(null) || !isSpelledAlike(args as Expression[], written)) return null;
  return fn.make(args as Expression[], written);
}

/** What is joined with texts is spelled as CAST does, which not every dialect does. */
function isSpelledAlike(args: Expression[], { name, rules, args: nodes, faults }: Written): boolean {
  if (!rules || (name !== '||' && name !== 'CONCAT')) return true;
  const odd = args.findIndex(({ type }) => !rules.spells.includes(type.kind));
  if (odd < 0) return true;
  const message = `${name} of ${typeName(args[odd]!.type)} is not supported in ${rules.name}: it is spelled otherwise there`;
  faults.push(new Fault('unsupported', message, nodes[odd]!.at));
  return false;
}

const COUNTS = ['no', 'one', 'two', 'three'];

function plural(count: number): string {
  return `${COUNTS[count]} argument${count === 1 ? '' : 's'}`;
}

/** An argument as its param wants it; null where it cannot be that. */
function fit(
  arg: Expression,
  { name, kinds, literal: isLiteral }: Param,
  written: Written,
  index: number,
): Expression | null {
  const { faults, args } = written;
  const { at, text } = args[index]!;
  const fault = (message: string) => {
    faults.push(new Fault('definition', message, at));
    return null;
  };
  if (!kinds) return arg;
  if (isNullLiteral(arg) && !isLiteral) return nullLiteral(kinds[0] === 'list' ? NO_LIST : { kind: kinds[0]! }, arg.at);
  const adapted = kinds.includes('time') && !kinds.includes('string') ? adapt(arg, TIME, faults) : arg;
  if (!adapted) return null;
  if (isLiteral && (adapted.kind !== 'literal' || isNullLiteral(adapted)))
    return fault(`${written.name} wants a literal as ${name}, got ${text}`);
  const { kind } = adapted.type;
  if (kinds.some(known => known === kind)) return adapted;
  const hint = HINTS[`${kind} ${kinds[0]}`]?.(text) ?? '';
  return fault(`${written.name} wants ${kinds.join(' or ')} as ${name}, got ${typeName(adapted.type)}${hint}`);
}

/** What to write where a type is not the one that is wanted. */
const HINTS: Record<string, (text: string) => string> = {
  'list string': text => `: write ${text}[1] for its first element`,
  'string list': text => `: declare ${text} as [string] if it is one`,
  'double int64': text => `: write CAST(${text} AS BIGINT), which rounds`,
  'double string': text => `: doubles are not spelled; write CAST(ROUND(${text}) AS BIGINT)`,
  'bool int64': text => `: write CAST(${text} AS BIGINT)`,
  'int64 string': text => `: write CAST(${text} AS VARCHAR)`,
  'string int64': text => `: write CAST(${text} AS BIGINT)`,
  'string time': text => `: write CAST(${text} AS TIMESTAMP)`,
  'int64 time': text => `: write EPOCH_MS(${text}) for milliseconds, TO_TIMESTAMP(${text}) for seconds`,
};

const INT64_MAX = 2n ** 63n - 1n;

/** NULL where a list is wanted. */
const NO_LIST: Type = { kind: 'list', of: { type: INT64, presence: OPTIONAL } };

const SCALARS: ScalarKind[] = ['bool', 'int64', 'double', 'string', 'time'];
const SUMMED: ScalarKind[] = ['int64', 'double'];

/** The type of a list's elements, where it is one of `kinds`; else a fault, and null. */
function elementType({ type }: Expression, { name, args, faults }: Written, kinds: ScalarKind[]): Type | null {
  assert(type.kind === 'list', `${name} takes a list`);
  const element = type.of.type;
  if (kinds.some(kind => kind === element.kind)) return element;
  const wanted = kinds === SCALARS ? 'scalars' : kinds.join(' or ');
  const message = `${name} wants a list of ${wanted}, got ${typeName(type)}`;
  faults.push(new Fault('definition', message, args[0]!.at));
  return null;
}

/** A value among the elements of a list: of their type, or an int64 among doubles. */
function seek(fn: FunctionName, list: Expression, value: Expression, type: Type, written: Written): Expression | null {
  const { name, args, at, faults } = written;
  const element = elementType(list, written, SCALARS);
  const adapted = element && adapt(value, element, faults);
  if (!adapted) return null;
  const isNumber = element.kind === 'double' && adapted.type.kind === 'int64';
  if (adapted.type.kind === element.kind || isNumber) return call(fn, [list, adapted], type, at);
  const message = `${name} wants ${typeName(element)}, as the elements of ${args[0]!.text} are, got ${typeName(adapted.type)}`;
  faults.push(new Fault('definition', message, args[1]!.at));
  return null;
}

/**
 * list[index]. Elements count from 1, or with a minus from the end, and the plan counts from 0; what it has none of is
 * null, so that 0 may stand for what is behind the last one.
 */
export function elementAt(
  of: Expression,
  index: Expression,
  written: { of: SqlNode; index: SqlNode; symbol: Word; at: Position },
  faults: Fault[],
): Expression | null {
  const { at, symbol } = written;
  const fault = (message: string, node: SqlNode) => {
    faults.push(new Fault('definition', message, node.at));
    return null;
  };
  const list = isNullLiteral(of) ? nullLiteral(NO_LIST, of.at) : of;
  if (list.type.kind !== 'list') {
    const hint = list.type.kind === 'string' ? `: write SUBSTRING(${written.of.text}, ${written.index.text}, 1)` : '';
    return fault(`${symbol.name} wants a list, got ${typeName(list.type)}${hint}`, written.of);
  }
  const by = isNullLiteral(index) ? nullLiteral(INT64, index.at) : index;
  if (by.type.kind !== 'int64') return fault(`${symbol.name} wants an int64, got ${typeName(by.type)}`, written.index);
  return { kind: 'index', of: list, by: countedFromZero(by, list, at), type: list.type.of.type, at };
}

function countedFromZero(index: Expression, list: Expression, at: Position): Expression {
  const whole = (fn: FunctionName, ...args: Expression[]) => call(fn, args, INT64, at);
  const fromEnd = whole('add', whole('listLength', list), index);
  if (index.kind === 'literal') {
    if (typeof index.value !== 'bigint') return index;
    return index.value > 0n ? literal(index.value - 1n, INT64, at) : fromEnd;
  }
  const isFromStart = call('greater', [index, literal(0n, INT64, at)], BOOL, at);
  return whole('case', isFromStart, whole('subtract', index, literal(1n, INT64, at)), fromEnd);
}

export function asText(arg: Expression): Expression {
  return arg.type.kind === 'string' ? arg : { kind: 'call', fn: 'toText', args: [arg], type: STRING, at: arg.at };
}

/** Joins of joins are one. */
function joined(parts: Expression[], at: Position): Expression {
  const flat = parts.flatMap(part => (part.kind === 'call' && part.fn === 'concat' ? part.args : [part]));
  return call('concat', flat, STRING, at);
}

function unified(fn: FunctionName, args: Expression[], { name, args: nodes, at, faults }: Written): Expression | null {
  const same = unify(args, nodes, name, faults);
  if (!same || isScalar(same.type) || fn === 'coalesce') return same && call(fn, same.values, same.type, at);
  const message = `${name} wants scalars, got ${typeName(same.type)}; ${scalarHint(same.type, nodes[0]!.text)}`;
  faults.push(new Fault('definition', message, nodes[0]!.at));
  return null;
}

function makeLike([text, pattern, sign]: Expression[], written: Written): Expression | null {
  const character = sign ? literalText(sign)! : '';
  if ([...character].length > 1) {
    const message = `ESCAPE wants one character, got '${character}'`;
    written.faults.push(new Fault('definition', message, written.args[2]!.at));
    return null;
  }
  if (!isLikePattern(pattern!, character, written)) return null;
  return call('like', [text!, pattern!, literal(character, STRING, written.at)], BOOL, written.at);
}

function isLikePattern(pattern: Expression, character: string, { name, args, faults }: Written): boolean {
  const text = literalText(pattern)!;
  const fault = (code: 'definition' | 'too_large', message: string) => {
    faults.push(new Fault(code, message, args[1]!.at));
    return false;
  };
  if (text.length > LIKE_PATTERN_LENGTH_MAX)
    return fault(
      'too_large',
      `${name}: a pattern of ${text.length} characters, and at most ${LIKE_PATTERN_LENGTH_MAX} are matched`,
    );
  let escaped = false;
  for (const one of text) escaped = !escaped && one === character;
  return !escaped || fault('definition', `${name}: the pattern ends in its escape character ${character}`);
}

function makeRegex(
  fn: FunctionName,
  type: Type,
  args: Expression[],
  optionsIndex: number,
  written: Written,
  isReplacement = false,
): Expression | null {
  const read = optionsOf(args[optionsIndex], optionsIndex, written, isReplacement);
  const regex = read?.(literalText(args[1]!)!);
  if (!regex || !isRegex(regex.pattern, written)) return null;
  const name = fn === 'regexReplace' && regex.all ? 'regexReplaceAll' : fn;
  const more = optionsIndex === 3 ? [args[2]!] : [];
  return call(name, [args[0]!, literal(regex.pattern, STRING, args[1]!.at), ...more], type, written.at);
}

function makeRegexExtract(args: Expression[], written: Written): Expression | null {
  const [text, pattern, second, third] = args;
  const { faults, at } = written;
  const group = second ?? literal(0n, INT64, at);
  const value = group.kind === 'literal' ? (group.value as bigint) : 0n;
  const made = makeRegex('regexExtract', STRING, [text!, pattern!, group, ...(third ? [third] : [])], 3, written);
  if (!made) return null;
  const { groups } = compileRegex(literalText(pattern!)!);
  if (value >= 0n && value <= BigInt(Math.min(groups, REGEX_GROUP_MAX))) return made;
  const message = `${written.name} wants a group of the pattern, 0 to ${Math.min(groups, REGEX_GROUP_MAX)}, got ${value}`;
  faults.push(new Fault('definition', message, written.args[2]!.at));
  return null;
}

/** As in DuckDB, where a replacement has one digit for them too. */
const REGEX_GROUP_MAX = 9;

function makeRegexReplace(args: Expression[], written: Written): Expression | null {
  const [text, pattern, replacement, options] = args;
  const made = makeRegex(
    'regexReplace',
    STRING,
    [text!, pattern!, replacement!, ...(options ? [options] : [])],
    3,
    written,
    true,
  );
  if (!made) return null;
  const { groups } = compileRegex(literalText(pattern!)!);
  try {
    readReplacement(literalText(replacement!)!, groups);
    return made;
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    written.faults.push(new Fault('definition', `${written.name}: ${error.message}`, written.args[2]!.at));
    return null;
  }
}

function isRegex(pattern: string, { name, args, faults }: Written): boolean {
  try {
    compileRegex(pattern);
    return true;
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    faults.push(new Fault('definition', `${name}: ${error.message}`, args[1]!.at));
    return false;
  }
}

function isTimeFormat(format: Expression, use: 'read' | 'spell', { name, args, faults }: Written): boolean {
  try {
    compileTimeFormat(literalText(format)!, use);
    return true;
  } catch (error) {
    if (!(error instanceof TimeFormatError)) throw error;
    faults.push(new Fault('definition', `${name}: ${error.message}`, args[1]!.at));
    return false;
  }
}

interface RegexOptions {
  pattern: string;
  all: boolean;
}

/** Options stand before the pattern then, as its own syntax has them: `(?i)`. */
function optionsOf(
  of: Expression | undefined,
  index: number,
  { name, args, faults }: Written,
  isReplacement: boolean,
): ((pattern: string) => RegexOptions) | null {
  const letters = of ? literalText(of)! : '';
  const odd = [...letters].find(letter => !'cilsmnp'.includes(letter) && !(letter === 'g' && isReplacement));
  if (odd !== undefined) {
    const known = `c, i, l, m, n, p and s${isReplacement ? ', and g' : ''}`;
    faults.push(new Fault('definition', `${name} knows no option ${odd}; there are ${known}`, args[index]!.at));
    return null;
  }
  const last = (of: string) => [...letters].findLast(letter => of.includes(letter));
  const flags = (last('ci') === 'i' ? 'i' : '') + (last('smnp') === 's' ? 's' : '');
  return pattern => ({
    pattern: (flags && `(?${flags})`) + (letters.includes('l') ? quoteRegex(pattern) : pattern),
    all: letters.includes('g'),
  });
}

const PART_ALIASES: Record<string, TimePart> = {
  dayofweek: 'dow',
  weekday: 'dow',
  isodow: 'isodow',
  dayofyear: 'doy',
  weekofyear: 'week',
  dayofmonth: 'day',
  isoyear: 'isoyear',
};

/** The parts that times can be cut at: those up to the year. */
const SPANS: readonly TimePart[] = TIME_PARTS.slice(0, TIME_PARTS.indexOf('year') + 1);

/** The part of times that a literal names, in the singular or the plural; null where it is none of `known`. */
function partOf(part: Expression, written: Written, known: readonly TimePart[], others: string[]): TimePart | null {
  const text = literalText(part)!.toLowerCase();
  const name = PART_ALIASES[text] ?? (text.endsWith('s') ? text.slice(0, -1) : text);
  const found = known.find(one => one === name && one !== 'epoch_ms');
  if (found) return found;
  const names = [...known.filter(one => one !== 'epoch_ms'), ...others];
  const hint = didYouMean(text, names) || `; there are ${names.join(', ')}`;
  const message = `${written.name} knows no part "${text}"${hint}`;
  written.faults.push(new Fault('definition', message, written.args[0]!.at));
  return null;
}

function partCall(fn: FunctionName, part: TimePart, args: Expression[], type: Type, at: Position): Expression {
  return call(fn, [literal(part, STRING, at), ...args], type, at);
}

function epochOf(time: Expression, at: Position): Expression {
  const micros = call('toInt64', [time], INT64, at);
  return call('divide', [micros, literal(1_000_000n, INT64, at)], DOUBLE, at);
}

function timeOf(count: Expression, unitMicros: bigint, at: Position): Expression {
  const micros = unitMicros === 1n ? count : call('multiply', [count, literal(unitMicros, INT64, at)], INT64, at);
  return call('timeOfMicros', [micros], TIME, at);
}

/** Microseconds of the parts that are always as long. */
export const PART_MICROS: Partial<Record<TimePart, bigint>> = {
  microsecond: 1n,
  millisecond: 1_000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: 86_400_000_000n,
  week: 604_800_000_000n,
};

function makeDateSub([part, from, to]: Expression[], written: Written): Expression | null {
  const { at } = written;
  const name = partOf(part!, written, SPANS, []);
  const length = name && PART_MICROS[name];
  if (!name) return null;
  if (length === undefined || length === null) {
    const message = `${written.name} of ${name}s is not supported: DATE_DIFF counts how many begin`;
    written.faults.push(new Fault('unsupported', message, written.args[0]!.at));
    return null;
  }
  const micros = (time: Expression) => call('toInt64', [time], INT64, at);
  const between = call('subtract', [micros(to!), micros(from!)], INT64, at);
  return call('quotient', [between, literal(length, INT64, at)], INT64, at);
}

/** 10^18 is the greatest power of ten in an int64; a double has 17 digits at most. */
const ROUND_DIGITS_MAX = 18n;

function makeRound([x, digits]: Expression[], written: Written): Expression | null {
  const { at, args, faults } = written;
  if (!digits) return x!.type.kind === 'double' ? call('round', [x!], DOUBLE, at) : x!;
  const count = digits.kind === 'literal' ? (digits.value as bigint) : 0n;
  if (count >= -ROUND_DIGITS_MAX && count <= ROUND_DIGITS_MAX) return call('roundTo', [x!, digits], x!.type, at);
  const message = `ROUND wants -${ROUND_DIGITS_MAX} to ${ROUND_DIGITS_MAX} as digits, got ${count}`;
  faults.push(new Fault('definition', message, args[1]!.at));
  return null;
}
