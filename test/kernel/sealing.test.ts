/** Packs that rest as their numbers: held against a reader of its own, and any bytes that are no such packs. */
import { expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { sealer } from '../../src/kernel/sealing.ts';
import { addressOf } from '../../src/store/address.ts';
import { ADDEND, PackWalk, PackWriter } from '../../src/store/pack.ts';
import { seeds } from '../seeds.ts';
import { Random } from '../sim/random.ts';
import { damage } from './json_text.ts';
import { changeBatch, randomState, row } from './rows.ts';

/** Ids beyond these take two bytes, or three; what an id's state is has to do with it. */
const IDS = [1, 2, 3, 4, 5, 126, 127, 128, 129, 130, 16_383, 16_384, 2 ** 31 - 5];

const LEVELS = [0, 60_000, 1_800_000, 86_400_000];

/** How rows of a pack are: of a few sets of entries, as those of an entity are, each of them now and then otherwise. */
interface Kind {
  sets: number[][];
  strange: number;
}

function randomKind(random: Random): Kind {
  const sets = Array.from({ length: random.pick([1, 1, 2, 5, 200]) }, () => IDS.filter(() => random.chance(0.4)));
  return { sets, strange: random.pick([0, 0, 0.1, 0.5]) };
}

function randomValue(random: Random, { sets, strange }: Kind): Uint8Array {
  if (random.chance(strange / 2))
    return Uint8Array.from({ length: random.below(random.pick([300, 300, 300, 20_000])) }, () => random.below(256));
  const entries = random
    .pick(sets)
    .map((id): Parameters<typeof row>[number] => [id, randomState(1 + (id % 7), random)]);
  const value = row(...entries);
  return random.chance(0.2) ? Uint8Array.of(ADDEND, ...value) : value;
}

function randomPack(random: Random): Uint8Array<ArrayBuffer> {
  const [out, kind] = [new PackWriter(), randomKind(random)];
  const width = random.pick([0, 0, 40, 300]);
  out.begin();
  for (let i = 0; i < 1 + random.below(30); i++) {
    const key = Buffer.from(
      `k${random.pick(['', 'a\0', 'ab'])}${String(i).padStart(random.pick([2, 3]) + width, '0')}`,
    );
    addresses.length = 0;
    for (const level of LEVELS.filter(() => random.chance(0.6))) {
      let start = random.pick([-1, 1]) * random.below(2 ** 40);
      if (level > 0 && random.chance(0.9)) start -= start % level;
      for (let n = level === 0 ? 1 : 1 + random.below(8); n > 0; n--) {
        addresses.push(addressOf(1 + (i >> 4), key, level, start));
        start += (level || 1) * random.pick([1, 1, 2, 3000]) + (random.chance(kind.strange / 10) ? 7 : 0);
      }
    }
    for (const address of addresses) {
      const value = randomValue(random, kind);
      out.put(address, 0, address.length, value, 0, value.length);
    }
  }
  return out.bytes().slice();
}

const addresses: Uint8Array[] = [];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function rowsOf(pack: Uint8Array): [string, string][] {
  const rows: [string, string][] = [];
  for (const walk = new PackWalk().open(pack); walk.next(); )
    rows.push([hex(walk.address.subarray(0, walk.length)), hex(walk.value())]);
  return rows;
}

/** What a sealed pack has, by the description of it alone. */
function rowsNaive(sealed: Uint8Array): [string, string][] {
  let at = 1;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = sealed[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const signed = () => {
    const value = varint();
    return value & 1n ? -((value + 1n) >> 1n) : value >> 1n;
  };
  const bytes = (size: number) => {
    at += size;
    return [...sealed.subarray(at - size, at)];
  };
  const spelt = (value: number | bigint) => {
    const out: number[] = [];
    for (let rest = BigInt(value); ; rest >>= 7n) {
      if (rest < 0x80n) return [...out, Number(rest)];
      out.push(Number(rest & 0x7fn) | 0x80);
    }
  };
  const sized = (tag: number, body: number[]) => [tag, ...spelt(body.length), ...body];
  const number = () => [0x08, ...spelt(varint())];
  /** COUNT, SUM, MEAN, MIN and MAX of FeatureValue. */
  const VALUES: Record<number, () => number[]> = {
    1: number,
    2: () => sized(0x12, number()),
    3: () => {
      const sum = sized(0x0a, number());
      return sized(0x1a, [...sum, 0x10, ...spelt(varint())]);
    },
    4: () => sized(0x22, number()),
    5: () => sized(0x2a, number()),
  };
  const count = Number(varint());
  const forms = Array.from({ length: Number(varint()) }, () => {
    const [level, last, flags] = [varint(), signed(), Number(varint())];
    const entries = Array.from({ length: Number(varint()) }, () => ({ id: varint(), which: sealed[at++]! }));
    return { level, last, unit: flags & 1 ? 1n : level, isAddend: (flags & 2) !== 0, entries };
  });
  const rows: [string, string][] = [];
  let head: number[] = [];
  for (let n = count; n > 0; n--) {
    const control = sealed[at++]!;
    const form = forms[control >> 1]!;
    if (control & 1) {
      const shared = Number(varint());
      head = [...head.slice(0, shared), ...bytes(Number(varint()))];
    }
    form.last += signed() * form.unit;
    const tail = Buffer.alloc(16);
    tail.writeBigUInt64BE(form.level << 16n);
    tail.writeBigUInt64BE((form.last + 2n ** 55n) << 8n, 6);
    const address = hex(Uint8Array.of(...head, ...tail.subarray(0, 13)));
    const whole = () => bytes(Number(varint()));
    const entries = form.entries.flatMap(({ id, which }) => {
      const value = which === 0 ? whole() : VALUES[which]!();
      return sized(0x0a, [0x08, ...spelt(id), ...sized(0x12, value)]);
    });
    const value = form.entries.length === 0 ? whole() : entries;
    rows.push([address, hex(Uint8Array.from(form.isAddend ? [ADDEND, ...value] : value))]);
  }
  expect(at).toBe(sealed.length);
  return rows;
}

const { seal, unseal } = sealer();

/** Over all seeds. */
const counts = { sealed: 0, refused: 0, rows: 0 };

test.each(seeds(6, 400))('what is sealed is the same pack again, and as it is described, seed %p', seed => {
  const random = new Random(seed);
  // Its memory grows with what it is given.
  const { seal, unseal } = sealer();
  for (let round = 0; round < 60; round++) {
    const pack = randomPack(random);
    const before = hex(pack);
    const sealed = seal(pack);
    expect(hex(pack)).toBe(before);
    if (!sealed) {
      counts.refused++;
      continue;
    }
    counts.sealed++;
    const rows = rowsOf(pack);
    counts.rows += rows.length;
    expect(rowsNaive(sealed)).toEqual(rows);
    expect(hex(unseal(sealed)!)).toBe(before);
  }
});

test('nearly all of these were sealed, and some had too many forms', () => {
  expect(counts.sealed).toBeGreaterThan(200);
  expect(counts.refused).toBeGreaterThan(5);
  expect(counts.rows).toBeGreaterThan(10_000);
});

/** Three tiles of one key, as a store has them most. */
function smallPack(): Uint8Array<ArrayBuffer> {
  const out = new PackWriter();
  out.begin();
  for (const n of [0, 1, 3]) {
    const address = addressOf(1, Buffer.from('k'), 60_000, 1_700_000_040_000 + n * 60_000);
    const value = Uint8Array.of(0x0a, 6, 0x08, 1, 0x12, 2, 0x08, 2 * n + 2);
    out.put(address, 0, address.length, value, 0, value.length);
  }
  return out.bytes().slice();
}

test('of a tile there are three bytes: its form, how far it is from the one before, and its number', () => {
  const sealed = seal(smallPack())!;
  const head = '01' + '03' + '01' + 'e0d403' + '8091b0fef962' + '00' + '01' + '01' + '01';
  expect(hex(sealed)).toBe(
    `${head}${'01' + '00' + '07' + '00000001' + '6b' + '0000' + '00' + '02'}${'000204'}${'000408'}`,
  );
});

test('what ends early, or has more behind it, is not what was sealed', () => {
  const pack = smallPack();
  const sealed = seal(pack)!;
  for (let length = 0; length < sealed.length; length++) expect(unseal(sealed.subarray(0, length))).toBeNull();
  for (let byte = 0; byte < 256; byte++) expect(unseal(Uint8Array.of(...sealed, byte))).toBeNull();
  expect(hex(unseal(sealed)!)).toBe(hex(pack));
});

test('a pack of no rows is one', () => {
  const sealed = seal(new Uint8Array(0))!;
  expect(unseal(sealed)).toEqual(new Uint8Array(0));
});

test('rows that begin with less in common than they have are kept otherwise', () => {
  const [pack, at] = [smallPack(), new PackWalk()];
  at.open(pack).next();
  // The second row, with its shared bytes spelt out.
  const [first, rest] = [pack.subarray(0, at.end), at.address.slice(0, at.length)];
  at.next();
  const whole = [0, at.length, ...at.address.subarray(0, at.length), at.end - at.valueStart, ...at.value()];
  expect(at.shared).toBeGreaterThan(0);
  expect(rest.length).toBe(at.length);
  expect(seal(Uint8Array.of(...first, ...whole))).toBeNull();
});

test.each(seeds(6, 400))('bytes that have changed are another pack or none, and the next is right, seed %p', seed => {
  const random = new Random(seed);
  const outcomes = { pack: 0, none: 0 };
  for (let round = 0; round < 300; round++) {
    const pack = randomPack(random);
    const sealed = seal(pack);
    if (!sealed) continue;
    const other = unseal(damage(sealed, random));
    outcomes[other ? 'pack' : 'none']++;
    if (other) rowsOf(other);
    if (round % 10 === 0) expect(hex(unseal(sealed)!)).toBe(hex(pack));
    // And what is no pack is not sealed, or is the same again.
    const changed = damage(pack, random);
    const resealed = seal(changed);
    if (resealed) expect(hex(unseal(resealed)!)).toBe(hex(changed));
  }
  expect(outcomes.none).toBeGreaterThan(100);
  expect(outcomes.pack).toBeGreaterThan(10);
});

/** Sets of entries without end. */
const MANY = { sets: Array.from({ length: 300 }, (_, i) => IDS.filter((_id, bit) => ((i * 40_503) >>> bit) & 1)) };

/** Changes of rows as memory has them: closed to their numbers, open, and of more kinds than a pack has forms. */
function randomChange(random: Random, kind: Kind): Parameters<typeof changeBatch>[number] {
  const level = BigInt(random.pick(LEVELS));
  const tile = BigInt(random.below(50) - 25);
  const tileStart = level === 0n ? 0n : tile * level + BigInt(random.chance(kind.strange / 10) ? 7 : 0);
  const key = `k${random.pick(['', 'a\0', 'ab'])}${random.below(40)}`;
  const ids = random.pick(kind.sets);
  return [
    { entity: 1 + random.below(2), key, level, tileStart },
    row(...ids.map((id): Parameters<typeof row>[number] => [id, randomState(1 + (id % 7), random)])),
  ];
}

test.each(seeds(6, 400))(
  'rows are sealed from memory as they are, with the bounds of each pack, seed %p',
  async seed => {
    const random = new Random(seed);
    const fold = new Fold(await loadKernel(), null);
    for (let round = 0; round < 4; round++) {
      const kind = { ...randomKind(random), ...(round === 0 && MANY) };
      for (let n = 0; n < 12; n++)
        fold.apply(changeBatch(...Array.from({ length: 30 }, () => randomChange(random, kind))));
      const wanted = Array.from(fold.dirtyRun(), part => rowsOf(part)).flat();
      const packBytes = round === 0 ? 1 << 20 : random.pick([1, 300, 8_000]);
      const packs = [...fold.dirtyPacks(packBytes)];
      const plain = packs.map(({ bytes }) => unseal(bytes)!);
      expect(plain.flatMap(rowsOf)).toEqual(wanted);
      expect(wanted.length).toBe(fold.dirtyCount);
      for (const [i, { first, last, bytes, rowBytes }] of packs.entries()) {
        const rows = rowsOf(plain[i]!);
        expect([hex(first), hex(last)]).toEqual([rows[0]![0], rows.at(-1)![0]]);
        expect(rowsNaive(bytes)).toEqual(rows);
        expect(Math.abs(rowBytes - plain[i]!.length)).toBeLessThan(0.3 * plain[i]!.length + 20);
      }
      if (packBytes === 1) expect(packs.length).toBe(wanted.length);
      // Of more forms than a pack may have.
      if (round === 0) expect(packs.length).toBeGreaterThan(1);
      fold.settle();
    }
  },
);
