import { expect, test } from 'bun:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function flights(...args: string[]) {
  return Bun.spawnSync([process.execPath, 'scripts/flights.ts', ...args], { cwd: ROOT });
}

test('the bundled week is what the script writes', async () => {
  const { exitCode, stdout } = flights('--from', '2001-03-05', '--days', '7');
  expect(exitCode).toBe(0);
  const bundled = gunzipSync(await Bun.file(`${ROOT}examples/flights/flights-week.ndjson.gz`).bytes());
  // Of the bytes before gzip, which another release of Bun may pack otherwise.
  expect(Bun.hash(stdout)).toBe(Bun.hash(bundled));
});

test('days that are none are refused', () => {
  for (const args of [
    ['--days', '0'],
    ['--days', 'x'],
    ['--from', 'March'],
  ]) {
    const { exitCode, stderr } = flights(...args);
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toContain(`${args[0]}: got ${args[1]}, wanted`);
  }
});
