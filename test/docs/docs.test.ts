import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { build } from '../../scripts/build.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { admit } from '../../src/kernel/door.ts';
import { faultsOfScowl, faultsOfSql, faultsOfYaml } from './definitions.ts';
import { jsonDifference, textDifference } from './match.ts';
import { type Fence, pages, ROOT } from './page.ts';
import { type Ran, Session } from './session.ts';

/** Every block of every page is run, read or compiled: what a page shows is what there is. */

/** Scripts of package.json that are not run here: other tests do, or they take too long. */
const NPM_KNOWN = ['ci', 'test', 'run client', 'run demo', 'run build', 'run bench'];

/** Nor is what reaches out of this machine. */
const NOT_RUN = new Set([
  'python3 -m venv .cache/venv && .cache/venv/bin/pip install -r scripts/python/requirements.txt',
  'npx bun scripts/cluster.ts up',
  'npx bun scripts/cluster.ts status',
  'npx bun scripts/cluster.ts topic events 4',
  'npx bun scripts/cluster.ts down',
  'docker compose up -d',
  'install -m 755 dist/tilefold /usr/local/bin/tilefold',
  'install -d /etc/tilefold/features',
  'cp deploy/tilefold.yaml /etc/tilefold/',
  'cp examples/flights/features/*.yaml /etc/tilefold/features/',
  'cp deploy/systemd/*.service /etc/systemd/system/',
  'systemctl daemon-reload',
  'systemctl enable --now tilefold',
  'docker build --file deploy/Dockerfile --tag tilefold:0.1.0 .',
  'kubectl create configmap tilefold-features --from-file=examples/flights/features/',
  'kubectl apply --filename deploy/kubernetes/server.yaml',
]);

/** The binary, as users have it: it starts in a third of the time that the sources take, and pages start it some hundred times. */
const folder = mkdtempSync(join(tmpdir(), 'tilefold-docs-'));
const PROGRAM = join(folder, 'tilefold');

beforeAll(() => build(PROGRAM));
afterAll(() => rmSync(folder, { recursive: true }));

/** `npm run replay -- WORDS` is the program itself. */
const NPM_RUN = /^npm run (replay|tilefold) -- /;

class Runner {
  readonly session = new Session(PROGRAM);
  #last: Ran | null = null;

  async fence({ language, kind, text }: Fence): Promise<void> {
    switch (language === 'sh' ? 'sh' : `${language} ${kind}`.trim()) {
      case '':
        return;
      case 'sh':
        return this.#shell(text, kind);
      case 'ts':
        return this.#ended(await this.session.script(text), 0);
      case 'json':
        return expect(jsonDifference(JSON.parse(text), this.#reply())).toBeNull();
      case 'json lines':
        return expect(jsonDifference(jsonLines(text), jsonLines(this.#stdout()))).toBeNull();
      case 'json event':
        return admits(text);
      case 'text':
        return expect(textDifference(text, this.#stdout())).toBeNull();
      case 'text stderr':
        return expect(textDifference(text, this.#last?.stderr ?? '')).toBeNull();
      case 'yaml':
        return expect(await faultsOfYaml(text)).toEqual([]);
      case 'sql':
        return expect(await faultsOfSql(text)).toEqual([]);
      case 'sql items':
        return everyLine(text, async line => expect(await faultsOfSql(line, 'item')).toEqual([]));
      case 'sql where':
        return everyLine(text, async line => expect(await faultsOfSql(line, 'where')).toEqual([]));
      case 'sql refused':
        return everyLine(text, refused);
      case 'scowl':
        return expect(await faultsOfScowl(text)).toEqual([]);
      case 'scowl lines':
        return expect(await faultsOfScowl(text, 'lines')).toEqual([]);
      case 'scowl refused':
        return everyLine(text, refusedScowl);
      case 'ebnf':
        return everyRule(text);
      default:
        throw new Error(`nothing here knows blocks of ${language} ${kind}`);
    }
  }

  /** @param kind `exit=1` where the last line is to fail so */
  async #shell(text: string, kind: string): Promise<void> {
    const lines = text.split('\n').filter(line => line !== '');
    const isNpm = (line: string) => line.startsWith('npm ') && !NPM_RUN.test(line);
    const isRun = (line: string) => !isNpm(line) && !NOT_RUN.has(line);
    for (const line of lines.filter(isNpm)) knownScript(line);
    for (const line of lines.filter(line => NOT_RUN.has(line))) knownFiles(line);
    if (lines.some(line => line.includes('npm run demo'))) await this.#demo();
    if (!lines.some(isRun)) return;
    if (text.startsWith('tilefold serve')) return void (await this.session.serve(text));
    const words = (line: string) =>
      line.replace(NPM_RUN, (_, name) => (name === 'replay' ? 'tilefold replay ' : 'tilefold '));
    const ran = await this.session.run(lines.filter(isRun).map(words).join('\n'));
    this.#ended(ran, Number(/^exit=(\d+)$/.exec(kind)?.[1] ?? 0));
  }

  #ended(ran: Ran, wanted: number): void {
    this.#last = ran;
    if (ran.exitCode !== wanted) throw new Error(`exit code ${ran.exitCode}: ${ran.stderr}`);
  }

  /** What `npm run demo` leaves running, by the commands that it is made of. */
  async #demo(): Promise<void> {
    const flags = '--config examples/flights/tilefold.yaml';
    const { exitCode } = await this.session.run(`tilefold ${flags} ingest examples/flights/flights-week.ndjson.gz`);
    expect(exitCode).toBe(0);
    await this.session.serve(`tilefold ${flags} serve`);
  }

  #stdout(): string {
    if (!this.#last) throw new Error('no command stands before it');
    return this.#last.stdout;
  }

  #reply(): unknown {
    return JSON.parse(this.#stdout());
  }
}

function knownScript(line: string): void {
  for (const command of line.replace(/\s*#.*$/, '').split(' && ')) {
    const words = command.replace(/^npm /, '').replace(/ --.*$/, '');
    expect(NPM_KNOWN).toContain(words);
    const script = words.replace(/^run /, '');
    if (script !== 'ci') expect(Object.keys(manifest.scripts)).toContain(script);
  }
}

/** What a line that is not run speaks of is there. */
function knownFiles(line: string): void {
  for (const path of line.match(/\bscripts\/\S+/g) ?? [])
    expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
}

function jsonLines(text: string): unknown[] {
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown);
}

async function admits(text: string): Promise<void> {
  const admitted = admit(await loadKernel(), new TextEncoder().encode(text), 'ndjson');
  expect(admitted).toMatchObject({ rejected: [] });
}

async function everyLine(text: string, check: (line: string) => Promise<void>): Promise<void> {
  for (const line of text.split('\n')) if (line.trim() !== '') await check(line);
}

/** `item   -- beginning of the message` */
async function refused(line: string): Promise<void> {
  const [item, message] = line.split('  -- ');
  const faults = await faultsOfSql(item!.trim(), 'item');
  expect(faults.join('\n')).toContain(message!.trim());
}

async function refusedScowl(line: string): Promise<void> {
  const [definition, message] = line.split('  -- ');
  expect((await faultsOfScowl(definition!, 'lines')).join('\n')).toContain(message!.trim());
}

/** Every name in a grammar is that of a rule, or of what the lexer makes. */
function everyRule(text: string): void {
  const rules = Array.from(text.matchAll(/^(\w+) +=/gm), ([, name]) => name!);
  const used = text.replace(/"[^"]*"/g, '').match(/\w+/g) ?? [];
  const tokens = ['newline', 'name', 'word', 'text', 'number', 'unit'];
  expect(used.filter(name => !rules.includes(name) && !tokens.includes(name))).toEqual([]);
}

/** A test of pages that finds nothing wrong would pass for good. */
describe('what is shown is compared', () => {
  test('value by value', () => {
    const found = { time: 'now', values: [1, null] };
    expect(jsonDifference({ time: '...', values: [1, null] }, found)).toBeNull();
    expect(jsonDifference({ time: '...', values: [1, 2] }, found)).toBe('$.values.1: found null, shown is 2');
    expect(jsonDifference({ values: [1, null] }, found)).toBe('$.time is not shown');
    expect(jsonDifference({ ...found, more: 1 }, found)).toBe('$.more is only shown');
    expect(jsonDifference({ time: 'now', values: [1] }, found)).toBe('$.values.1 is not shown');
  });

  test('line by line', () => {
    expect(textDifference('a (1)\n...\nd ... f', 'a (1)\nb\nc\nd e f\n')).toBeNull();
    for (const shown of ['a (1)\nc', 'a (1)', 'a 1\nb', 'a (1)\nb\nc'])
      expect(textDifference(shown, 'a (1)\nb\n')).not.toBeNull();
  });

  test('blocks that nothing knows', async () => {
    const runner = new Runner();
    try {
      const fence = (language: string, text: string) => runner.fence({ place: '', language, kind: '', text });
      await expect(fence('toml', 'a = 1\n')).rejects.toThrow('nothing here knows blocks of toml');
      await expect(fence('sh', 'npm run nonsense\n')).rejects.toThrow();
      await expect(fence('sh', 'false\n')).rejects.toThrow('exit code 1');
      await expect(fence('yaml', 'windows: [2x]\n')).rejects.toThrow();
      await expect(fence('sql', 'SELECT origin FROM flight\n')).rejects.toThrow();
    } finally {
      await runner.session.close();
    }
  });
});

describe('every block of', () => {
  // Each has a terminal of its own, and mostly waits for it.
  for (const { path, fences } of pages())
    test.concurrent(path, async () => {
      const runner = new Runner();
      try {
        for (const fence of fences)
          await runner.fence(fence).catch((error: unknown) => {
            throw new Error(`${fence.place}: ${(error as Error).message}`, { cause: error });
          });
      } finally {
        await runner.session.close();
      }
    });
});
