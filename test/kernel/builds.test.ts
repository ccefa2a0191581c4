/** The kernels without SIMD, as runtimes get them that have none: the suites of all that differs run on them again. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { BUILD } from '../../src/kernel/instance.ts';
import { LONG } from '../seeds.ts';

const ROOT = join(import.meta.dir, '../..');

/** SIMD is only in the reader of events and in expressions; the other kernels have the same code in both builds. */
const SUITES = ['ndjson', 'form', 'lenient', 'rfc8259', 'door', 'decimal', 'memory', 'expression'].map(
  name => `./test/kernel/${name}.test.ts`,
);

const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

/** A runtime without SIMD, made of this one. */
function runWithout(words: string[]) {
  const env = { ...process.env, BUN_JSC_useWasmSIMD: '0' };
  return Bun.spawnSync([process.execPath, ...words], { cwd: ROOT, env, timeout: TIMEOUT_MS });
}

test('a runtime with SIMD takes the kernels with SIMD, another those without', () => {
  expect(BUILD).toBe('simd');
  const asked = runWithout(['-e', "console.log((await import('./src/kernel/instance.ts')).BUILD)"]);
  expect(asked.stdout.toString()).toBe('scalar\n');
});

/** Who tries one change after another has built one of them (scripts/kernels.ts). */
const isQuick = process.env.TILEFOLD_KERNELS === 'quick';

test.skipIf(isQuick)('both have the same exports, and only one needs SIMD', async () => {
  const [simd, scalar] = await Promise.all(
    ['tilefold.wasm', 'tilefold-scalar.wasm'].map(file => Bun.file(join(ROOT, 'wasm', file)).bytes()),
  );
  const exportsOf = (bytes: Uint8Array<ArrayBuffer>) => WebAssembly.Module.exports(new WebAssembly.Module(bytes));
  expect(exportsOf(scalar!)).toEqual(exportsOf(simd!));
  const valid =
    "for (const file of ['', '-scalar']) console.log(WebAssembly.validate(await Bun.file('wasm/tilefold' + file + '.wasm').bytes()))";
  expect(runWithout(['-e', valid]).stdout.toString()).toBe('false\ntrue\n');
});

test.skipIf(isQuick)(
  'the suites of both hold without SIMD',
  () => {
    const { exitCode, stderr } = runWithout(['test', '--timeout', String(TIMEOUT_MS), ...SUITES]);
    if (exitCode !== 0) throw new Error(stderr.toString().split('\n').slice(-60).join('\n'));
  },
  TIMEOUT_MS,
);
