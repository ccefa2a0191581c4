/** The oracle's arithmetic, exact by way of BigInt. */

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

function abs(integer: bigint): bigint {
  return integer < 0n ? -integer : integer;
}

function bitLength(positive: bigint): number {
  return positive.toString(2).length;
}
