/** Buckets whose width is a part of their value, as docs/meaning.md says them; and half-lives. */

// What stands for a logarithm of 2^e (1 + t) is e + P(t): 0 at t = 0, 1 at t = 1.
const P = (t: number) => (((6 / 35) * t - 3 / 5) * t + 10 / 7) * t;

const NONE = 2n ** 40n + 1n;
const INFINITE = 2n ** 40n;
const OFFSET = 2n ** 30n;

const word = new DataView(new ArrayBuffer(8));

function bitsOf(real: number): bigint {
  word.setFloat64(0, real);
  return word.getBigUint64(0);
}

function realOf(bits: bigint): number {
  word.setBigUint64(0, bits);
  return word.getFloat64(0);
}

/** Steps of a doubling: 7/10 of what 2 artanh(accuracy) has room for, and a millionth more. */
function steps(accuracy: number): number {
  let artanh = 0;
  for (let i = 30; i >= 0; i--) artanh = artanh * accuracy * accuracy + 1 / (2 * i + 1);
  return (1.000001 * 0.7) / (2 * accuracy * artanh);
}

function step(magnitude: number, perDoubling: number): bigint {
  const isSmall = magnitude < 2 ** -1022;
  const bits = bitsOf(isSmall ? magnitude * 2 ** 54 : magnitude);
  const exponent = Number(bits >> 52n) - 1023 - (isSmall ? 54 : 0);
  const t = realOf((bits & (2n ** 52n - 1n)) | bitsOf(1)) - 1;
  return BigInt(Math.floor((exponent + P(t)) * perDoubling));
}

export function sketchBucket(real: number, accuracy: number): bigint {
  if (Number.isNaN(real)) return NONE;
  if (real === 0) return 0n;
  const bucket = Math.abs(real) === Infinity ? INFINITE : OFFSET + step(Math.abs(real), steps(accuracy));
  return real < 0 ? -bucket : bucket;
}

/** The double that is as far from the least of a bucket as from its greatest, for their size. */
export function bucketMiddle(bucket: bigint, accuracy: number): number {
  if (bucket === NONE) return Number.NaN;
  if (bucket === 0n) return 0;
  if (bucket < 0n) return -bucketMiddle(-bucket, accuracy);
  if (bucket === INFINITE) return Infinity;
  const perDoubling = steps(accuracy);
  const first = (index: bigint): bigint => {
    let [low, high] = [1n, bitsOf(Infinity)];
    while (low < high) {
      const middle = (low + high) / 2n;
      if (step(realOf(middle), perDoubling) < index) low = middle + 1n;
      else high = middle;
    }
    return low;
  };
  const least = realOf(first(bucket - OFFSET));
  const greatest = realOf(first(bucket - OFFSET + 1n) - 1n);
  return least * (2 / (1 + least / greatest));
}

/** 2^part of a half-life: e^(part ln 2) by its series, from -1/2 to 1/2. */
export function power2(part: number): number {
  const y = (part >= 0.5 ? part - 1 : part) * Math.LN2;
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  let sum = 0;
  for (let i = 14; i >= 0; i--) sum = sum * y + 1 / factorial(i);
  return part >= 0.5 ? 2 * sum : sum;
}
