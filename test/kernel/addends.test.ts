/** Packs whose sums are added up: held against protobuf messages and bigints, and any bytes that are no such packs. */
import { expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { adder } from '../../src/kernel/addends.ts';
import { addressOf } from '../../src/store/address.ts';
import { ADDEND, PackWalk, PackWriter } from '../../src/store/pack.ts';
import { seeds } from '../seeds.ts';
import { Random } from '../sim/random.ts';
import { damage } from './json_text.ts';
import { mergeNaive } from './naive_row.ts';
import { randomState, row } from './rows.ts';

/** Ids beyond these take two bytes, or lie between; what an id's state is has to do with it. */
const IDS = [1, 2, 3, 4, 5, 126, 127, 128, 129, 130, 16_383, 16_384, 2 ** 31 - 5];

function randomRow(random: Random): Uint8Array {
  const ids = IDS.filter(() => random.chance(0.4));
  return row(...ids.map((id): [number, ReturnType<typeof randomState>] => [id, randomState(1 + (id % 5), random)]));
}

const marked = (value: Uint8Array) => Uint8Array.of(ADDEND, ...value);

/** A pack, and the rows that it is to become: without older runs, and with them. */
function randomPack(random: Random): { pack: Uint8Array; sum: string[]; addend: string[] } {
  const [out, walks] = [new PackWriter(), new PackWriter()];
  const [sum, addend]: [string[], string[]] = [[], []];
  out.begin();
  for (let i = 0; i < 1 + random.below(30); i++) {
    const address = addressOf(1, Buffer.from(`k${String(i).padStart(random.pick([2, 300]), '0')}`), 0, i);
    const rows = Array.from({ length: random.pick([1, 1, 2, 3, 6]) }, () => randomRow(random));
    const isWhole = random.chance(0.5);
    const values = rows.map((value, n) => (n === 0 && isWhole ? value : marked(value)));
    // The newest first, each under the same address in a pack of its own.
    const stand = values.toReversed().map(value => {
      walks.begin();
      walks.put(address, 0, address.length, value, 0, value.length);
      const walk = new PackWalk().open(walks.bytes().slice());
      walk.next();
      return walk;
    });
    if (stand.length === 1) out.take(stand[0]!);
    else out.takeSum(stand);
    const made = rows.reduce(mergeNaive);
    sum.push(hex(made));
    addend.push(hex(isWhole ? made : marked(made)));
  }
  return { pack: out.bytes().slice(), sum, addend };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function valuesOf(pack: Uint8Array): string[] {
  const values: string[] = [];
  for (const walk = new PackWalk().open(pack); walk.next(); ) values.push(hex(walk.value()));
  return values;
}

test.each(seeds(4, 400))('sums are what their values add up to, whatever else a pack has, seed %p', seed => {
  const random = new Random(seed);
  const addUp = adder();
  let sums = 0;
  for (let round = 0; round < 60; round++) {
    const { pack, sum, addend } = randomPack(random);
    const before = hex(pack);
    expect(valuesOf(addUp(pack, false))).toEqual(addend);
    expect(valuesOf(addUp(pack, true))).toEqual(sum);
    expect(hex(pack)).toBe(before);
    sums += sum.length;
  }
  expect(sums).toBeGreaterThan(300);
});

test.each(seeds(4, 400))('packs whose bytes have changed are read or refused, and the next is right, seed %p', seed => {
  const random = new Random(seed);
  const addUp = adder();
  const outcomes = { read: 0, corrupt: 0, unsupported: 0 };
  for (let round = 0; round < 400; round++) {
    const { pack, sum } = randomPack(random);
    const changed = damage(pack, random);
    try {
      addUp(changed, random.chance(0.5));
      outcomes.read++;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      outcomes[error.code as 'corrupt' | 'unsupported']++;
    }
    if (round % 10 === 0) expect(valuesOf(addUp(pack, true))).toEqual(sum);
  }
  expect(outcomes.read).toBeGreaterThan(40);
  expect(outcomes.corrupt).toBeGreaterThan(40);
});

test('of two values that are not of one kind no sum is made', () => {
  const [out, walk] = [new PackWriter(), new PackWalk()];
  const address = addressOf(1, Buffer.from('k'), 0, 0);
  const sumOf = (...values: Uint8Array[]) => {
    const walks = values.map(value => {
      out.begin();
      out.put(address, 0, address.length, value, 0, value.length);
      const each = new PackWalk().open(out.bytes().slice());
      each.next();
      return each;
    });
    out.begin();
    out.takeSum(walks);
    return out.bytes().slice();
  };
  const [count, mean] = [1, 3].map(which => row([1, randomState(which, new Random(1))]));
  const addUp = adder();
  expect(() => addUp(sumOf(marked(count!), mean!), true)).toThrow('a row or a change is not in canonical form');
  // Only the oldest is whole.
  expect(() => addUp(sumOf(count!, count!), true)).toThrow('a row or a change is not in canonical form');
  const strange = Uint8Array.of(0x0a, 8, 0x08, 1, 0x12, 4, 0xfa, 0x3f, 1, 0);
  expect(() => addUp(sumOf(marked(strange), strange), true)).toThrow('use a newer tilefold');
  expect(walk.open(addUp(sumOf(marked(count!), count!), true)).next()).toBe(true);
});
