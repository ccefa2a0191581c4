/**
 * Entries of one integer: counts, and sums and extremes of int64. Nearly all entries of nearly all rows are such, and all
 * that tells two of one id apart is the number at their end, and its size in the lengths before it. So what comes before the
 * number is written as a template: two words, to which the number's size is added where lengths are.
 *
 *   0A size+4 08 id 12 size | 08                        number      a count; an id of two bytes moves what follows
 *   0A size+4 08 id 12 size | tag numberSize+1 tag      number      a sum or an extreme
 *
 * An entry takes a fifth of the instructions that encoding a state (row.ts) does.
 */
import { COUNT, MAX, MEAN, MIN, SUM } from './aggregate';
import { INTEGER } from './kind';
import { Bytes, allocateZeroed } from './memory';
import { appendEntry } from './row';
import { WORD_MAX, spreadWord, varintSize, zigzag } from './varint';
import { isOfIntegers } from './whole';

/** Room for an entry, with the ends of the words that are stored. */
export const PLAIN_MAX: usize = 32;

/** Ids of at most two bytes keep all before the number within two words. */
const ID_MAX: i32 = 0x3fff;

/** Sums stay this far from zero: their varint takes at most eight bytes. */
const SUM_MAX: i64 = (<i64>1 << 54) - 1;

/** What entries of an id and a case begin with, for numbers of one byte, and what each byte more adds to it. */
@unmanaged
export class Template {
  aggregateCase: i32;
  size: usize;
  first: u64;
  second: u64;
  firstStep: u64;
  secondStep: u64;

  /** Null where entries are not of one integer, or its id takes more bytes. */
  static make(id: i32, aggregateCase: i32, kind: i32): Template | null {
    if (!isOfIntegers(aggregateCase, kind) || aggregateCase == MEAN || id > ID_MAX) return null;
    // What an entry is says that of a zero, which is one byte at its end.
    spelt.length = 0;
    appendZero(spelt, id, aggregateCase);
    const template = changetype<Template>(allocateZeroed(offsetof<Template>()));
    template.aggregateCase = aggregateCase;
    template.size = spelt.length - 1;
    assert(template.size <= 16);
    const words = changetype<usize>(template) + offsetof<Template>('first');
    memory.copy(words, spelt.start, template.size);
    const steps = changetype<usize>(template) + offsetof<Template>('firstStep');
    store<u8>(steps + 1, 1);
    store<u8>(steps + (id < 0x80 ? 5 : 6), 1);
    if (aggregateCase != COUNT) store<u8>(steps + template.size - 2, 1);
    return template;
  }

  /** Writes the entry of a number up to SUM_MAX; returns its size. */
  @inline
  write(out: usize, value: i64): usize {
    const number = zigzag(value);
    // Counts mostly are of one byte, always or never those of one member: a branch that is guessed.
    if (number < 0x80) {
      store<u64>(out, this.first);
      store<u64>(out, this.second, 8);
      store<u8>(out + this.size, <u8>number);
      return this.size + 1;
    }
    const size = varintSize(number);
    const more = <u64>(size - 1);
    store<u64>(out, this.first + more * this.firstStep);
    store<u64>(out, this.second + more * this.secondStep, 8);
    store<u64>(out + this.size, spreadWord(number, size));
    return this.size + size;
  }
}

const spelt: Bytes = Bytes.make();

const zero: usize = memory.data(24, 8);

/** Appends an entry of integers that are 0, as the encoder does. */
export function appendZero(row: Bytes, id: i32, aggregateCase: i32): void {
  store<i64>(zero, aggregateCase == MIN || aggregateCase == MAX ? INTEGER : 0);
  appendEntry(row, id, aggregateCase, zero);
}

assert(zigzag(-SUM_MAX) <= WORD_MAX && zigzag(SUM_MAX) <= WORD_MAX);

@inline
function isNear(value: i64): bool {
  return <u64>(value + SUM_MAX) <= <u64>(SUM_MAX << 1);
}

/** What was computed last. */
export let plainNumber: i64 = 0;

/**
 * Computes the number of one member over some events: addresses of them (u32 each), where in each the value is, and the byte
 * that says whether it is null. False where the states have to be asked, for numbers are large, or there is none.
 */
@inline
export function computePlain(aggregateCase: i32, events: usize, count: u32, valueOffset: usize, nullOffset: usize): bool {
  const end = events + (<usize>count << 2);
  let number: i64 = 0;
  if (aggregateCase == COUNT) {
    for (let at = events; at < end; at += 4) number += <i64>(load<u8>(<usize>load<u32>(at) + nullOffset) == 0);
  } else if (aggregateCase == SUM) {
    for (let at = events; at < end; at += 4) {
      const event = <usize>load<u32>(at);
      if (load<u8>(event + nullOffset) != 0) continue;
      const value = load<i64>(event + valueOffset);
      number += value;
      if (!isNear(value) || !isNear(number)) return false;
    }
  } else {
    let isThere = false;
    for (let at = events; at < end; at += 4) {
      const event = <usize>load<u32>(at);
      if (load<u8>(event + nullOffset) != 0) continue;
      const value = load<i64>(event + valueOffset);
      if (!isThere || (aggregateCase == MIN ? value < number : value > number)) number = value;
      isThere = true;
    }
    if (!isThere || !isNear(number)) return false;
  }
  plainNumber = number;
  return true;
}
