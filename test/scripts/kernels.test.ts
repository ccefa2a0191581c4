import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildKernels } from '../../scripts/kernels.ts';

let root = '';
const source = (text: string) => writeFile(join(root, 'assembly/index.ts'), text);
const build = () => buildKernels(join(root, 'assembly'), join(root, 'wasm'));
const built = () => readFile(join(root, 'wasm/tilefold.wasm'));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-kernels-'));
  await mkdir(join(root, 'assembly'));
});

afterAll(() => rm(root, { recursive: true }));

test('kernels are built when something has changed, and only then', async () => {
  await source('export function half(n: i32): i32 {\n  assert(n % 2 == 0);\n  return n / 2;\n}\n');
  expect(await build()).toBe(true);
  expect(await build()).toBe(false);
  await source('export function half(n: i32): i32 {\n  assert(n % 2 == 0);\n  return n >> 1;\n}\n');
  expect(await build()).toBe(true);
  await rm(join(root, 'wasm/tilefold.wasm'));
  expect(await build()).toBe(true);
});

test('asserts are kept, and name their file and line', async () => {
  const seen: number[] = [];
  const abort = (_message: number, file: number, line: number) => {
    seen.push(file, line);
    throw new Error('abort');
  };
  const module = await WebAssembly.compile(await built());
  const { exports } = await WebAssembly.instantiate(module, { env: { abort } });
  const half = exports.half as (n: number) => number;
  expect(half(8)).toBe(4);
  expect(() => half(7)).toThrow('abort');
  const [file, line] = [seen[0]!, seen[1]!];
  const memory = (exports.memory as WebAssembly.Memory).buffer;
  const size = new Uint32Array(memory, file - 4, 1)[0]!;
  expect(new TextDecoder('utf-16').decode(new Uint8Array(memory, file, size))).toBe('assembly/index.ts');
  expect(line).toBe(2);
});

test('what does not compile says where, and leaves the last build alone', async () => {
  const before = await built();
  await source('export function half(n: i32): i32 {\n  return m;\n}\n');
  expect(build()).rejects.toThrow("Cannot find name 'm'");
  expect(await built()).toEqual(before);
});
