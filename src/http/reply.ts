/** The longest number and a comma: a sign and 19 digits, or the 24 characters that a double may take. */
const NUMBER_BYTES = 32;

const TWO_31 = 2 ** 31;
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
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.#length = at;
  }

  byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Bytes [start, end) of others, as they are: mostly a few. */
  copy(from: Uint8Array, start: number, end: number): void {
    this.#room(end - start);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = start; i < end; i++) bytes[at++] = from[i]!;
    this.#length = at;
  }

  /**
   * Values of an int64 column, with commas between them; null where `nulls` says so.
   *
   * @param halves of each value the lower 32 bits, then the upper ones with the sign
   */
  int64s(halves: Int32Array, nulls: Uint8Array, count: number): void {
    this.#room(count * NUMBER_BYTES);
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#bytes[this.#length++] = COMMA;
      this.#int64(halves, nulls, i);
    }
  }

  #int64(halves: Int32Array, nulls: Uint8Array, index: number): void {
    const low = halves[2 * index]! >>> 0;
    const high = halves[2 * index + 1]!;
    const value = high * TWO_32 + low;
    if (nulls[index]) this.ascii('null');
    else if (Number.isSafeInteger(value)) this.#integer(value);
    else this.ascii(String((BigInt(high) << 32n) | BigInt(low)));
  }

  /** Values of a double column, with commas between them: each in the fewest digits that read back the same. */
  doubles(values: Float64Array, nulls: Uint8Array, count: number): void {
    this.#room(count * NUMBER_BYTES);
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#bytes[this.#length++] = COMMA;
      this.#double(values, nulls, i);
    }
  }

  #double(values: Float64Array, nulls: Uint8Array, index: number): void {
    const value = values[index]!;
    if (nulls[index] || !Number.isFinite(value)) this.ascii('null');
    else if (Object.is(value, -0)) this.ascii('-0');
    else if (Number.isSafeInteger(value)) this.#integer(value);
    else this.ascii(String(value));
  }

  #integer(value: number): void {
    this.#room(NUMBER_BYTES);
    this.#length = writeInteger(this.#bytes, this.#length, value);
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
const COMMA = 0x2c;

/** Writes a whole number below 2^53 at `at`; returns where it ends. */
function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < 10) {
    bytes[at] = ZERO + value;
    return at + 1;
  }
  if (value < 0) bytes[at++] = MINUS;
  let rest = Math.abs(value);
  const end = at + digitCount(rest);
  let place = end;
  for (; rest >= TWO_31; rest = Math.floor(rest / 10)) bytes[--place] = ZERO + (rest % 10);
  // Quotients of 32 bits are cheap.
  for (let short = rest | 0; place > at; short = (short / 10) | 0) bytes[--place] = ZERO + (short % 10);
  return end;
}

function digitCount(value: number): number {
  let count = 1;
  for (let power = 10; value >= power; power *= 10) count++;
  return count;
}
