/**
 * Definitions and configurations of any text: the compiler ends, with a plan that a kernel takes or with faults whose places are in
 * the file; and whatever it has read before, the next text is read as ever.
 */
import { afterEach, describe, expect, test } from 'bun:test';
import { type Fault, Faults } from '../../src/base/fault.ts';
import { parseConfig } from '../../src/cli/config.ts';
import { compileSources, type SourceFile } from '../../src/compile/compile.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { planHash } from '../../src/plan/canonical.ts';
import { NEVER_MS } from '../kernel/columns.ts';
import { countedIds } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';
import { LONG, seeds } from '../seeds.ts';
import { FLIGHT, planOf, selectOf, setOf } from './marked.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = seeds(3, 300);

/** Many times what a seed takes: one that hangs has failed. */
const SEED_MAX_MS = 120_000;

/** The faults of a text; a plan that has none is loaded into a kernel. */
async function outcomeOf(...texts: string[]): Promise<Fault[]> {
  const files = texts.map((text, i) => ({ file: `${i}.yaml`, text }));
  const { plan, faults } = await compileSources(files, { latenessMs: 3_600_000 });
  expectPlaces(faults, files);
  if (faults.length > 0) return faults;
  planHash(plan);
  const clock = { kind: 'event', maxJumpMs: NEVER_MS } as const;
  layPlan(await loadKernel(), plan, countedIds(plan), { clock, aheadMaxMs: 0, shards: 1 });
  return [];
}

/** Each fault stands on a line of its file, and its text can be read. */
function expectPlaces(faults: Fault[], files: SourceFile[]): void {
  const lines = new Map(files.map(({ file, text }) => [file, text.split('\n')]));
  for (const fault of faults) expectPlace(fault, lines);
}

function expectPlace({ at, message }: Fault, lines: Map<string, string[]>): void {
  const line = lines.get(at?.file ?? '')?.[at!.line - 1];
  if (line === undefined) throw new Error(`no such line: ${JSON.stringify(at)} of ${message}`);
  if (at!.column < 1 || at!.column > line.length + 1 || at!.length < 1 || at!.column + at!.length > line.length + 2)
    throw new Error(`${JSON.stringify(at)} is not in a line of ${line.length}: ${message}`);
  if (message.length > 4000) throw new Error(`${message.length} characters are no message: ${message.slice(0, 100)}`);
}

const COUNTED = 'SELECT origin, COUNT(*) AS n FROM flight GROUP BY origin';

/** What was read before has left nothing behind. */
async function expectReadsOn(): Promise<void> {
  expect((await planOf(FLIGHT, setOf(COUNTED))).features.map(({ name }) => name)).toEqual(['s:n_2h']);
}

afterEach(expectReadsOn);

const nested = (open: string, inner: string, close: string, depth: number) =>
  open.repeat(depth) + inner + close.repeat(depth);
const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('');

/** Text of definitions and what is wrong with it; null where a plan comes of it. */
const YAML_TEXTS: [string, string, string | null][] = [
  ['lists within lists', nested('[', '', ']', 30_000), 'nests too deep'],
  ['lists that never end', '['.repeat(500_000), 'nests too deep'],
  ['maps within maps', `a: ${nested('{a: ', '', '}', 20_000)}`, 'nests too deep'],
  ['dashes', `${'- '.repeat(20_000)}a`, 'nests too deep'],
  ['questions', `${'? '.repeat(20_000)}a`, 'nests too deep'],
  ['brackets that close first', ']'.repeat(50_000), 'not YAML'],
  ['brackets in a text', `events: { e: { x: { type: string, default: "${'['.repeat(5000)}" } } }`, null],
  ['a type within types', `events:\n  e:\n    x: ${nested('[', 'string', ']', 60)}\n`, null],
  ['many keys', many(80_000, i => `k${i}: 1\n`), 'unknown key "k0"'],
  ['one key, many times', many(80_000, () => 'a: 1\n'), 'here twice'],
  ['many inputs', `events:\n  e:\n${many(20_000, i => `    k${i}: string\n`)}`, 'has 20000 inputs'],
  ['many documents', '---\na: 1\n'.repeat(20_000), 'unknown key'],
  [
    'a bomb of aliases',
    `a: &a [1,1]\nb: &b [*a,*a]\n${many(30, i => `c${i}: &c${i} [*b,*b]\n`)}`,
    'aliases are not read',
  ],
  ['an alias of itself', 'a: &a [*a]\n', 'aliases are not read'],
  ['a long number', `lateness: ${'9'.repeat(300_000)}`, 'unknown key'],
  ['a number where a name is wanted', `feature_set: ${'9'.repeat(100_000)}`, 'wanted a name'],
  ['a long name', `events: { ${'e'.repeat(100_000)}: { x: string } }`, 'longer than'],
  ['a long key', `${'e'.repeat(1000)}: 1`, 'unknown key'],
  [
    'types that double',
    `types:\n${many(30, i => `  t${i}: { a: t${i + 1}, b: t${i + 1} }\n`)}  t30: { a: string }\n`,
    'fields in all',
  ],
  [
    'a chain of types',
    `types:\n${many(3000, i => `  t${i}: { a: t${i + 1} }\n`)}  t3000: { a: string }\n`,
    'types deep',
  ],
  ['a byte order mark', `\ufeff${FLIGHT}`, null],
  ['lines that end in CRLF', FLIGHT.replaceAll('\n', '\r\n'), null],
  ['lines that end in CR', FLIGHT.replaceAll('\n', '\r'), 'not YAML'],
  ['control characters', 'events: { "\\u0000\\u0007\\u009f": { "\\e": string } }', null],
  [
    'every plane',
    `events: { e: { ${Array.from({ length: 17 }, (_, i) => `"${String.fromCodePoint(i * 0x10000 + 0xfff0)}": string`)} } }`,
    null,
  ],
];

describe('YAML', () => {
  test.each(YAML_TEXTS)('%s', async (_, text, wanted) => {
    const messages = (await outcomeOf(text)).map(({ message }) => message);
    if (wanted === null) expect(messages).toEqual([]);
    else expect(messages.find(message => message.includes(wanted)) ?? messages[0]).toContain(wanted);
  });

  test('64 levels are read', async () => {
    const depths = await Promise.all([64, 65].map(depth => outcomeOf(`events: ${nested('[', '', ']', depth)}`)));
    expect(depths.map(([fault]) => fault!.message.includes('nests too deep'))).toEqual([false, true]);
  });
});

const SQL_TEXTS: [string, string][] = [
  ['brackets', nested('(', 'delay', ')', 30_000)],
  ['lists', nested('[', 'delay', ']', 20_000)],
  ['structs', nested("{'a': ", 'delay', '}', 5000)],
  ['brackets that never end', '('.repeat(60_000)],
  ['brackets that were never open', ')'.repeat(60_000)],
  ['NOT', `CASE WHEN ${'NOT '.repeat(15_000)} ok THEN 1 END`],
  ['signs', `${'- '.repeat(30_000)}delay`],
  ['sums', `${'delay + '.repeat(8000)}delay`],
  ['CASE', nested('CASE WHEN ok THEN ', '1', ' END', 2000)],
  ['functions', nested('ABS(', 'delay', ')', 8000)],
  ['selects', nested('(SELECT ', '1', ')', 4000)],
  ['casts', `delay${'::BIGINT'.repeat(7000)}`],
  ['elements', `delay${'[1]'.repeat(15_000)}`],
  ['fields', `delay${'.a'.repeat(20_000)}`],
  ['concatenations', `${"'a' || ".repeat(8000)}'a'`],
  ['comments', nested('/*', '', '*/', 15_000)],
  ['a text without an end', `'${'a'.repeat(60_000)}`],
  ['lambdas', `${'x -> '.repeat(10_000)}1`],
];

describe('SQL', () => {
  test.each(SQL_TEXTS)('deep in %s', async (_, expression) => {
    const [fault] = await outcomeOf(FLIGHT, setOf(selectOf(`SUM(${expression}) AS a`)));
    expect(fault).toBeDefined();
    expect(fault!.message).not.toMatch(/WASM|call stack|unreachable|memory access/);
  });

  test.each([
    'SELECT origin, COUNT(*) AS (\n  FROM flight GROUP BY origin',
    'SELECT origin, COUNT(*) AS(n FROM flight GROUP BY origin',
    'SELECT origin, AVG(delay) AS (, LAST_N(delay, 5) AS latest FROM flight GROUP BY origin',
  ])('a bracket as a name has all behind it within: %s', async sql => {
    const faults = await outcomeOf(FLIGHT, setOf(sql));
    expect(faults.map(({ message }) => message)).toContain('SQL ends where FROM was wanted');
    expect(faults[0]!.message).toBe('"(" is not understood here; wanted a name');
  });

  test('after hundreds of them the parser reads as before', async () => {
    for (let round = 0; round < 300; round++) {
      const [, expression] = SQL_TEXTS[round % SQL_TEXTS.length]!;
      await outcomeOf(FLIGHT, setOf(selectOf(`SUM(${expression.slice(0, 2000 + round * 11)}) AS a`)));
    }
    await expectReadsOn();
  });
});

/** Everything that definitions have words for, for edits to begin with. */
const WHOLE = [
  `${FLIGHT}types:
  member: { name: string, hours: { type: double, optional: true } }
---
events:
  landing:
    origin: { type: string, path: $.data.from }
    crew: { type: [member], optional: true }
    codes: [int64]
`,
  `feature_set: delays
description: >
  how late
  flights leave
owner: "teams \\u0041"
entity: origin
source: flight
windows: [2h, 1d@30m, lifetime]
tiles: [1m, 30m, 1d]
tile_offset: 5h30m
sql: |
  -- a comment
  SELECT origin, COUNT(*) AS flights, AVG(delay) AS mean, LAST_N(delay, 5) AS latest,
         SUM(CASE WHEN delay > 15 AND ok IS NOT NULL THEN 1.5e0 ELSE -delay // 2 END) FILTER (WHERE destination LIKE 'A%') AS late
  FROM flight WHERE distance BETWEEN 0 AND 9223372036854775807 OR UPPER(destination) IN ('ORD', 'größe')
  GROUP BY origin
derive:
  rate: late_2h / flights_2h
  long: "LENGTH(latest_lifetime) + COALESCE(rate, 0)"
---
feature_set: crews
entity: origin
source: landing
windows: [1d]
sql: SELECT origin, MAX(LIST_SUM(codes)) AS m, FIRST(crew[1].name) AS who FROM landing GROUP BY origin
`,
];

const CONFIG_TEXT = `log: { dir: data/log, clock: event, max_jump: 31d, segment: { bytes: 64MiB, age: 1h }, compress: true }
store: { sqlite: data/tilefold.db }
definitions: features
serve: { port: 8080, host: 127.0.0.1 }
fold: { workers: 2, memory: 256MiB, barrier: 1s }
lateness: 1h
`;

const PIECES = [
  ...[
    '[',
    ']',
    '{',
    '}',
    '(',
    ')',
    ',',
    ': ',
    '- ',
    '? ',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!x ',
    '%',
    '#',
    '\n',
    '\r\n',
    '\t',
  ],
  ...[
    '\0',
    '\u0007',
    '\u0085',
    '\u2028',
    '\ufeff',
    '\ufffe',
    '\ud800',
    '\udc00',
    '\u{1f600}',
    '\u{10ffff}',
    '\u202e',
    'ﬀ',
    '̈',
  ],
  ...[
    '99999999999999999999',
    '-9223372036854775808',
    '9223372036854775807',
    '1e400',
    '1e-400',
    '0x1F',
    '1_0',
    '.5',
    '.nan',
  ],
  ...[
    '~',
    'null',
    'true',
    'yes',
    '__proto__',
    'constructor',
    'toString',
    '---\n',
    '...\n',
    '<<: ',
    '$1',
    '\\u0000',
    '\\',
    '//',
    '--',
  ],
  ...[
    'SELECT ',
    ' FROM flight',
    ' GROUP BY origin',
    'COUNT(*)',
    'LAST_N(delay, 0)',
    'LAST_N(delay, 1001)',
    'CAST(',
    ' AS ',
    '::',
  ],
  ...[
    ' OVER ()',
    'DISTINCT ',
    ' FILTER (',
    "INTERVAL '1' DAY",
    ' IS NOT NULL',
    'x -> x',
    '1d',
    '2h@1m',
    'lifetime',
    '0s',
    '1ms',
  ],
];

/** One to four edits of words, lines and characters. */
function edited(text: string, rng: Random): string {
  let out = text;
  for (let edits = 1 + rng.below(4); edits > 0; edits--) {
    const words = out.split(/(\s+|[[\](){},:'"])/);
    const at = rng.below(words.length);
    const other = rng.below(words.length);
    switch (rng.below(8)) {
      case 0:
        words.splice(at, 1 + rng.below(3));
        break;
      case 1:
        words.splice(at, 0, ...words.slice(at, at + 1 + rng.below(12)));
        break;
      case 2:
        [words[at], words[other]] = [words[other]!, words[at]!];
        break;
      case 3:
        words.splice(at, 0, rng.pick(PIECES));
        break;
      case 4:
        words[at] = rng.pick(PIECES);
        break;
      case 5:
        words[at] = words[other]!;
        break;
      case 6:
        words[at] = words[at]!.repeat(1 + rng.below(rng.chance(0.1) ? 3000 : 4));
        break;
      default:
        if (rng.chance(0.2)) words.length = at;
        else words[at] = [...words[at]!].toReversed().join('');
    }
    out = words.join('');
  }
  return out;
}

/** Of each dialect and seed: there are many of them. */
const ROUNDS = LONG ? 40 : 8;

/** A word of each kind that dialects have and DuckDB has not, for edits to begin with. */
const SPELLED: [dialect: string, items: string][] = [
  ['redshift', "COUNT(NULLIF(destination, 'a ')) AS a, MAX(DATEADD(day, 1, landed)) AS b, SUM(NVL(delay, 0)) AS c"],
  [
    'tsql',
    "COUNT_BIG(*) AS a, SUM(CONVERT(BIGINT, ok)) AS b, COUNT(IIF([destination] COLLATE Latin1_General_BIN2 = N'a', origin + 'b', NULL)) AS c",
  ],
  ['postgres', "SUM(delay / 2) AS a, COUNT(*) FILTER (WHERE origin ~ '^a' AND origin LIKE 'a\\\\%') AS b"],
  ['bigquery', "COUNTIF(REGEXP_CONTAINS(destination, r'^a')) AS a, COUNT(TIMESTAMP_TRUNC(landed, HOUR)) AS b"],
  ['mysql', "COUNT(NULLIF(BINARY destination, 'a')) AS a, SUM(delay DIV 2) AS b, COUNT(BINARY origin LIKE 'a') AS c"],
  ['snowflake', 'COUNT(IFF(ok, 1, NULL)) AS a, MAX(DATEADD(day, 1, landed)) AS b, SUM(delay::NUMBER) AS c'],
  ['flink', "COUNT(DISTINCT FLOOR(landed TO HOUR)) AS a, COUNT(POSITION('a' IN origin)) AS b"],
  ['spark', "COUNT_IF(destination RLIKE '[a-c]') AS a, SUM(delay DIV 2) AS b"],
  ['trino', "COUNT_IF(delay > 1) AS a, MAX(DATE_ADD('day', 1, landed)) AS b"],
  ['sqlite', "COUNT(IIF(delay == 1, origin, destination)) AS a, COUNT(origin LIKE 'a_%') AS b"],
  [
    'clickhouse',
    "count() AS a, countIf(ok ? delay > 1 : ok = 1) AS b, argMax(splitByChar(',', origin)[2], landed) AS c, sum(CAST(delay, 'Nullable(Int64)')) AS d",
  ],
];

describe('edited', () => {
  test.each(SEEDS)(
    'sets of other dialects, seed %p',
    async seed => {
      const rng = new Random(seed);
      let plans = 0;
      for (const [dialect, items] of SPELLED) {
        const whole = setOf(selectOf(items), `dialect: ${dialect}\n`);
        expect(await outcomeOf(FLIGHT, whole)).toEqual([]);
        for (let round = 0; round < ROUNDS; round++) {
          const text = edited(whole, rng);
          try {
            if ((await outcomeOf(FLIGHT, text)).length === 0) plans++;
          } catch (error) {
            throw new Error(`seed ${seed}, ${dialect}, round ${round}: ${error}\n${text}`);
          }
        }
      }
      expect(plans).toBeGreaterThan(0);
    },
    SEED_MAX_MS,
  );

  test.each(SEEDS)(
    'definitions, seed %p',
    async seed => {
      const rng = new Random(seed);
      expect(await outcomeOf(...WHOLE)).toEqual([]);
      let plans = 0;
      for (let round = 0; round < 400; round++) {
        const texts = WHOLE.map(text => (rng.chance(0.7) ? edited(text, rng) : text));
        try {
          if ((await outcomeOf(...texts)).length === 0) plans++;
        } catch (error) {
          throw new Error(`seed ${seed}, round ${round}: ${error}\n${texts.join('\n=====\n')}`);
        }
      }
      expect(plans).toBeGreaterThan(20);
    },
    SEED_MAX_MS,
  );

  test.each(SEEDS)(
    'configurations, seed %p',
    seed => {
      const rng = new Random(seed);
      const outcomes = { read: 0, refused: 0 };
      for (let round = 0; round < 500; round++) {
        const text = edited(CONFIG_TEXT, rng);
        try {
          parseConfig('tilefold.yaml', text);
          outcomes.read++;
        } catch (error) {
          if (!(error instanceof Faults)) throw new Error(`seed ${seed}, round ${round}: ${error}\n${text}`);
          expectPlaces(error.faults, [{ file: 'tilefold.yaml', text }]);
          outcomes.refused++;
        }
      }
      expect(outcomes.read).toBeGreaterThan(20);
      expect(outcomes.refused).toBeGreaterThan(100);
    },
    SEED_MAX_MS,
  );
});
