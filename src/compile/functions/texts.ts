import { Fault, type Position } from '../../base/fault.ts';
import type { Expression } from '../../plan/expression.ts';
import { BOOL, DOUBLE, INT64, STRING } from '../../plan/value.ts';
import { call, literal, literalText } from '../typing.ts';
import {
  OPTIONS,
  PATTERN,
  SPELLABLE,
  type SqlFunction,
  TEXT,
  type Written,
  asText,
  fit,
  param,
  plain,
} from './function.ts';
import { seek } from './lists.ts';
import { INT64_MAX } from './numbers.ts';
import { makeRegex, makeRegexExtract, makeRegexReplace } from './regexes.ts';

/** What TRIM takes off where nothing is said: Unicode's space separators. */
const SPACES = ' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000';

/** A literal pattern is matched in at most its length times that of the text. */
export const LIKE_PATTERN_LENGTH_MAX = 1024;

/** What is made of texts: pieces, searches, patterns. */
export const TEXTS: SqlFunction[] = [
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

/** Joins of joins are one. */
function joined(parts: Expression[], at: Position): Expression {
  const flat = parts.flatMap(part => (part.kind === 'call' && part.fn === 'concat' ? part.args : [part]));
  return call('concat', flat, STRING, at);
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
