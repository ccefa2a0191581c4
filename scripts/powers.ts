import { join } from 'node:path';

/**
 * Writes assembly/powers.ts: powers of five in 128 bits, for reading decimal numbers as doubles, and for spelling doubles.
 *
 * 5^q for q from -342 to 324 (the least double is 5 * 10^-324; to be read, 308 would do), normalised so that the highest bit is set: truncated where q >= 0, and for q < 0 the
 * reciprocal rounded up, as the proof of the method wants it (Daniel Lemire, "Number Parsing at a Gigabyte per Second").
 */
const SMALLEST = -342;
const LARGEST = 324;
const MASK_64 = (1n << 64n) - 1n;

export function powerOfFive(q: number): bigint {
  const power = 5n ** BigInt(Math.abs(q));
  if (q >= 0) return normalised(power);
  // The least z with 2^z >= 5^-q decides how far 1 is shifted before it is divided.
  const bits = power.toString(2).length;
  const z = power === 1n << BigInt(bits - 1) ? bits - 1 : bits;
  const shift = q >= -27 ? z + 127 : 2 * z + 2 * 64;
  const reciprocal = (1n << BigInt(shift)) / power + 1n;
  return q >= -27 ? reciprocal : normalised(reciprocal);
}

function normalised(value: bigint): bigint {
  const bits = value.toString(2).length;
  return bits > 128 ? value >> BigInt(bits - 128) : value << BigInt(128 - bits);
}

export function powersText(): string {
  const lines: string[] = [];
  for (let q = SMALLEST; q <= LARGEST; q++) {
    const power = powerOfFive(q);
    const hex = (word: bigint) => `0x${word.toString(16).padStart(16, '0')}`;
    lines.push(`  ${hex(power >> 64n)}, ${hex(power & MASK_64)}, // 5^${q}`);
  }
  return [
    '/** Made by scripts/powers.ts: high and low word of 5^q, its highest bit set, for each q from POWER_MIN on. */',
    `export const POWER_MIN: i32 = ${SMALLEST};`,
    `export const POWER_MAX: i32 = ${LARGEST};`,
    'export const powers: usize = memory.data<u64>([',
    ...lines,
    ']);',
    '',
  ].join('\n');
}

if (import.meta.main) await Bun.write(join(import.meta.dir, '../assembly/powers.ts'), powersText());
