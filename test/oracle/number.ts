/** The oracle's arithmetic, exact by way of BigInt. */
import { power2 } from './sketch.ts';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The integer itself, or null beyond int64. */
export function int64(integer: bigint): bigint | null {
  return integer < INT64_MIN || integer > INT64_MAX ? null : integer;
}

/** A JSON number's text as an int64: `12`, `1.0`, `1e2`; null where it is not integral or out of range. */
export function integerFromText(text: string): bigint | null {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  // 1.50e3 is the digits 15 followed by 3 - 2 + 1 zeros.
  const significant = `${whole}${fraction}`.replace(/0+$/, '');
  const zeros = Number(exponent) - fraction.length + (`${whole}${fraction}`.length - significant.length);
  const digits = significant.replace(/^0+/, '');
  if (digits === '') return 0n;
  if (zeros < 0 || digits.length + zeros > 19) return null;
  return int64(BigInt(`${sign}${digits}${'0'.repeat(zeros)}`));
}

/** A JSON number's text without what lies behind its point; null beyond int64. */
export function wholePartOf(text: string): bigint | null {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const point = whole!.length + Number(exponent);
  const digits = `${whole}${fraction}`;
  const kept = digits.slice(0, Math.max(0, point)).replace(/^0+/, '');
  const zeros = Math.max(0, point - digits.length);
  if (kept === '') return 0n;
  return kept.length + zeros > 19 ? null : int64(BigInt(`${sign}${kept}${'0'.repeat(zeros)}`));
}

/** The nearest int64, ties to even; null for NaN and out of range. */
export function nearestInt64(real: number): bigint | null {
  if (!Number.isFinite(real)) return null;
  const floor = Math.floor(real);
  const rest = real - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return int64(BigInt(up ? floor + 1 : floor));
}

/**
 * The exact quotient, rounded once to the nearest double, ties to even. Its size must lie between 2^-900 and 2^900,
 * where doubles have their full 53 bits; sums of int64 over counts are well inside.
 */
export function roundedQuotient(dividend: bigint, divisor: bigint): number {
  if (dividend === 0n) return 0;
  const negative = dividend < 0n !== divisor < 0n;
  const [n, d] = [abs(dividend), abs(divisor)];
  // Scaled by 2^shift the quotient has 56 or 57 bits: 53 that stay and at least 3 that decide the rounding.
  const shift = 56 - (bitLength(n) - bitLength(d));
  const [scaledN, scaledD] = shift >= 0 ? [n << BigInt(shift), d] : [n, d << BigInt(-shift)];
  let quotient = scaledN / scaledD;
  // Whatever lies below the last bit can only matter by not being zero, so one bit stands for all of it.
  if (scaledN % scaledD !== 0n) quotient |= 1n;
  const rounded = Number(quotient);
  const real = shift >= 0 ? rounded / Number(1n << BigInt(shift)) : rounded * Number(1n << BigInt(-shift));
  return negative ? -real : real;
}

/** -0 below 0, NaN above all. */
export function compareReals(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  return a < b ? -1 : Number(a > b);
}

/**
 * The exact sum of weight * value over the divisor, rounded once to the nearest double, ties to even; null where that
 * is beyond the largest one. A NaN or an infinity counts while its weights do not cancel out.
 */
export function exactQuotient(terms: { value: number; weight: bigint }[], divisor: bigint): number | null {
  const count = (is: (value: number) => boolean) =>
    terms.reduce((sum, { value, weight }) => (is(value) ? sum + weight : sum), 0n);
  const [plus, minus] = [count(value => value === Infinity), count(value => value === -Infinity)];
  if (count(Number.isNaN) !== 0n || (plus !== 0n && minus !== 0n)) return Number.NaN;
  if (plus !== 0n) return Infinity;
  if (minus !== 0n) return -Infinity;
  const finite = terms.filter(({ value }) => Number.isFinite(value));
  const units = finite.reduce((sum, { value, weight }) => sum + weight * unitsOf(value), 0n);
  return doubleOf(units, divisor);
}

/**
 * The exact variance of values by their weights, rounded once; null where there are too few. Squares are whole numbers of
 * 2^-1074, rounded where they are not, and none is of a value that is 2^512 or more.
 */
export function exactVariance(
  terms: { value: number | bigint; weight: bigint }[],
  isSample: boolean,
): number | null | 'overflow' {
  const count = terms.reduce((sum, { weight }) => sum + weight, 0n);
  const divisor = count * (isSample ? count - 1n : count);
  if (count <= 0n || divisor <= 0n) return null;
  const net = (is: (value: number | bigint) => boolean) =>
    terms.reduce((sum, { value, weight }) => (is(value) ? sum + weight : sum), 0n);
  const odd = [Number.isNaN, (value: unknown) => value === Infinity, (value: unknown) => value === -Infinity];
  if (odd.some(is => net(is) !== 0n)) return Number.NaN;
  const isHuge = (value: number | bigint) => typeof value === 'number' && Math.abs(value) >= 2 ** 512;
  if (net(isHuge) !== 0n) return 'overflow';
  const unit = 2n ** 1074n;
  const [units, squares] = [0n, 0n];
  const sums = terms
    .filter(({ value }) => typeof value === 'bigint' || Number.isFinite(value))
    .reduce(
      (sum, { value, weight }) => {
        const u = typeof value === 'bigint' ? value * unit : unitsOf(value);
        return {
          units: sum.units + weight * u,
          squares: isHuge(value) ? sum.squares : sum.squares + weight * roundedInteger(u * u, unit),
        };
      },
      { units, squares },
    );
  return doubleOf(count * sums.squares * unit - sums.units * sums.units, divisor * unit) ?? 'overflow';
}

/**
 * The sum of weight * value * 2^((time - t) / halfLife), times in microseconds; null with a value that has no room in it. The part of
 * a power that is no whole number is rounded, and so is what it makes of its value; then the sum once; and what is left of t.
 */
export function decayed(
  terms: { value: number; time: bigint; weight: bigint }[],
  halfLife: bigint,
  t: bigint,
): number | null {
  const net = (is: (value: number) => boolean) =>
    terms.reduce((sum, { value, weight }) => (is(value) ? sum + weight : sum), 0n);
  if (net(value => Math.abs(value) >= 2 ** 768) !== 0n) return null;
  if (net(Number.isNaN) !== 0n) return Number.NaN;
  const wholeOf = (time: bigint) => (time - modulo(time, halfLife)) / halfLife;
  const partOf = (time: bigint) => Number(modulo(time, halfLife)) / Number(halfLife);
  const finite = terms.filter(({ value }) => Math.abs(value) < 2 ** 768);
  const wholes = [t, ...finite.map(({ time }) => time)].map(wholeOf);
  const start = wholes.toSorted((a, b) => (a < b ? -1 : 1))[0]!;
  const units = finite.reduce(
    (sum, { value, time, weight }) => sum + weight * (unitsOf(value * power2(partOf(time))) << (wholeOf(time) - start)),
    0n,
  );
  const sum = doubleOf(units, 2n ** (wholeOf(t) - start));
  const rest = modulo(t, halfLife);
  if (sum === null || rest === 0n) return sum;
  return (sum * power2(Number(halfLife - rest) / Number(halfLife))) / 2;
}

function modulo(dividend: bigint, divisor: bigint): bigint {
  const rest = dividend % divisor;
  return rest < 0n ? rest + divisor : rest;
}

const word = new DataView(new ArrayBuffer(8));

/** A double as a whole number of 2^-1074. */
function unitsOf(real: number): bigint {
  word.setFloat64(0, real);
  const bits = word.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & (2n ** 52n - 1n);
  const units = exponent === 0n ? fraction : (fraction + 2n ** 52n) << (exponent - 1n);
  return real < 0 ? -units : units;
}

/** dividend / divisor units of 2^-1074 as a double. */
function doubleOf(dividend: bigint, divisor: bigint): number | null {
  if (dividend === 0n) return 0;
  const negative = dividend < 0n !== divisor < 0n;
  const [n, d] = [abs(dividend), abs(divisor)];
  // Up to 2^53 units every whole number of units is a double; beyond it every 2^exponent-th one.
  let exponent = Math.max(0, bitLength(n / d || 1n) - 53);
  let units = roundedInteger(n, d << BigInt(exponent));
  if (units === 2n ** 53n) {
    units /= 2n;
    exponent++;
  }
  if (exponent > 2045) return null;
  word.setBigUint64(0, exponent === 0 ? units : units + (BigInt(exponent) << 52n));
  return negative ? -word.getFloat64(0) : word.getFloat64(0);
}

function roundedInteger(n: bigint, d: bigint): bigint {
  const floor = n / d;
  const twice = 2n * (n % d);
  return twice > d || (twice === d && floor % 2n === 1n) ? floor + 1n : floor;
}

function abs(integer: bigint): bigint {
  return integer < 0n ? -integer : integer;
}

function bitLength(positive: bigint): number {
  return positive.toString(2).length;
}
