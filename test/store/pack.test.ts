/** Packs of rows whose bytes have changed: rows, or what says that they are none, and through the store always a fault. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { runOf } from '../../src/store/batch.ts';
import { PackMerge, Runs } from '../../src/store/merge.ts';
import { addressOf } from '../../src/store/address.ts';
import { cutPack, dropRows, PackDamage, PackWalk, PackWriter } from '../../src/store/pack.ts';
import { unsealPack } from '../../src/store/seal.ts';
import { sqliteRows, sqliteStore } from '../../src/store/sqlite.ts';
import type { Row } from '../../src/store/store.ts';
import { damage } from '../kernel/json_text.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { rowAt } from '../contract/wanted.ts';
import { rowValue } from './addends.ts';
import { concatenating } from './addends.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = seeds(3, 300);

function randomRows(random: Random, count: number): Row[] {
  return Array.from({ length: count }, () => ({
    entity: random.pick([1, 2, 70_000]),
    key: Uint8Array.from({ length: random.below(random.pick([4, 300])) }, () => random.pick([0, 1, 97, 255])),
    levelMs: random.pick([0, 60_000, 86_400_000]),
    tileStartMs: 60_000 * (random.below(9) - 4),
    value: rowValue(random, random.below(40)),
  }));
}

function packOf(rows: Row[]): Uint8Array {
  return merged(new Uint8Array(0), rows);
}

function merged(pack: Uint8Array, rows: Row[]): Uint8Array {
  const out = new PackWriter();
  const merge = new PackMerge();
  merge.open(pack, null);
  expect(merge.merge(new Runs([runOf(rows)]), out)).toBe(true);
  return out.bytes().slice();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Address and value of each row, as the comment of pack.ts has it; null where the bytes are no pack. */
function readNaive(pack: Uint8Array): [address: string, value: string][] | null {
  const rows: [string, string][] = [];
  let at = 0;
  let before: number[] = [];
  const number = () => {
    let value = 0n;
    for (let shift = 0n; shift < 35n; shift += 7n) {
      const byte = pack[at++];
      if (byte === undefined) throw new RangeError();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
    throw new RangeError();
  };
  const bytes = (length: number) => {
    if (at + length > pack.length) throw new RangeError();
    at += length;
    return pack.subarray(at - length, at);
  };
  try {
    while (at < pack.length) {
      const [shared, added] = [number(), number()];
      if (shared > before.length) throw new RangeError();
      before = [...before.slice(0, shared), ...bytes(added)];
      rows.push([hex(Uint8Array.from(before)), hex(bytes(number()))]);
    }
    return rows;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function walked(pack: Uint8Array): [address: string, value: string][] {
  const walk = new PackWalk().open(pack);
  const rows: [string, string][] = [];
  while (walk.next()) rows.push([hex(walk.address.subarray(0, walk.length)), hex(walk.value())]);
  return rows;
}

/** What a damaged pack may do to whoever works on it: nothing, or say so. */
function works(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof PackDamage) return false;
    throw error;
  }
}

test.each(SEEDS)(
  'damaged packs are read as they stand, or refused; none is written beyond its bytes, seed %p',
  seed => {
    const random = new Random(seed);
    const outcomes = { read: 0, refused: 0 };
    const out = new PackWriter();
    for (let round = 0; round < 300; round++) {
      const rows = randomRows(random, 1 + random.below(30));
      const whole = packOf(rows);
      expect(walked(whole)).toEqual(readNaive(whole)!);
      const pack = damage(whole, random);
      const wanted = readNaive(pack);
      outcomes[wanted ? 'read' : 'refused']++;
      if (wanted) expect(walked(pack)).toEqual(wanted);
      else expect(() => walked(pack)).toThrow(PackDamage);
      // Those who change a pack read as much of it as they need.
      const more = randomRows(random, 3);
      const [from, to] = [1, 2].map(() => {
        const { entity, key, levelMs, tileStartMs } = random.pick(rows);
        return addressOf(entity, key, levelMs, tileStartMs);
      }) as [Uint8Array, Uint8Array];
      for (const work of [() => merged(pack, more), () => dropRows(pack, from, to, out), () => cutPack(pack)])
        if (wanted) expect(works(work)).toBe(true);
        else works(work);
      // And whatever that was, the next one is right.
      expect(hex(merged(whole, []))).toBe(hex(whole));
    }
    expect(outcomes.read).toBeGreaterThan(15);
    expect(outcomes.refused).toBeGreaterThan(60);
  },
);

test.each(SEEDS)('a stored pack of which a bit has changed is a fault to all who read it, seed %p', seed => {
  const random = new Random(seed);
  const db = new Database(':memory:');
  const store = sqliteStore(db, concatenating);
  const rows = randomRows(random, 400);
  store.commit(rows, { position: 1, clocks: new Map(), highest: [] });
  const packs = db.query<{ id: number; bytes: Uint8Array<ArrayBuffer> }, []>('SELECT id, bytes FROM packs').all();
  expect(packs.length).toBeGreaterThan(2);
  const scanned = [...store.scan()];
  const reader = sqliteRows(db, concatenating);
  for (let round = 0; round < 60; round++) {
    const { id, bytes } = random.pick(packs);
    const changed = Uint8Array.from(bytes);
    if (random.chance(0.7)) changed[random.below(changed.length)]! ^= 1 << random.below(8);
    const stored =
      random.chance(0.7) && hex(changed) !== hex(bytes) ? changed : changed.subarray(0, changed.length - 1);
    db.run('UPDATE packs SET bytes = ? WHERE id = ?', [stored, id]);
    const within = new Set(readNaive(unsealPack(bytes, concatenating))!.map(([address]) => address));
    for (const work of [
      () => [...store.scan()],
      () => [...reader.scan()],
      ...scanned
        .filter(({ entity, key, levelMs, tileStartMs }) =>
          within.has(hex(addressOf(entity, key, levelMs, tileStartMs))),
        )
        .slice(0, 3)
        .flatMap(({ entity, key, levelMs, tileStartMs }) => [
          () => rowAt(reader, entity, key, levelMs, tileStartMs),
          () => store.readRange(entity, key, levelMs, tileStartMs, tileStartMs + 1),
          () => store.rewrite(null, () => null),
        ]),
    ])
      expect(work).toThrow(Fault);
    db.run('UPDATE packs SET bytes = ? WHERE id = ?', [bytes, id]);
  }
  expect([...store.scan()]).toEqual(scanned);
});
