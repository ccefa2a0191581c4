/**
 * Which picked events have the same key: those of some parts of a group at a time. A hash table finds the keys, and events are
 * put in order of them, those of one key in order of time.
 */
import { Group, Picked, partAt, pickedKey, pickedSize } from './group';
import { Bytes, allocate, isSame, release } from './memory';
import { eventsEnd, eventsStart, nextBlock } from './part';
import { addToOrder, beginOrder, endOrder } from './order';

/** A key that picked events touch, and its events: `count` of the ordered ones, from `first` on. */
@unmanaged
export class Keyed {
  hash: u32;
  length: u32;
  start: usize;
  count: u32;
  first: u32;
}

let keyed: Bytes = Bytes.make();
export let keyedCount: u32 = 0;

/** Addresses of picked events (u32), key by key. */
const ordered: Bytes = Bytes.make();

/** Places of (stamp u32, index of Keyed u32): one of an older stamp is empty, so that nothing is ever cleared. */
let table: usize = 0;
let tableSize: u32 = 0;
let stamp: u32 = 0;

/** Twice as many places as keys keep probes short. */
const TABLE_SIZE_MIN: u32 = 1024;

@inline
export function keyedAt(index: u32): Keyed {
  return changetype<Keyed>(keyed.start + <usize>index * offsetof<Keyed>());
}

/** Where the addresses of a key's events are, from `place` on. */
@inline
export function orderedAt(place: u32): usize {
  return ordered.start + (<usize>place << 2);
}

@inline
function eventAt(place: u32): Picked {
  return changetype<Picked>(<usize>load<u32>(orderedAt(place)));
}

/** Finds the keys of the events in parts [from, to), and puts the events in order of them. */
export function orderByKey(group: Group, from: i32, to: i32): void {
  stamp++;
  keyed.length = 0;
  keyedCount = 0;
  let count: usize = 0;
  for (let i = from; i < to; i++) {
    const part = partAt(group, i);
    for (let block = part.first; block != 0; block = nextBlock(part, block)) {
      const end = eventsEnd(part, block);
      for (let at = eventsStart(block); at < end; at += sizeOf(group, at)) {
        changetype<Picked>(at).key = keyIndex(group, changetype<Picked>(at));
        count++;
      }
    }
  }
  placeEvents(group, from, to, count);
}

@inline
function sizeOf(group: Group, event: usize): usize {
  return pickedSize(group, <usize>changetype<Picked>(event).keyLength);
}

/** The index of an event's key, which has one event more. */
@inline
function keyIndex(group: Group, event: Picked): u32 {
  if ((keyedCount + 1) * 2 > tableSize) growTable();
  const hash = event.key;
  const length = event.keyLength;
  let place = placeOf(hash);
  while (true) {
    const entry = table + (<usize>place << 3);
    if (load<u32>(entry) != stamp) {
      store<u32>(entry, stamp);
      store<u32>(entry, keyedCount, 4);
      return addKey(hash, length, pickedKey(group, event));
    }
    const index = load<u32>(entry, 4);
    const known = keyedAt(index);
    if (known.hash == hash && known.length == length && isSame(known.start, pickedKey(group, event), <usize>length)) {
      known.count++;
      return index;
    }
    place = (place + 1) & (tableSize - 1);
  }
}

@inline
function placeOf(hash: u32): u32 {
  return (hash ^ (hash >> 15)) & (tableSize - 1);
}

@inline
function addKey(hash: u32, length: u32, start: usize): u32 {
  keyed.reserve(offsetof<Keyed>());
  keyed.length += offsetof<Keyed>();
  const added = keyedAt(keyedCount);
  added.hash = hash;
  added.length = length;
  added.start = start;
  added.count = 1;
  return keyedCount++;
}

/** Makes a larger table, and gives all keys their places in it. */
function growTable(): void {
  release(table, <usize>tableSize << 3);
  tableSize = max(TABLE_SIZE_MIN, tableSize << 1);
  const size = <usize>tableSize << 3;
  table = allocate(size);
  memory.fill(table, 0, size);
  stamp = 1;
  for (let i: u32 = 0; i < keyedCount; i++) {
    let place = placeOf(keyedAt(i).hash);
    while (load<u32>(table + (<usize>place << 3)) != 0) place = (place + 1) & (tableSize - 1);
    store<u32>(table + (<usize>place << 3), 1);
    store<u32>(table + (<usize>place << 3), i, 4);
  }
}

/** Puts the events in order of their keys, and for each key in the order in which they came. */
function placeEvents(group: Group, from: i32, to: i32, count: usize): void {
  let first: u32 = 0;
  for (let i: u32 = 0; i < keyedCount; i++) {
    const owner = keyedAt(i);
    owner.first = first;
    first += owner.count;
    owner.count = 0;
  }
  ordered.length = 0;
  ordered.reserve(count << 2);
  for (let i = from; i < to; i++) {
    const part = partAt(group, i);
    for (let block = part.first; block != 0; block = nextBlock(part, block)) {
      const end = eventsEnd(part, block);
      for (let at = eventsStart(block); at < end; at += sizeOf(group, at)) {
        const owner = keyedAt(changetype<Picked>(at).key);
        store<u32>(orderedAt(owner.first + owner.count), <u32>at);
        owner.count++;
      }
    }
  }
}

/** Puts the events of a key in order of time; mostly they are. Shell's way: no worst case to speak of at this size. */
export function orderByTime(first: u32, count: u32): void {
  let isOrdered = true;
  for (let i: u32 = 1; i < count; i++)
    if (eventAt(first + i).timeMicros < eventAt(first + i - 1).timeMicros) isOrdered = false;
  if (isOrdered) return;
  let gap: u32 = 1;
  while (gap * 3 + 1 < count) gap = gap * 3 + 1;
  for (; gap > 0; gap = (gap - 1) / 3)
    for (let i: u32 = gap; i < count; i++) {
      const event = eventAt(first + i);
      let to = i;
      for (; to >= gap && eventAt(first + to - gap).timeMicros > event.timeMicros; to -= gap)
        store<u32>(orderedAt(first + to), <u32>changetype<usize>(eventAt(first + to - gap)));
      store<u32>(orderedAt(first + to), <u32>changetype<usize>(event));
    }
}

/** Indices of keys in order. */
const keyOrder: Bytes = Bytes.make();
/** Keys are moved here in order; then it changes places with those that are not. */
let orderedKeys: Bytes = Bytes.make();

/** Puts keys in the order in which stores have them; from now on no event knows its key by index. */
export function orderKeys(): void {
  const count = <usize>keyedCount;
  if (count < 2) return;
  beginOrder(count);
  for (let i: u32 = 0; i < keyedCount; i++) addToOrder(0, keyedAt(i).start, <usize>keyedAt(i).length, i);
  keyOrder.length = 0;
  keyOrder.reserve(count << 2);
  endOrder(keyOrder.start);
  orderedKeys.length = 0;
  orderedKeys.reserve(keyed.length);
  orderedKeys.length = keyed.length;
  for (let i: usize = 0; i < count; i++) {
    const from = changetype<usize>(keyedAt(load<u32>(keyOrder.start + (i << 2))));
    memory.copy(orderedKeys.start + i * offsetof<Keyed>(), from, offsetof<Keyed>());
  }
  const unordered = keyed;
  keyed = orderedKeys;
  orderedKeys = unordered;
}
