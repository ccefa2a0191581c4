import { join } from 'node:path';
import { REGEX_GROUPS_MAX, REGEX_REPEAT_MAX, REGEX_STATES_MAX } from '../src/plan/regex.ts';
import { AGGREGATES } from '../src/compile/aggregates.ts';
import type { Dialect } from '../src/compile/dialect.ts';
import { DIALECTS } from '../src/compile/dialects.ts';
import { FUNCTIONS } from '../src/compile/functions.ts';
import type { Param, SqlFunction } from '../src/compile/functions/function.ts';

/**
 * Writes docs/functions.md, out of the table that the compiler checks and builds calls by. A test keeps the page as it
 * is made here, and computes every example in the kernel.
 */
interface Row {
  form: string;
  result: string;
  note: string;
  examples: [sql: string, value: string][];
}

/** What is no function of the table. */
export const OPERATORS: Row[] = [
  {
    form: '`x + y`, `x - y`, `x * y`, `-x`',
    result: 'int64; double where either is',
    note: 'Null beyond int64.',
    examples: [
      ['7 - 2 * 3', '1'],
      ['1 + 0.5', '1.5'],
    ],
  },
  { form: '`x / y`', result: 'double', note: 'Null where `y` is 0.', examples: [['7 / 2', '3.5']] },
  { form: '`x % y`', result: 'int64', note: 'The sign of `x`; null where `y` is 0.', examples: [['-7 % 3', '-1']] },
  {
    form: '`=`, `<>`, `<`, `<=`, `>`, `>=`, `BETWEEN`, `IN`',
    result: 'bool',
    note: 'Texts by their UTF-8 bytes; a text beside a time is read as a time.',
    examples: [
      ["'a' < 'b'", 'true'],
      ["TIMESTAMP '2001-03-11' BETWEEN '2001-03-01' AND '2001-03-31'", 'true'],
      ['3 NOT IN (1, 2)', 'true'],
    ],
  },
  {
    form: '`AND`, `OR`, `NOT`, `IS NULL`, `IS NOT NULL`',
    result: 'bool',
    note: 'Three-valued: `FALSE AND NULL` is false.',
    examples: [
      ['FALSE AND NULL', 'false'],
      ['NULL IS NULL', 'true'],
    ],
  },
  {
    form: "`struct.field`, `struct['field']`",
    result: 'as the field',
    note: 'Null of a null struct.',
    examples: [],
  },
  {
    form: '`list[index]`',
    result: 'as the elements',
    note: 'From 1, or with a minus from the end; null where there is none.',
    examples: [
      ['[4, 5, 6][1]', '4'],
      ['[4, 5, 6][-1]', '6'],
      ['[4, 5, 6][7]', 'NULL'],
    ],
  },
  {
    form: '`[x, y, ...]`',
    result: 'a list',
    note: 'Of literals of one type; beside doubles an int64 becomes one.',
    examples: [["LIST_CONTAINS(['ATL', 'ORD'], 'ORD')", 'true']],
  },
  {
    form: '`CASE [x] WHEN ... THEN ... ELSE ... END`',
    result: 'as its values',
    note: 'Null without ELSE.',
    examples: [["CASE WHEN 2 > 1 THEN 'yes' ELSE 'no' END", "'yes'"]],
  },
  {
    form: '`time + INTERVAL n unit`, `time - INTERVAL ...`',
    result: 'time',
    note: "Microseconds to weeks, months, quarters, years; `INTERVAL '1 day 12 hours'`, or `INTERVAL (x) DAY` of a computed int64. Months first; a day that the month does not have becomes its last.",
    examples: [
      ["TIMESTAMP '2001-03-11T23:59:00Z' + INTERVAL 2 MINUTES", '2001-03-12T00:01:00Z'],
      ["TIMESTAMP '2001-03-31' - INTERVAL '1 month'", '2001-02-28T00:00:00Z'],
      ["TIMESTAMP '2001-03-11' + INTERVAL (3 * 2) HOUR", '2001-03-11T06:00:00Z'],
    ],
  },
  {
    form: '`time - time`',
    result: 'int64',
    note: 'Microseconds (DuckDB makes an INTERVAL, which is no value here). DATE_DIFF and DATE_SUB count other units.',
    examples: [["TIMESTAMP '2001-03-11T00:00:01Z' - TIMESTAMP '2001-03-11'", '1000000']],
  },
  {
    form: "`TIMESTAMP '...'`, `DATE '...'`",
    result: 'time',
    note: 'RFC 3339, UTC where no offset is written, or a date alone: its midnight.',
    examples: [["DATE '2001-03-11'", '2001-03-11T00:00:00Z']],
  },
  {
    form: '`CAST(x AS type)`, `TRY_CAST(x AS type)`, `x::type`',
    result: 'the type',
    note: 'BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP and their other names. A text that spells no value is null, for CAST as for TRY_CAST. Texts spell an int64 by a sign and digits with spaces around them; a double by those, a point and a power of ten; a bool by true, t, yes, y, 1 or false, f, no, n, 0 in any case; a time as event times are written, or by a date. A time as a text is RFC 3339. Doubles are rounded to int64, ties to even; they have no spelling.',
    examples: [
      ["CAST(' 42 ' AS BIGINT)", '42'],
      ["CAST('4.2' AS BIGINT)", 'NULL'],
      ["CAST('4.2e1' AS DOUBLE)", '42.0'],
      ["CAST('Yes' AS BOOLEAN)", 'true'],
      ["CAST('2001-03-11T02:00:00+02:00' AS TIMESTAMP)", '2001-03-11T00:00:00Z'],
      ["CAST(TIMESTAMP '2001-03-11' AS VARCHAR)", "'2001-03-11T00:00:00Z'"],
      ['2.5::BIGINT', '2'],
    ],
  },
];

const HEAD = `# Functions of expressions

What SQL in a feature set can compute: in WHERE, FILTER and arguments of aggregates over the columns of an event, among
them \`_time\`, the event's own time; beside aggregates and under \`derive:\` over what was aggregated. Names are DuckDB's,
and so are the values, but where a line says otherwise; [at the end](#dialects) are those of other dialects.

Unless a line says otherwise a null argument gives null, and so does a result that its type cannot hold: int64 beyond
64 bits, times outside of the years 0000 to 9999. CONCAT, \`||\`, REPLACE, LPAD, RPAD and REPEAT give null where the
text would be longer than 16 KiB and than each of their arguments. All times are UTC. Nothing is random, and nothing
depends on the machine: lookups and replays compute the same, to the last bit.

Lists and structs are taken apart, looked through, and chosen whole: IS NULL, COALESCE, IFNULL, IF and CASE take them.
They are not compared with each other, and no new ones are made but lists of literals.

This page is made by \`bun scripts/functions.ts\`; a test computes its examples.
`;

const REGEX = `## Regular expressions

Patterns are literals with RE2's syntax and meaning, as in DuckDB. They are matched by a program of their own in time that
grows with the text only, whatever the pattern. Of several ways to match the first text that matches counts, and the
alternative written first.

| | |
|---|---|
| \`x\`, \`.\`, \`[a-z]\`, \`[^a-z]\` | a character, any but a line's end, one of a class, one of none |
| \`\\d\`, \`\\s\`, \`\\w\`, \`\\D\`, \`\\S\`, \`\\W\`, \`[[:alpha:]]\` | digits, spaces, letters of ASCII and the like, and what is none of them |
| \`xy\`, \`x\\|y\` | one after the other, either |
| \`*\`, \`+\`, \`?\`, \`{n}\`, \`{n,}\`, \`{n,m}\` | repetitions, as many as there are; with a \`?\` behind them as few. At most ${REGEX_REPEAT_MAX} |
| \`(x)\`, \`(?P<name>x)\`, \`(?:x)\` | groups, and one that is not kept. At most ${REGEX_GROUPS_MAX} |
| \`^\`, \`$\`, \`\\A\`, \`\\z\`, \`\\b\`, \`\\B\` | the text's start and end, the edge of a word and what is none (between code points; DuckDB looks between bytes) |
| \`(?i)\`, \`(?s)\`, \`(?m)\`, \`(?U)\` | from here on: either case (by Unicode's simple folding), \`.\` is a line's end too, \`^\` and \`$\` at each line, repetitions are lazy |
| \`\\.\`, \`\\n\`, \`\\x41\`, \`\\x{1F600}\`, \`\\Q...\\E\` | characters as they are, by name, by number |

Refused are references to groups and looks ahead and behind, for which no such time is known; \`\\p{...}\`; and what comes to
more than ${REGEX_STATES_MAX} states when repetitions are written out. Options are letters: i (either case), c (not so), s (\`.\` is
a line's end too), l (the pattern is a plain text), and for REGEXP_REPLACE g (all).
`;

const DIALECTS_HEAD = `## Dialects

What feature sets of another [dialect](definitions.md#dialects) can call, and what it is in DuckDB's words above. Every dialect
also has the operators of comparison, logic and arithmetic, CASE, IN, BETWEEN, IS NULL, LIKE, CAST, COUNT, SUM, AVG, MIN, MAX,
FIRST and LAST, and those [aggregates](aggregates.md) that mean the same everywhere, or that no
other system has: ${code(AGGREGATES.flatMap(({ everywhere }) => everywhere))}. Some arguments have to be written, for where they are computed systems differ:
\`start\` is a number from 1 on, \`count\` one from 0 on, \`filler\` a text that is not empty, \`step\` an INTERVAL, \`span\` one of
days or of what a day is a multiple of, \`monday\` a 1, \`part\`, \`elapsed\`, \`field\` and \`unit\` a part of times, \`pattern\` a regular expression, \`ungrouped\` one without groups.
`;

/** Databricks is as Spark, and Presto and Athena as Trino. */
const SAME_AS: Record<string, string> = { spark: 'spark, databricks', trino: 'trino, presto, athena' };

function code(words: string[]): string {
  return words.map(word => `\`${word}\``).join(', ');
}

function dialectSection([name, dialect]: [string, Dialect]): string {
  const { rules, types, parts, fields, regex, operators, calls, casts = [], instead = {} } = dialect;
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const kinds = Object.entries(types).filter(([, names]) => names);
  const division = rules.division === 'whole' ? 'a whole number, as `//` gives' : 'a double';
  const infinite = rules.zero === 'infinite' ? '; a divisor of doubles is a number or NULLIF(x, 0)' : '';
  const texts =
    rules.texts === 'equal'
      ? 'texts are only compared by = and <>, for a collation orders them'
      : rules.texts === 'padded'
        ? 'texts are only compared by = and <>, and spaces at their ends do not count'
        : rules.asBytes !== undefined
          ? `texts are compared by = and <> where one of them is text ${rules.asBytes}, for else a collation decides, and spaces at their ends do not count; LIKE the same way`
          : rules.texts === 'collated'
            ? 'texts are compared where one of them is BINARY text, for else a collation decides; LIKE as LIKE BINARY'
            : '';
  const patterns =
    regex === 're2'
      ? 'all of them'
      : regex.length > 0
        ? `only ${code(regex)} beside characters, classes, groups, alternatives and greedy repetitions`
        : 'none';
  const facts = [
    `\`i / j\` of int64 is ${division}${infinite}`,
    texts,
    dialect.hasIlike ? '' : 'no ILIKE',
    Object.keys(operators).length > 0 ? `operators ${code(Object.keys(operators))}` : '',
    `patterns of regular expressions: ${patterns}`,
    kinds.length > 0 ? `types ${kinds.map(([kind, names]) => `${code(names.split(' '))} (${kind})`).join(', ')}` : '',
    casts.length > 0 ? `casts ${casts.map(([name, to]) => `\`${name}(x)\` (${to})`).join(', ')}` : '',
    dialect.hasBareCount ? '`COUNT()` is `COUNT(*)`' : '',
    dialect.hasTernary ? '`a ? b : c` is `IF(a, b, c)`; another one within it wants brackets' : '',
    rules.hasTextSums ? '`+` joins texts' : '',
    dialect.hasConvert ? '`CONVERT(type, x)` is `CAST(x AS type)`' : '',
    rules.hasWholeMeans ? `AVG of whole numbers is refused, for it is whole there: CAST them` : '',
    rules.hasBits ? 'bools are compared with 0 and 1 too' : '',
    rules.hasOddNulls ? 'IN, and WHEN behind `CASE x`, take literals, and no NULL' : '',
    Object.keys(parts).length > 0
      ? `parts of times ${code(
          Object.keys(parts)
            .filter(part => parts[part])
            .map(part => part.toLowerCase()),
        )}`
      : '',
    Object.keys(fields).length > 0 ? `EXTRACT of ${code(Object.keys(fields).map(field => field.toLowerCase()))}` : '',
  ].filter(Boolean);
  const same = calls.filter(([theirs, ours]) => theirs === ours).map(([theirs]) => theirs);
  const others = calls.filter(([theirs, ours]) => theirs !== ours);
  const rows = others.map(([theirs, ours]) => `| \`${cell(theirs)}\` | \`${cell(ours)}\` |`);
  const refused = Object.entries(instead).map(([call, why]) => `- no ${call}: ${why}`);
  return [
    `### ${SAME_AS[name] ?? name}`,
    '',
    ...facts.map(fact => `- ${fact}`),
    `- as they are here: ${code(same)}`,
    '',
    `| ${rules.name} | |`,
    '|---|---|',
    ...rows,
    '',
    ...(refused.length > 0 ? [...refused, ''] : []),
  ].join('\n');
}

function dialectsSection(): string {
  const shown = Object.entries(DIALECTS).filter(([name]) => !['databricks', 'presto', 'athena'].includes(name));
  return [DIALECTS_HEAD, ...shown.map(dialectSection)].join('\n').trimEnd().concat('\n');
}

const GROUPS: SqlFunction['group'][] = ['Texts', 'Times', 'Numbers', 'Lists', 'Choices'];

export function functionsPage(): string {
  const sections = GROUPS.map(group => section(group, FUNCTIONS.filter(fn => fn.group === group).map(rowOf)));
  return [HEAD, section('Operators and casts', OPERATORS), ...sections, REGEX, dialectsSection()].join('\n');
}

function section(title: string, rows: Row[]): string {
  const lines = rows.map(({ form, result, note, examples }) => {
    const shown = examples.map(([sql, value]) => `\`${sql}\` = \`${value}\``).join('<br>');
    return `| ${[form, result, note, shown].map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [`## ${title}`, '', '| | gives | | |', '|---|---|---|---|', ...lines, ''].join('\n');
}

function rowOf(fn: SqlFunction): Row {
  const [first, ...others] = fn.names;
  const form = fn.form ?? `${first}(${paramsOf(fn)})`;
  const also = others.map(name => `\`${name}\``).join(', ');
  const types = fn.params.flatMap(({ name, kinds, literal }) =>
    kinds ? [`${name}: ${kinds.join(' or ')}${literal ? ', a literal' : ''}`] : [],
  );
  const lines = [`\`${form}\``, ...new Set(types), ...(also && !fn.form ? [`also ${also}`] : [])];
  return { form: lines.join('<br>'), result: fn.result, note: fn.note ?? '', examples: fn.examples };
}

function paramsOf({ params, required = params.length, repeats = false }: SqlFunction): string {
  const text = (list: Param[]) => list.map(({ name }) => name).join(', ');
  const optional = params.slice(required);
  const tail = optional.length > 0 ? `[, ${text(optional)}]` : '';
  return text(params.slice(0, required)) + tail + (repeats ? ', ...' : '');
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '..', 'docs', 'functions.md'), functionsPage());
