/** A plan that was kept is the plan that would be compiled, and is used for nothing else. */
import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serialize } from 'node:v8';
import { parseConfig } from '../../src/cli/config.ts';
import { PLAN_FILE, planOf } from '../../src/cli/plan_cache.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';

const folder = folders();

/** Each is compiled anew, which takes some ten milliseconds. */
const DAMAGES = process.env.TILEFOLD_LONG ? 1000 : 40;

const DEFINITIONS = `
events: { sale: { shop: string, cents: { type: int64, default: 9007199254740993 }, rate: { type: double, default: -0.0 } } }
entities: { shop: string }
---
feature_set: shops
description: what a shop sells
owner: tests
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS sum FROM sale WHERE cents > 9007199254740993 GROUP BY shop
derive: { mean_1h: sum_1h / n_1h }
`;

/** For what is to be written without a word. */
const refuse = (text: string) => {
  throw new Error(text);
};

function project(lateness = '1h') {
  const dir = folder();
  for (const name of ['features', 'data']) mkdirSync(join(dir, name), { recursive: true });
  const write = (text: string) => writeFileSync(join(dir, 'features', 'shops.yaml'), text);
  write(DEFINITIONS);
  const config = parseConfig(join(dir, 'tilefold.yaml'), `definitions: features\nlateness: ${lateness}\n`);
  return { config, write, kept: join(dir, 'data', PLAN_FILE) };
}

test('what was kept is what is compiled', async () => {
  const { config, kept } = project();
  const first = await planOf(config);
  first.keep(refuse);
  const bytes = readFileSync(kept);
  const second = await planOf(config);
  expect(second.plan).toEqual(await compileFolder(config.definitions, config));
  expect(second.plan).not.toBe(first.plan);
  second.keep(refuse);
  expect(readFileSync(kept)).toEqual(bytes);
});

test('other definitions, another lateness or dialect and damaged bytes are compiled', async () => {
  const { config, write, kept } = project();
  (await planOf(config)).keep(refuse);
  const compiled = (changed: typeof config) => planOf(changed).then(({ plan }) => plan);
  const late = { ...config, latenessMs: 7_200_000 };
  expect(await compiled(late)).toEqual(await compileFolder(late.definitions, late));
  const foreign = { ...config, dialect: 'postgres' };
  expect(await compiled(foreign)).toEqual(await compileFolder(foreign.definitions, foreign));
  expect(await compiled(foreign)).not.toEqual(await compiled(config));
  write(DEFINITIONS.replace('[1h, lifetime]', '[1h, 2h]'));
  expect((await compiled(config)).features.some(({ name }) => name === 'shops:n_2h')).toBe(true);
  write(DEFINITIONS);
  const whole = readFileSync(kept);
  for (const damage of [
    (bytes: Buffer) => bytes.subarray(0, 40),
    (bytes: Buffer) => bytes.fill(0xee, bytes.length - 9),
    (bytes: Buffer) => bytes.fill(0xee, 33, 40),
    () => Buffer.alloc(0),
  ]) {
    writeFileSync(kept, damage(Buffer.from(whole)));
    expect(await compiled(config)).toEqual(await compileFolder(config.definitions, config));
  }
});

test('a cut at any place, or any bit that has changed, and it is compiled', async () => {
  const { config, kept } = project();
  const first = await planOf(config);
  first.keep(refuse);
  const whole = readFileSync(kept);
  const random = new Random(20260101);
  const isRead = async (bytes: Uint8Array) => {
    writeFileSync(kept, bytes);
    const { plan, keep } = await planOf(config);
    expect(plan).toEqual(first.plan);
    keep(refuse);
    return readFileSync(kept).equals(Buffer.from(bytes));
  };
  expect(await isRead(whole)).toBe(true);
  for (let round = 0; round < DAMAGES; round++) {
    const at = random.below(whole.length);
    const bytes = round % 2 === 0 ? whole.subarray(0, at) : Buffer.from(whole);
    if (round % 2 === 1) bytes[at]! ^= 1 << random.below(8);
    // What was compiled anew is kept, in place of what was damaged.
    expect([round, at, await isRead(bytes)]).toEqual([round, at, false]);
    expect(readFileSync(kept)).toEqual(whole);
  }
});

test('one of another version, and one that cannot be read, is as good as none', async () => {
  const { config, kept } = project();
  const first = await planOf(config);
  first.keep(refuse);
  const whole = readFileSync(kept);
  // A program of another version has another key, and its plan may be whole and of another shape.
  const plan = serialize({ features: 'of another shape' });
  const digest = createHash('sha256').update(plan).digest();
  writeFileSync(kept, Buffer.concat([Buffer.alloc(32, 7), digest, plan]));
  expect((await planOf(config)).plan).toEqual(first.plan);
  rmSync(kept);
  mkdirSync(kept);
  expect((await planOf(config)).plan).toEqual(first.plan);
  rmSync(kept, { recursive: true });
  writeFileSync(kept, whole);
  expect((await planOf(config)).plan).toEqual(first.plan);
});

test.each([
  ['a full disk', (kept: string) => symlinkSync('/dev/full', `${kept}.new`), 'ENOSPC', []],
  ['a folder in the place of the file', (kept: string) => mkdirSync(kept), 'EISDIR', [PLAN_FILE]],
  [
    'a folder in the place of what is renamed',
    (kept: string) => mkdirSync(`${kept}.new`),
    'EISDIR',
    [`${PLAN_FILE}.new`],
  ],
])('%s: it is said, nothing half-written stays, and the next one compiles', async (_, obstruct, code, left) => {
  const { config, kept } = project();
  obstruct(kept);
  const first = await planOf(config);
  const notes: string[] = [];
  first.keep(text => notes.push(text));
  expect(notes.length).toBe(1);
  expect(notes[0]).toStartWith('what the definitions compile to is not kept for the next start: ');
  expect(notes[0]).toContain(code);
  expect(notes[0]).toContain(kept);
  expect(readdirSync(dirname(kept))).toEqual(left);
  const second = await planOf(config);
  expect(second.plan).toEqual(first.plan);
  for (const name of left) rmSync(join(dirname(kept), name), { recursive: true });
  second.keep(refuse);
  expect(readdirSync(dirname(kept))).toEqual([PLAN_FILE]);
});

test('faulty definitions are faults, whatever was kept before', async () => {
  const { config, write } = project();
  (await planOf(config)).keep(refuse);
  write(DEFINITIONS.replace('COUNT(*)', 'COUNTS(*)'));
  await expect(planOf(config)).rejects.toThrow('COUNTS');
});
