/** Numbers for keys, from 0 on in the order in which they come: the same bytes, the same number. */
import { Arena } from './arena';
import { hashKey } from './key';
import { Bytes, allocate, allocateZeroed, headOf, isSame, release } from './memory';

/** Where a key stands, and its length. */
const KEY_SIZE: usize = 8;

/** Twice as many places as keys keep probes short. */
const PLACES_MIN: u32 = 1024;

/** Of a place: the key's first bytes, its hash, and its number + 1: 0 is empty. */
const PLACE_SHIFT: usize = 4;

/** A key up to here stands in its place whole: most are found without a look elsewhere. */
const HEAD_LENGTH: usize = 8;

/** Of a hash the bits that say how long the key is; of all longer ones the same. */
const LENGTH_MASK: u32 = 0xf;

/** Places that no longer lie in the cache nearest to the processor. */
const WIDE_COUNT: u32 = 4096;

/** Nobody reads it: without it nothing would be looked at. */
let touched: u32 = 0;

@inline
function hashOf(start: usize, length: usize): u32 {
  return (hashKey(0, start, length) & ~LENGTH_MASK) | <u32>min(length, HEAD_LENGTH + 1);
}

@unmanaged
export class Numbering {
  count: u32;
  /** (start u32, length u32) of each; of a short one it is `locate` that says where it stands. */
  keys: Bytes;
  texts: Arena;
  /** (head u64, hash u32, number + 1 u32). */
  places: usize;
  placeCount: u32;

  static make(): Numbering {
    const numbering = changetype<Numbering>(allocateZeroed(offsetof<Numbering>()));
    numbering.keys = Bytes.make();
    numbering.texts = Arena.make();
    return numbering;
  }

  /** What it takes once there are so many keys more. A table that grows lets go of all smaller ones, for which nobody else has a use. */
  sizeWith(more: u32): usize {
    const count = this.count + more;
    let places = max(PLACES_MIN, this.placeCount);
    while (count << 1 > places) places <<= 1;
    return this.keys.capacity + this.texts.size + (<usize>places << (PLACE_SHIFT + 1));
  }

  numberOf(start: usize, length: usize): u32 {
    if ((this.count + 1) << 1 > this.placeCount) this.grow();
    const head = headOf(start, length);
    const hash = hashOf(start, length);
    let place = this.placeOf(hash);
    while (true) {
      const at = this.places + (<usize>place << PLACE_SHIFT);
      const number = load<u32>(at, 12);
      if (number == 0) return this.add(at, head, hash, start, length);
      if (load<u32>(at, 8) == hash && load<u64>(at) == head)
        if (length <= HEAD_LENGTH || this.is(number - 1, start, length)) return number - 1;
      place = (place + 1) & (this.placeCount - 1);
    }
  }

  /** Looks at where a key would be found, and no further: of many keys processors fetch that at once, one at a time they wait for each. */
  @inline
  touch(start: usize, length: usize): void {
    touched ^= load<u32>(this.places + (<usize>this.placeOf(hashOf(start, length)) << PLACE_SHIFT), 12);
  }

  /** Whether its places are so many that they are waited for. */
  @inline
  get isWide(): bool {
    return this.placeCount >= WIDE_COUNT;
  }

  /** No more keys are numbered then. */
  free(): void {
    this.keys.free();
    this.texts.reset();
    release(this.places, <usize>this.placeCount << PLACE_SHIFT);
    this.places = 0;
    this.placeCount = 0;
  }

  /** Lets `keys` say of short keys too where they stand: in their places, until another one is numbered. */
  locate(): void {
    const end = this.places + (<usize>this.placeCount << PLACE_SHIFT);
    for (let at = this.places; at < end; at += 1 << PLACE_SHIFT) {
      const number = load<u32>(at, 12);
      if (number == 0) continue;
      const key = this.keys.start + <usize>(number - 1) * KEY_SIZE;
      if (load<u32>(key, 4) <= <u32>HEAD_LENGTH) store<u32>(key, <u32>at);
    }
  }

  /** Begins again from 0, with the room that it has. */
  clear(): void {
    this.count = 0;
    this.keys.length = 0;
    this.texts.reset();
    memory.fill(this.places, 0, <usize>this.placeCount << PLACE_SHIFT);
  }

  @inline
  private placeOf(hash: u32): u32 {
    return ((hash >> 4) ^ (hash >> 17)) & (this.placeCount - 1);
  }

  @inline
  private is(number: u32, start: usize, length: usize): bool {
    const key = this.keys.start + <usize>number * KEY_SIZE;
    return <usize>load<u32>(key, 4) == length && isSame(<usize>load<u32>(key), start, length);
  }

  private add(place: usize, head: u64, hash: u32, start: usize, length: usize): u32 {
    this.keys.reserve(KEY_SIZE);
    // One that stands in its place is not looked up by its number.
    store<u32>(this.keys.end, length > HEAD_LENGTH ? <u32>this.texts.copyShort(start, length) : 0);
    store<u32>(this.keys.end, <u32>length, 4);
    this.keys.length += KEY_SIZE;
    store<u64>(place, head);
    store<u32>(place, hash, 8);
    store<u32>(place, ++this.count, 12);
    return this.count - 1;
  }

  private grow(): void {
    const before = this.places;
    const beforeCount = this.placeCount;
    this.placeCount = max(PLACES_MIN, beforeCount << 1);
    const size = <usize>this.placeCount << PLACE_SHIFT;
    this.places = allocate(size);
    memory.fill(this.places, 0, size);
    for (let at = before; at < before + (<usize>beforeCount << PLACE_SHIFT); at += 16) {
      if (load<u32>(at, 12) == 0) continue;
      let place = this.placeOf(load<u32>(at, 8));
      while (load<u32>(this.places + (<usize>place << PLACE_SHIFT), 12) != 0) place = (place + 1) & (this.placeCount - 1);
      const to = this.places + (<usize>place << PLACE_SHIFT);
      store<u64>(to, load<u64>(at));
      store<u64>(to, load<u64>(at, 8), 8);
    }
    release(before, <usize>beforeCount << PLACE_SHIFT);
  }
}
