/** APPROX_COUNT_DISTINCT over all values at once: registers as a plain array, hashes by Bun's XXH64. */
import type { Value } from '../../src/plan/value.ts';

export function approximateCount(values: Value[], precision: number): bigint {
  return estimate(registersOf(values, precision), precision);
}

/** The greatest rank of each register. */
export function registersOf(values: Value[], precision: number): number[] {
  const registers = new Array<number>(2 ** precision).fill(0);
  for (const value of values) {
    const bits = hashOf(value).toString(2).padStart(64, '0');
    const index = Number.parseInt(bits.slice(0, precision), 2);
    const rest = bits.slice(precision);
    const rank = (rest.includes('1') ? rest.indexOf('1') : rest.length) + 1;
    registers[index] = Math.max(registers[index]!, rank);
  }
  return registers;
}

function hashOf(value: Value): bigint {
  return BigInt.asUintN(64, BigInt(Bun.hash.xxHash64(bytesOf(value), 0n)));
}

function bytesOf(value: Value): Uint8Array {
  if (typeof value === 'string') return new TextEncoder().encode(value);
  const view = new DataView(new ArrayBuffer(8));
  if (typeof value === 'number') {
    view.setFloat64(0, value === 0 ? 0 : value, true);
    if (Number.isNaN(value)) view.setBigUint64(0, 0x7ff8_0000_0000_0000n, true);
  } else view.setBigInt64(0, BigInt(value as bigint | boolean), true);
  return new Uint8Array(view.buffer);
}

/** Ertl's improved estimator: algorithm 6 of "New cardinality estimation algorithms for HyperLogLog sketches" (2017). */
function estimate(registers: number[], precision: number): bigint {
  const m = registers.length;
  const q = 64 - precision;
  const withRank = (rank: number) => registers.filter(register => register === rank).length;
  if (withRank(0) === m) return 0n;
  let z = m * tau((m - withRank(q + 1)) / m);
  for (let rank = q; rank >= 1; rank--) z = 0.5 * (z + withRank(rank));
  z += m * sigma(withRank(0) / m);
  const nearest = Math.floor(((0.5 / Math.LN2) * m * m) / z + 0.5);
  return nearest < 2 ** 63 ? BigInt(nearest) : 2n ** 63n - 1n;
}

/** x + the sum of 2^(k-1) x^(2^k) for k from 1 on, until nothing is added any more. */
function sigma(x: number): number {
  let sum = x;
  for (let k = 1; ; k++) {
    x *= x;
    const more = sum + x * 2 ** (k - 1);
    if (more === sum) return sum;
    sum = more;
  }
}

/** (1 - x - the sum of 2^-k (1 - x^(2^-k))^2 for k from 1 on) / 3. */
function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let sum = 1 - x;
  for (let k = 1; ; k++) {
    x = Math.sqrt(x);
    const less = sum - (1 - x) * (1 - x) * 2 ** -k;
    if (less === sum) return sum / 3;
    sum = less;
  }
}
