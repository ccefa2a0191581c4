import { describe, expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findServer, freePorts, startServer, stopServer } from '../../scripts/cluster/server.ts';

/** A server as short as can be: it says a word, and then listens. */
const SERVING =
  'console.log("serving"); await Bun.sleep(100); Bun.listen({ hostname: "127.0.0.1", port: Number(process.argv[1]), socket: { data() {} } })';

function launch(program: string) {
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-server-'));
  // Its words name its folder, as those of every server do.
  const port = freePorts(1)[0]!;
  const words = ['-e', program, String(port), dir];
  return { name: 'kafka' as const, dir, port, java: process.execPath, words, ready: 'serving' };
}

describe('a server', () => {
  test.each([true, false])('is started, found and stopped: tied %p', async isTied => {
    const one = launch(SERVING);
    const server = await startServer(one, isTied);
    expect(server.address).toBe(`127.0.0.1:${one.port}`);
    expect(findServer(one.dir)).toEqual(server);
    await stopServer(server, one.dir);
    expect(findServer(one.dir)).toBeNull();
  });

  test('that ends instead of serving shows its log', async () => {
    await expect(startServer(launch('console.log("no port left"); process.exit(3)'), false)).rejects.toThrow(
      'kafka does not start:\nno port left',
    );
  });

  test('whose pid is another process by now is not found, and so never stopped', async () => {
    const one = launch(SERVING);
    const server = await startServer(one, false);
    await stopServer(server, one.dir);
    await Bun.write(join(one.dir, 'server.json'), JSON.stringify({ ...server, pid: process.pid }));
    expect(findServer(one.dir)).toBeNull();
  });

  test('that is tied ends with the process that started it, even where that is killed', async () => {
    const one = launch(SERVING);
    const module = join(import.meta.dir, '../../scripts/cluster/server.ts');
    const program = `const { startServer } = await import(${JSON.stringify(module)});
      await startServer(${JSON.stringify(one)}, true); console.log("started"); await Bun.sleep(60_000);`;
    const starter = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe' });
    for await (const chunk of starter.stdout) if (new TextDecoder().decode(chunk).includes('started')) break;
    expect(findServer(one.dir)).not.toBeNull();
    starter.kill('SIGKILL');
    for (let n = 0; n < 200 && findServer(one.dir); n++) await Bun.sleep(50);
    expect(findServer(one.dir)).toBeNull();
  });
});
