/** What is wrong with bytes that are no row. */
export class Refused extends Error {}

export function refuse(why: string): never {
  throw new Refused(why);
}

export function given<T>(value: T | undefined): T {
  return value === undefined ? refuse('a field is not there') : value;
}

/** As it lies in 64 bits. */
export function int64(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}
