/**
 * Changes on their way from tile to fold: one for each row that is touched, those of a key behind each other.
 *
 *   owners    whose they are, each with how many changes it has
 *   changes   level, tile start, and where the features stand: of the first owner, then of the second ...
 *
 * Features of integers alone are closed (outline.ts) where tile has computed them; they are opened where they are spelt.
 *
 * The fold of the same kernel takes them as they stand here (`made`). Only those for another kernel are spelt, as a ChangeBatch
 * (proto/tilefold/v1/change.proto) to the buffer of the key's shard: spelling and reading takes as long as folding.
 */
import { Bytes, allocateZeroed, copyLoosely } from './memory';
import { open, openEnd, openStart, openedSize } from './outline';
import { varintSize, writeVarint, zigzag } from './varint';

@unmanaged
export class Owner {
  kind: i32;
  hash: u32;
  key: usize;
  keyLength: u32;
  changeCount: u32;
  /** The entity that most likely it is, and its levels; 0 where there is none, or where others are in the way (fold.ts). */
  guess: usize;
  levels: usize;
}

@unmanaged
export class Change {
  levelMs: i64;
  tileStart: i64;
  /** From the list's `features` on. */
  features: usize;
  featuresLength: u32;
  /** The outline of features that are closed to their numbers; 0 where they are a row as it is. */
  outline: u32;
}

@unmanaged
export class ChangeList {
  owners: Bytes;
  changes: Bytes;
  /** What features are counted from. */
  features: usize;

  static make(): ChangeList {
    const list = changetype<ChangeList>(allocateZeroed(offsetof<ChangeList>()));
    list.owners = Bytes.make();
    list.changes = Bytes.make();
    return list;
  }

  clear(): void {
    this.owners.length = 0;
    this.changes.length = 0;
  }

  get ownerCount(): usize {
    return this.owners.length / offsetof<Owner>();
  }

  @inline
  ownerAt(index: usize): Owner {
    return changetype<Owner>(this.owners.start + index * offsetof<Owner>());
  }

  /** Changes that follow are its. */
  @inline
  addOwner(kind: i32, hash: u32, key: usize, keyLength: usize): Owner {
    this.owners.reserve(offsetof<Owner>());
    const owner = changetype<Owner>(this.owners.end);
    this.owners.length += offsetof<Owner>();
    owner.kind = kind;
    owner.hash = hash;
    owner.key = key;
    owner.keyLength = <u32>keyLength;
    owner.changeCount = 0;
    return owner;
  }

  @inline
  addChange(owner: Owner, levelMs: i64, tileStart: i64, features: usize, length: usize, outline: u32): void {
    this.changes.reserve(offsetof<Change>());
    const change = changetype<Change>(this.changes.end);
    this.changes.length += offsetof<Change>();
    change.levelMs = levelMs;
    change.tileStart = tileStart;
    change.features = features;
    change.featuresLength = <u32>length;
    change.outline = outline;
    owner.changeCount++;
  }
}

// --- made here

/** What tile has made, until it makes more. */
export const made: ChangeList = ChangeList.make();

/** Their features, and what these take spelt. */
export const madeFeatures: Bytes = Bytes.make();
export let madeSize: usize = 0;

let madeOwner: Owner = changetype<Owner>(0);

export function forgetMade(): void {
  made.clear();
  madeFeatures.length = 0;
  madeSize = 0;
}

/** Changes that follow are of this key. Its bytes stay where they are until the changes are folded or spelt. */
@inline
export function beginChanges(kind: i32, hash: u32, key: usize, keyLength: usize): void {
  madeOwner = made.addOwner(kind, hash, key, keyLength);
}

/** A key of which nothing was taken has changed nothing. */
@inline
export function endChanges(): void {
  if (madeOwner.changeCount == 0) made.owners.length -= offsetof<Owner>();
}

/** A change has the features that were appended from `features` on. */
@inline
export function addMade(levelMs: i64, tileStart: i64, features: usize, outline: u32): void {
  const length = madeFeatures.length - features;
  madeSize += outline == 0 ? length : openedSize(outline, length);
  made.addChange(madeOwner, levelMs, tileStart, features, length, outline);
}

/** To be asked before they are folded: features may have moved while they became more. */
export function madeChanges(): ChangeList {
  made.features = madeFeatures.start;
  return made;
}

// --- spelt for others, by shard

export const SHARDS_MAX: i32 = 64;
export let shardCount: i32 = 0;
const shardBuffers: usize = memory.data(64 * sizeof<usize>(), 8);

export function setShards(count: i32): void {
  assert(count >= 1 && count <= SHARDS_MAX);
  for (; shardCount < count; shardCount++)
    store<usize>(shardBuffers + <usize>shardCount * sizeof<usize>(), changetype<usize>(Bytes.make()));
  shardCount = count;
}

@inline
function shardBuffer(shard: i32): Bytes {
  assert(<u32>shard < <u32>shardCount);
  return changetype<Bytes>(load<usize>(shardBuffers + <usize>shard * sizeof<usize>()));
}

export function changesStart(shard: i32): usize {
  return shardBuffer(shard).start;
}

export function changesLength(shard: i32): usize {
  return shardBuffer(shard).length;
}

/** Field tags of Change, as change.proto gives them, and of ChangeBatch. */
const TAG_CHANGE: u8 = 0x0a;
const TAG_ENTITY: u8 = 0x08;
const TAG_KEY: u8 = 0x12;
const TAG_LEVEL: u8 = 0x18;
const TAG_TILE_START: u8 = 0x20;
const TAG_FEATURES: u8 = 0x2a;

/** Tags, lengths and numbers of a change and of its place in the batch, each at its longest, and the room of loose copies. */
const CHANGE_OVERHEAD_MAX: usize = 96;

/** Entity and key, as every change of a key begins. */
const head: Bytes = Bytes.make();

/** Level and tile start. */
const address: usize = memory.data(32, 8);

/** Spells what was made, and replaces what the shards' buffers held. */
export function spellChanges(): void {
  for (let shard = 0; shard < shardCount; shard++) shardBuffer(shard).length = 0;
  let change = made.changes.start;
  for (let i: usize = 0; i < made.ownerCount; i++) {
    const owner = made.ownerAt(i);
    const out = shardBuffer(<i32>(owner.hash % <u32>shardCount));
    writeHead(owner.kind, owner.key, <usize>owner.keyLength);
    for (let left = owner.changeCount; left > 0; left--) {
      spell(changetype<Change>(change), out);
      change += offsetof<Change>();
    }
  }
}

function spell(change: Change, out: Bytes): void {
  open(change.outline, madeFeatures.start + change.features, <usize>change.featuresLength);
  const length = openEnd - openStart;
  const addressSize = writeAddress(change.levelMs, change.tileStart);
  const size = head.length + addressSize + 1 + varintSize(<u64>length) + length;
  out.reserve(size + CHANGE_OVERHEAD_MAX);
  let at = out.end;
  store<u8>(at++, TAG_CHANGE);
  at += writeVarint(at, <u64>size);
  // Fields in ascending order: entity and key, level and tile start, features.
  copyLoosely(at, head.start, head.length);
  at += head.length;
  copyLoosely(at, address, addressSize);
  at += addressSize;
  store<u8>(at++, TAG_FEATURES);
  at += writeVarint(at, <u64>length);
  copyLoosely(at, openStart, length);
  out.length = at + length - out.start;
}

/** Zeros are left out, as proto3 does. */
function writeHead(entity: i32, key: usize, length: usize): void {
  head.length = 0;
  head.reserve(length + CHANGE_OVERHEAD_MAX);
  let at = head.start;
  store<u8>(at++, TAG_ENTITY);
  at += writeVarint(at, <u64>entity);
  if (length > 0) {
    store<u8>(at++, TAG_KEY);
    at += writeVarint(at, <u64>length);
    copyLoosely(at, key, length);
    at += length;
  }
  head.length = at - head.start;
}

/** Returns its size. */
function writeAddress(levelMs: i64, startMs: i64): usize {
  let at = address;
  if (levelMs != 0) {
    store<u8>(at++, TAG_LEVEL);
    at += writeVarint(at, <u64>levelMs);
  }
  if (startMs != 0) {
    store<u8>(at++, TAG_TILE_START);
    at += writeVarint(at, zigzag(startMs));
  }
  return at - address;
}
