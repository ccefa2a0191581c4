/** The longest number: a sign and 19 digits, or the 24 characters that a double may take. */
const NUMBER_BYTES = 32;

const TWO_32 = 2 ** 32;

const ENCODER = new TextEncoder();

/** JSON that grows byte by byte: none of its numbers that a double holds becomes a text of its own on the way. */
export class ReplyBytes {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(roomBytes: number) {
    this.#bytes = new Uint8Array(roomBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Any text, as UTF-8. */
  text(text: string): void {
    this.#room(text.length * 3);
    this.#length += ENCODER.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** A short text of ASCII: a call of the encoder would take longer. */
  ascii(text: string): void {
    this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = byte;
  }

  /** An int64 given as its two halves, `high` with the sign. */
  int64(low: number, high: number): void {
    const value = high * TWO_32 + low;
    if (Number.isSafeInteger(value)) this.#integer(value);
    else this.ascii(String((BigInt(high) << 32n) | BigInt(low)));
  }

  /** In the fewest digits that read back the same. */
  double(value: number): void {
    if (Object.is(value, -0)) this.ascii('-0');
    else if (Number.isSafeInteger(value)) this.#integer(value);
    else this.ascii(String(value));
  }

  #integer(value: number): void {
    this.#room(NUMBER_BYTES);
    const bytes = this.#bytes;
    let rest = value;
    if (rest < 0) {
      bytes[this.#length++] = MINUS;
      rest = -rest;
    }
    const end = this.#length + digitCount(rest);
    let at = end;
    // Remainders of whole numbers in 32 bits are cheap.
    for (; rest >= TWO_32; rest = Math.floor(rest / 10)) bytes[--at] = ZERO + (rest % 10);
    for (let short = rest >>> 0; at > this.#length; short = (short / 10) >>> 0) bytes[--at] = ZERO + (short % 10);
    this.#length = end;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.view());
    this.#bytes = grown;
  }
}

const MINUS = 0x2d;
const ZERO = 0x30;

function digitCount(value: number): number {
  let count = 1;
  for (let power = 10; value >= power; power *= 10) count++;
  return count;
}
