import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The house rules that a machine can check. Each failure names the file and the line to change. */
const ROOT = join(import.meta.dir, '..');

/** Imports go only downward; folders of one floor do not know each other. */
const FLOORS = [
  ['main.ts'],
  ['cli'],
  ['http'],
  ['replay', 'shard', 'work'],
  ['ingest', 'read'],
  ['compile', 'kernel', 'source', 'store', 'meta'],
  ['plan'],
  ['base', 'gen'],
];

/** Each of these is spoken in one place only, so that it can be exchanged there. A type import is not speaking. */
const SPOKEN_IN: [RegExp, RegExp][] = [
  [/^bun:sqlite$/, /^src\/cli\/alone\/database\.ts$/],
  [/^drizzle-orm/, /^src\/meta\//],
  [/^cassandra-driver$/, /^src\/store\/cassandra\.ts$/],
  [/^kafkajs$/, /^src\/source\/kafka\.ts$/],
  [/^apache-arrow/, /^src\/(cli\/frame\/arrow|client\/materialization)\.ts$/],
  [/^hyparquet/, /^src\/(cli\/frame\/parquet|source\/parquet|source\/parquet_pages)\.ts$/],
  [/^csv-parse$/, /^src\/source\/csv\.ts$/],
  [/^chevrotain$/, /^src\/compile\/scowl\/(lexer|parser)\.ts$/],
  [/^@polyglot-sql\//, /^src\/compile\/sql\/library\.ts$/],
  [/^hono/, /^src\/http\//],
  [/^commander$/, /^src\/cli\//],
  [/^pino$/, /^src\/cli\/logger\.ts$/],
  [/^prom-client$/, /^src\/base\/(work_)?metrics\.ts$/],
];

const NAMELESS = /^(utils?|helpers?|common|types?|managers?|impl|misc|shared|index)$/;

interface Import {
  from: string;
  line: number;
  /** `import type`, or a list of nothing but types. */
  typeOnly: boolean;
}

const SOURCES = files('src').filter(file => file.endsWith('.ts'));
const TEXTS = new Map(SOURCES.map(file => [file, readFileSync(join(ROOT, file), 'utf8')]));

function files(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

/** Static imports, re-exports, `import()` of a literal, and what a worker starts with. */
function importsOf(text: string): Import[] {
  const pattern =
    /^(?:import|export)\s(?:([^;'"]*?)\sfrom\s)?\s*'([^']+)'|\bimport\('([^']+)'\)|\bnew Worker\(new URL\('([^']+)'/gm;
  return Array.from(text.matchAll(pattern), match => {
    const names = match[1] ?? '';
    const listed = /^\{(.*)\}$/s
      .exec(names.trim())?.[1]
      ?.split(',')
      .filter(name => name.trim() !== '');
    return {
      from: (match[2] ?? match[3] ?? match[4])!,
      line: text.slice(0, match.index).split('\n').length,
      typeOnly: names.startsWith('type ') || (listed?.every(name => name.trim().startsWith('type ')) ?? false),
    };
  });
}

/** The floor's folder: `src/http/app.ts` -> `http`, `src/main.ts` -> `main.ts`. */
function folderOf(file: string): string {
  return file.split('/')[1]!;
}

function floorOf(folder: string): number {
  return FLOORS.findIndex(floor => floor.includes(folder));
}

/** Comments and strings blanked out, lines kept. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'/g, part => part.replace(/[^\n]/g, ' '));
}

function linesWith(text: string, pattern: RegExp): number[] {
  return text.split('\n').flatMap((line, i) => (pattern.test(line) ? [i + 1] : []));
}

describe('imports', () => {
  test('are seen in all their forms', () => {
    const text = [
      "import one from 'one';",
      "import {\n  a,\n  type B,\n} from './two.ts';",
      "import type { C } from './three.ts';",
      "import { type D } from './four.ts';",
      "export { e } from './five.ts';",
      "import './six.ts';",
      "const seven = await import('./seven.ts');",
      "import eight from './eight.sql' with { type: 'text' };",
      "const nine = new Worker(new URL('./nine.ts', import.meta.url).href);",
    ].join('\n');
    expect(importsOf(text)).toEqual([
      { from: 'one', line: 1, typeOnly: false },
      { from: './two.ts', line: 2, typeOnly: false },
      { from: './three.ts', line: 6, typeOnly: true },
      { from: './four.ts', line: 7, typeOnly: true },
      { from: './five.ts', line: 8, typeOnly: false },
      { from: './six.ts', line: 9, typeOnly: false },
      { from: './seven.ts', line: 10, typeOnly: false },
      { from: './eight.sql', line: 11, typeOnly: false },
      { from: './nine.ts', line: 12, typeOnly: false },
    ]);
  });

  test('go only downward, type imports too', () => {
    const wrong: string[] = [];
    for (const [file, text] of TEXTS) {
      const [folder, floor] = [folderOf(file), floorOf(folderOf(file))];
      for (const { from, line } of importsOf(text)) {
        if (!from.startsWith('.')) continue;
        const target = relative(ROOT, join(ROOT, dirname(file), from));
        if (!target.startsWith('src/')) continue;
        const targetFolder = folderOf(target);
        const allowed =
          folder === targetFolder ||
          (folder === 'client' ? targetFolder === 'gen' : floor >= 0 && floorOf(targetFolder) > floor);
        if (!allowed) wrong.push(`${file}:${line} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every folder has its floor', () => {
    const folders = new Set(SOURCES.map(folderOf));
    expect([...folders].filter(folder => floorOf(folder) < 0 && folder !== 'client')).toEqual([]);
  });

  test('each library is spoken in its own place', () => {
    const wrong: string[] = [];
    for (const [file, text] of TEXTS) {
      for (const { from, line, typeOnly } of importsOf(text)) {
        for (const [library, place] of SPOKEN_IN) {
          if (library.test(from) && !place.test(file) && !typeOnly) wrong.push(`${file}:${line} imports ${from}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('only kernel/instance.ts touches WebAssembly', () => {
    const wrong: string[] = [];
    for (const [file, text] of TEXTS) {
      if (file === 'src/kernel/instance.ts') continue;
      wrong.push(...linesWith(codeOf(text), /\bWebAssembly\b/).map(line => `${file}:${line}`));
    }
    expect(wrong).toEqual([]);
  });

  test('only source/s3.ts speaks to S3', () => {
    const wrong: string[] = [];
    for (const [file, text] of TEXTS) {
      if (file === 'src/source/s3.ts') continue;
      wrong.push(...linesWith(codeOf(text), /\bS3Client\b/).map(line => `${file}:${line}`));
    }
    expect(wrong).toEqual([]);
  });

  test('events are parsed by the kernels: no JSON.parse on their way', () => {
    const wrong: string[] = [];
    // What replays write about themselves are no events.
    const own = /^src\/replay\/(cache|column_file|manifest|results|state)\.ts$/;
    for (const [file, text] of TEXTS) {
      if (!/^src\/(ingest|kernel|source|read|replay)\//.test(file) || own.test(file)) continue;
      wrong.push(...linesWith(codeOf(text), /\bJSON\s*\.\s*parse\b/).map(line => `${file}:${line}`));
    }
    expect(wrong).toEqual([]);
  });
});

describe('files', () => {
  test('none is dead: each is reached from main.ts or belongs to the client', () => {
    const reached = new Set<string>();
    const visit = (file: string) => {
      if (reached.has(file) || !TEXTS.has(file)) return;
      reached.add(file);
      for (const { from } of importsOf(TEXTS.get(file)!)) {
        if (from.startsWith('.')) visit(relative(ROOT, join(ROOT, dirname(file), from)));
      }
    };
    visit('src/main.ts');
    for (const file of SOURCES) if (file.startsWith('src/client/')) visit(file);
    const exempt = (file: string) => file.startsWith('src/gen/') || file.endsWith('.d.ts');
    expect(SOURCES.filter(file => !reached.has(file) && !exempt(file))).toEqual([]);
  });

  test('every kernel has its glue: what assembly/index.ts exports has a twin in src/kernel', () => {
    const index = readFileSync(join(ROOT, 'assembly/index.ts'), 'utf8');
    const exported = Array.from(index.matchAll(/^export\s[^;]*?from\s+['"]\.\/([\w-]+)['"]/gm), match => match[1]!);
    expect(exported.length).toBeGreaterThan(0);
    // Below the kernels, and used by all of them; and rooms whose glue is that of the one they belong to: ndjson, fold, window.
    const floor = ['memory', 'json', 'decode', 'batch', 'clock', 'upsert_row', 'nested_input', 'frame'];
    floor.push('occupied', 'stratum', 'entity', 'dirty', 'come_back', 'evict', 'fresh', 'unread');
    floor.push('cell', 'collect', 'gap', 'merge', 'seen');
    const twins = exported.filter(name => !floor.includes(name));
    expect(twins.filter(name => !existsSync(join(ROOT, `src/kernel/${name}.ts`)))).toEqual([]);
  });

  test('are named after what they hold', () => {
    const named = [...SOURCES, ...files('scripts'), ...files('test'), ...files('assembly')];
    const wrong = named.filter(file => {
      const stem = file.split('/').at(-1)!.split('.')[0]!;
      return NAMELESS.test(stem) && file !== 'assembly/index.ts';
    });
    expect(wrong).toEqual([]);
  });

  test('leave nothing to do', () => {
    const wrong: string[] = [];
    for (const file of [...files('src'), ...files('assembly'), ...files('scripts'), ...files('test')]) {
      if (file === 'test/tidy.test.ts' || !/\.(ts|py|sql)$/.test(file)) continue;
      const text = readFileSync(join(ROOT, file), 'utf8');
      wrong.push(...linesWith(text, /\b(TODO|FIXME|XXX)\b/).map(line => `${file}:${line}`));
    }
    expect(wrong).toEqual([]);
  });

  test('of more than a screen say what they are for: some export has a docstring', () => {
    const SCREEN_LINES = 50;
    const wrong = [...TEXTS].filter(([file, text]) => {
      if (file.startsWith('src/gen/') || text.split('\n').length <= SCREEN_LINES) return false;
      return !/\*\/\n(export|import)\b/.test(text);
    });
    expect(wrong.map(([file]) => file)).toEqual([]);
  });
});
