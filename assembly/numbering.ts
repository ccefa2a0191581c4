/** Numbers for keys, from 0 on in the order in which they come: the same bytes, the same number. */
import { Arena } from './arena';
import { hashKey } from './key';
import { Bytes, allocate, allocateZeroed, isSame, release } from './memory';

/** Where a key stands, and its length. */
const KEY_SIZE: usize = 8;

/** Twice as many places as keys keep probes short. */
const PLACES_MIN: u32 = 1024;

@unmanaged
export class Numbering {
  count: u32;
  /** (start u32, length u32) of each. */
  keys: Bytes;
  texts: Arena;
  /** Places of (hash u32, number + 1 u32): 0 is empty. */
  places: usize;
  placeCount: u32;

  static make(): Numbering {
    const numbering = changetype<Numbering>(allocateZeroed(offsetof<Numbering>()));
    numbering.keys = Bytes.make();
    numbering.texts = Arena.make();
    return numbering;
  }

  get size(): usize {
    return this.keys.capacity + this.texts.size + (<usize>this.placeCount << 3);
  }

  numberOf(start: usize, length: usize): u32 {
    if ((this.count + 1) << 1 > this.placeCount) this.grow();
    const hash = hashKey(0, start, length);
    let place = this.placeOf(hash);
    while (true) {
      const at = this.places + (<usize>place << 3);
      const number = load<u32>(at, 4);
      if (number == 0) return this.add(at, hash, start, length);
      if (load<u32>(at) == hash && this.is(number - 1, start, length)) return number - 1;
      place = (place + 1) & (this.placeCount - 1);
    }
  }

  /** No more keys are numbered then. */
  free(): void {
    this.keys.free();
    this.texts.reset();
    release(this.places, <usize>this.placeCount << 3);
    this.places = 0;
    this.placeCount = 0;
  }

  @inline
  private placeOf(hash: u32): u32 {
    return (hash ^ (hash >> 15)) & (this.placeCount - 1);
  }

  @inline
  private is(number: u32, start: usize, length: usize): bool {
    const key = this.keys.start + <usize>number * KEY_SIZE;
    return <usize>load<u32>(key, 4) == length && isSame(<usize>load<u32>(key), start, length);
  }

  private add(place: usize, hash: u32, start: usize, length: usize): u32 {
    this.keys.reserve(KEY_SIZE);
    store<u32>(this.keys.end, <u32>this.texts.copyShort(start, length));
    store<u32>(this.keys.end, <u32>length, 4);
    this.keys.length += KEY_SIZE;
    store<u32>(place, hash);
    store<u32>(place, ++this.count, 4);
    return this.count - 1;
  }

  private grow(): void {
    const before = this.places;
    const beforeCount = this.placeCount;
    this.placeCount = max(PLACES_MIN, beforeCount << 1);
    const size = <usize>this.placeCount << 3;
    this.places = allocate(size);
    memory.fill(this.places, 0, size);
    for (let at = before; at < before + (<usize>beforeCount << 3); at += 8) {
      if (load<u32>(at, 4) == 0) continue;
      let place = this.placeOf(load<u32>(at));
      while (load<u32>(this.places + (<usize>place << 3), 4) != 0) place = (place + 1) & (this.placeCount - 1);
      store<u64>(this.places + (<usize>place << 3), load<u64>(at));
    }
    release(before, <usize>beforeCount << 3);
  }
}
