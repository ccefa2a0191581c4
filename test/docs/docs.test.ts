import { describe, expect, test } from 'bun:test';
import manifest from '../../package.json' with { type: 'json' };
import { loadKernel } from '../../src/kernel/instance.ts';
import { admit } from '../../src/kernel/door.ts';
import { faultsOfSql, faultsOfYaml } from './definitions.ts';
import { jsonDifference, textDifference } from './match.ts';
import { type Fence, pages } from './page.ts';
import { type Ran, Session } from './session.ts';

/** Every block of every page is run, read or compiled: what a page shows is what there is. */

/** Scripts of package.json that are not run here, as tests of their own do. */
const NPM_KNOWN = ['ci', 'test', 'run demo', 'run build', 'run typecheck', 'run lint', 'run format', 'run tilefold'];

/** The longest page folds a week of flights. */
const PAGE_MAX_MS = 60_000;

/** `npm run replay -- WORDS` is the program itself. */
const NPM_RUN = /^npm run (replay|tilefold) -- /;

class Runner {
  readonly session = new Session();
  #last: Ran | null = null;

  async fence({ language, kind, text }: Fence): Promise<void> {
    switch (language === 'sh' ? 'sh' : `${language} ${kind}`.trim()) {
      case '':
        return;
      case 'sh':
        return this.#shell(text, kind);
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
      default:
        throw new Error(`nothing here knows blocks of ${language} ${kind}`);
    }
  }

  /** @param kind `exit=1` where the last line is to fail so */
  async #shell(text: string, kind: string): Promise<void> {
    const lines = text.split('\n').filter(line => line !== '');
    const isNpm = (line: string) => line.startsWith('npm ') && !NPM_RUN.test(line);
    for (const line of lines.filter(isNpm)) knownScript(line);
    if (lines.some(line => line.includes('npm run demo'))) await this.#demo();
    if (lines.every(isNpm)) return;
    if (text.startsWith('tilefold serve')) return void (await this.session.serve(text));
    const words = lines.filter(line => !isNpm(line)).map(line => line.replace(/^npm run tilefold -- /, 'tilefold '));
    this.#last = await this.session.run(words.map(line => line.replace(/^npm run replay -- /, 'tilefold replay ')).join('\n'));
    const wanted = Number(/^exit=(\d+)$/.exec(kind)?.[1] ?? 0);
    if (this.#last.exitCode !== wanted) throw new Error(`exit code ${this.#last.exitCode}: ${this.#last.stderr}`);
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

describe('every block of', () => {
  for (const { path, fences } of pages())
    // Each has a terminal of its own, and mostly waits for it.
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
    }, PAGE_MAX_MS);
});
