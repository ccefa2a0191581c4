import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './page.ts';

/** What the pages say that servers listen on; another one is used, which is free. */
const PORT_WRITTEN = '8080';

/** A server that has not said that it serves by then never will. */
const SERVING_MS = 60_000;

export interface Ran {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/**
 * The terminal of one page: a folder of its own with the examples in it, `tilefold` on the path, and the blocks run one
 * after the other, each where the last one left off. The block `tilefold serve` is what a reader leaves running in
 * another window.
 */
export class Session {
  readonly folder: string;
  readonly #tools: string;
  readonly #port: number;
  #server: Bun.Subprocess<'ignore', 'pipe', 'pipe'> | null = null;

  /** @param program what `tilefold` is */
  constructor(program: string) {
    const base = mkdtempSync(join(tmpdir(), 'tilefold-docs-'));
    this.folder = join(base, 'work');
    this.#tools = join(base, 'tools');
    mkdirSync(this.folder);
    mkdirSync(this.#tools);
    cpSync(join(ROOT, 'examples'), join(this.folder, 'examples'), { recursive: true });
    this.#port = freePort();
    this.#tool('tilefold', `exec ${program} "$@"`);
    this.#tool('curl', `exec ${Bun.which('curl')} "\${@/localhost:${PORT_WRITTEN}/localhost:${this.#port}}"`);
    symlinkSync(process.execPath, join(this.#tools, 'bun'));
    writeFileSync(join(base, 'cwd'), this.folder);
  }

  /** Runs the lines of a block, up to the first that fails. */
  async run(text: string): Promise<Ran> {
    const keep = 'cd "$(cat "$TILEFOLD_DOCS/cwd")"; trap \'pwd > "$TILEFOLD_DOCS/cwd"\' EXIT';
    const child = Bun.spawn(['bash', '-eu', '-c', `${keep}\n${text}`], this.#surroundings());
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { stdout: this.#asWritten(stdout), stderr: this.#asWritten(stderr), exitCode };
  }

  /** Runs a block of TypeScript, for which the client is where it is written. */
  async script(text: string): Promise<Ran> {
    const path = join(this.folder, '../script.ts');
    const client = `'${join(ROOT, 'src/client/client.ts')}'`;
    writeFileSync(
      path,
      text.replaceAll(`localhost:${PORT_WRITTEN}`, `localhost:${this.#port}`).replaceAll("'tilefold/client'", client),
    );
    return this.run(`bun ${path}`);
  }

  /** Starts the server of a block, and stops the one before it. */
  async serve(text: string): Promise<string> {
    await this.stop();
    const words = `${text.trim()} --port ${this.#port} --grace 0s`;
    const command = ['bash', '-c', `cd "$(cat "$TILEFOLD_DOCS/cwd")"; exec ${words}`];
    this.#server = Bun.spawn(command, this.#surroundings());
    const errors = new Response(this.#server.stderr).text();
    let said = '';
    const timer = setTimeout(() => this.#server?.kill('SIGKILL'), SERVING_MS);
    for await (const chunk of this.#server.stdout) {
      said += new TextDecoder().decode(chunk);
      if (!said.includes('\n')) continue;
      clearTimeout(timer);
      return this.#asWritten(said);
    }
    throw new Error(`${text.trim()} ended: ${await errors}`);
  }

  async stop(): Promise<void> {
    this.#server?.kill('SIGTERM');
    await this.#server?.exited;
    this.#server = null;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(join(this.folder, '..'), { recursive: true });
  }

  #surroundings() {
    const path = `${this.#tools}:${process.env.PATH}`;
    const env = { ...process.env, PATH: path, TILEFOLD_DOCS: join(this.folder, '..'), LOG_LEVEL: 'warn' };
    return { env, cwd: this.folder, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' } as const;
  }

  #tool(name: string, line: string) {
    writeFileSync(join(this.#tools, name), `#!/usr/bin/env bash\n${line}\n`, { mode: 0o755 });
  }

  #asWritten(text: string): string {
    return text.replaceAll(`:${this.#port}`, `:${PORT_WRITTEN}`).replaceAll(this.folder, '/home/me');
  }
}

function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}
