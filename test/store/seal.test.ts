/** How packs rest: as their numbers where these are most of what there is, as a frame of zstd where that takes less, and as they are. */
import { expect, test } from 'bun:test';
import { packKernel } from '../../src/kernel/sealing.ts';
import { addressOf } from '../../src/store/address.ts';
import { PackDamage, PackWriter } from '../../src/store/pack.ts';
import { resealPack, sealPack, unsealPack } from '../../src/store/seal.ts';
import { count, recent, row, sum } from '../kernel/rows.ts';
import { Random } from '../sim/random.ts';

const kernel = packKernel();

function packOf(rows: number, value: (i: number) => Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new PackWriter();
  out.begin();
  for (let i = 0; i < rows; i++) {
    const address = addressOf(1, Buffer.from('key'), 60_000, i * 60_000);
    out.put(address, 0, address.length, value(i), 0, value(i).length);
  }
  return out.bytes().slice();
}

const NUMBERS = packOf(200, i => row([1, count(BigInt(i))], [2, sum(BigInt(i * i))]));
const TEXTS = packOf(60, i =>
  row([1, recent(3, [{ time: BigInt(i), position: 1n, value: 'what is said again and again' }])]),
);
const random = new Random(1);
const NOISE = packOf(3, () => Uint8Array.from({ length: 300 }, () => random.below(256)).fill(0xff, 0, 1));
const FEW = packOf(2, () => row([1, count(1n)]));

test.each([
  ['numbers', NUMBERS, 0x01],
  ['texts', TEXTS, 0x28],
  ['what becomes no less', NOISE, 0x01],
  ['few rows', FEW, 0x00],
])('%s', (_name, pack, first) => {
  const sealed = sealPack(pack, kernel);
  expect(sealed[0]).toBe(first);
  expect(sealed.length).toBeLessThanOrEqual(pack.length);
  expect(unsealPack(sealed, kernel)).toEqual(pack);
});

test('what a kernel has sealed is packed anew where zstd makes less of it', () => {
  for (const [pack, first] of [
    [NUMBERS, 0x01],
    [TEXTS, 0x28],
  ] as const) {
    const resealed = resealPack(kernel.seal(pack)!, pack.length, kernel);
    expect(resealed[0]).toBe(first);
    expect(unsealPack(resealed, kernel)).toEqual(pack);
  }
});

test('a frame, or what was sealed, that has ended early is damage', () => {
  for (const pack of [NUMBERS, TEXTS])
    expect(() => unsealPack(sealPack(pack, kernel).slice(0, -1), kernel)).toThrow(PackDamage);
});
