/** Regular expressions mean what they do in DuckDB, which leaves them to RE2: random patterns over random texts. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { STRING, type Value } from '../../src/plan/value.ts';
import { compile, evaluateAll } from '../kernel/evaluate.ts';
import { randomPattern, randomText } from '../oracle/patterns.ts';
import { FOLDS } from '../../src/plan/folds.ts';
import { Random } from '../sim/random.ts';

const SEED = 20_011_106;
const PATTERNS = 1000;
const TEXTS = 40;
/** A kernel's programs are its for good, so each takes some patterns only. */
const PATTERNS_PER_KERNEL = 200;
const REPLACEMENTS = ['', '<\\0>', 'é', '\\\\'];

const python = pythonOrSkip('regular expressions = DuckDB');

function callsOf(text: string, groups: number, rng: Random): string[] {
  const pattern = `'${text}'`;
  const options = rng.pick(['', '', 'i', 's', 'is']);
  const more = options && `, '${options}'`;
  return [
    `REGEXP_MATCHES(s, ${pattern}${more})`,
    `REGEXP_FULL_MATCH(s, ${pattern}${more})`,
    `REGEXP_EXTRACT(s, ${pattern})`,
    ...(groups > 0 ? [`REGEXP_EXTRACT(s, ${pattern}, ${1 + rng.below(groups)}${more})`] : []),
    `REGEXP_REPLACE(s, ${pattern}, '${rng.pick(REPLACEMENTS)}${groups > 0 ? `\\${groups}` : ''}', 'g${options}')`,
    `REGEXP_REPLACE(s, ${pattern}, '-')`,
  ];
}

function theirs(texts: string[], sql: string[]): Value[][] {
  const asked = { columns: { s: 'VARCHAR' }, rows: texts.map(s => ({ s })), sql, as_written: true };
  const input = new TextEncoder().encode(JSON.stringify(asked));
  const output = new TextDecoder().decode(runPython(python!, ['scripts/python/duckdb_functions.py'], input));
  return output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

/** Of Unicode 16 and later: RE2 has an older one. */
function isNew(letter: string): boolean {
  return /[\u{1c89}\u{1c8a}\u{a7cb}-\u{a7dc}\u{264}\u{19b}\u{10d50}-\u{10d85}\u{16ea0}-\u{16ed3}]/u.test(letter);
}

async function differences(texts: string[], sql: string[]): Promise<string[]> {
  const wanted = theirs(texts, sql);
  const expressions = await Promise.all(sql.map(one => compile(one, { s: STRING })));
  const found = evaluateAll(
    await loadKernel(),
    expressions,
    { s: STRING },
    texts.map(s => ({ s })),
  );
  expect(wanted.length).toBe(sql.length);
  return sql.flatMap((one, i) => {
    const at = texts.findIndex((_, row) => found[i]![row] !== wanted[i]![row]);
    if (at < 0) return [];
    return [
      `${one} of ${JSON.stringify(texts[at])}: ${Bun.inspect(found[i]![at])}, DuckDB ${Bun.inspect(wanted[i]![at])}`,
    ];
  });
}

test.skipIf(python === null)(`${PATTERNS} patterns, seed ${SEED}`, async () => {
  const rng = new Random(SEED);
  const wrong: string[] = [];
  for (let from = 0; from < PATTERNS; from += PATTERNS_PER_KERNEL) {
    const texts = Array.from({ length: TEXTS }, () => randomText(rng));
    const sql = Array.from({ length: PATTERNS_PER_KERNEL }, () => {
      const { text, groups } = randomPattern(rng, true);
      return callsOf(text, groups, rng);
    });
    wrong.push(...(await differences(texts, sql.flat())));
  }
  expect(wrong.slice(0, 10)).toEqual([]);
});

test.skipIf(python === null)('letters are one where case does not count', async () => {
  const letters = FOLDS.split(' ')
    .flatMap(orbit => [...orbit])
    .filter(letter => !isNew(letter));
  const some = [...letters.filter((_, i) => i % 16 === 0), ...'KſIıİßẞΣςǅ'];
  expect(
    await differences(
      letters,
      [...new Set(some)].map(letter => `REGEXP_FULL_MATCH(s, '${letter}', 'i')`),
    ),
  ).toEqual([]);
  const ranges = ['[a-z]', '[^a-z]', '[ǄÀ-ß]', '[^k]', '\\w', '[[:upper:]]', '\\W', '[^\\d\\s]'];
  expect(
    await differences(
      letters,
      ranges.map(range => `REGEXP_MATCHES(s, '${range}', 'i')`),
    ),
  ).toEqual([]);
});
