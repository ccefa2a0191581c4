/**
 * Packs: some thousand bytes of rows that are neighbours in the order of addresses, one value of the database, where they
 * rest compressed (seal.ts). The more there are the fewer bytes each row takes, and the more are read for one.
 *
 *   shared | added | address bytes | length | value       one row; the numbers are varints
 *
 * `shared` is how many bytes its address has in common with the one before it in the pack (0 for the first), `added`
 * how many follow. Addresses ascend.
 *
 * A value is a row, or begins with a mark, as no row does:
 *
 *   00 | row                  an addend: to be added to what older runs have under its address, if they have anything
 *   01 | (length | value)*    a sum, the oldest value first: what merging runs makes of an addend and of what it is added to. It is
 *                             added up (`AddUp`) before it goes anywhere.
 */
import { Growing } from '../base/growing.ts';

/** A larger pack is cut into equal parts. */
export const PACK_MAX_BYTES = 12_000;

/** Addresses are mostly shorter; longer ones get more room. */
const ADDRESS_BYTES = 256;

/** The marks that values begin with. */
export const ADDEND = 0;
export const SUM = 1;

/**
 * Adds up the sums of a pack. A store knows no more of rows.
 *
 * @param isOldest no older run has any of its rows: what is left of addends is rows
 * @returns the pack as it is then: a view that holds until the next call
 */
export type AddUp = (pack: Uint8Array, isOldest: boolean) => Uint8Array<ArrayBuffer>;

/** All that is done with packs by who knows what rows are (`packKernel` of kernel/sealing.ts). */
export interface PackKernel {
  addUp: AddUp;
  /** A pack in fewer bytes, of their own; null where it is to be kept otherwise. */
  seal(pack: Uint8Array): Uint8Array<ArrayBuffer> | null;
  /** The same pack again, in bytes of its own; null where the bytes are not what `seal` has made. */
  unseal(sealed: Uint8Array): Uint8Array<ArrayBuffer> | null;
}

/** Five bytes of a varint: no part of a pack is longer than 2^31. */
const FACTOR_MAX = 128 ** 4;

/** Bytes that are no pack: only whoever holds the database knows what to say of it. */
export class PackDamage extends Error {
  /** Which one it is, where that is known. */
  place: string | null = null;

  constructor() {
    super('a pack of rows is not what was written');
  }
}

/** Walks a pack row by row. */
export class PackWalk {
  bytes = new Uint8Array(0);
  /** Address of the row that it stands at, in its first `length` bytes. */
  address = new Uint8Array(ADDRESS_BYTES);
  length = 0;
  /** Of its address, so many bytes are those of the row before it. */
  shared = 0;
  start = 0;
  valueStart = 0;
  end = 0;

  /** Before the first row of a pack. */
  open(bytes: Uint8Array): this {
    this.bytes = bytes as Uint8Array<ArrayBuffer>;
    this.length = this.shared = this.start = this.valueStart = this.end = 0;
    return this;
  }

  /**
   * On to the next row; false behind the last.
   *
   * @throws PackDamage where the bytes are no pack
   */
  next(): boolean {
    this.start = this.end;
    if (this.end >= this.bytes.length) return false;
    const shared = this.#varint();
    const added = this.#varint();
    const length = shared + added;
    const from = this.end;
    if (shared > this.length || from + added > this.bytes.length) throw new PackDamage();
    if (length > this.address.length) this.address = widened(this.address, length);
    const { address, bytes } = this;
    for (let i = 0; i < added; i++) address[shared + i] = bytes[from + i]!;
    this.length = length;
    this.shared = shared;
    this.end = from + added;
    const size = this.#varint();
    this.valueStart = this.end;
    this.end += size;
    if (this.end > bytes.length) throw new PackDamage();
    return true;
  }

  /** The row that it stands at is below the address [start, end) of some bytes. */
  isBelow(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#isBelow(bytes, start, end, this.#match(bytes, start, end, 0));
  }

  /** The row that it stands at is at or after an address and before another. */
  isWithin(from: Uint8Array, to: Uint8Array): boolean {
    return !this.isBelow(from, 0, from.length) && this.isBelow(to, 0, to.length);
  }

  /** The row that it stands at has the address [start, end) of some bytes. */
  isAt(bytes: Uint8Array, start: number, end: number): boolean {
    return this.length === end - start && this.#match(bytes, start, end, 0) === this.length;
  }

  /**
   * From the row that it stands at on to the first one whose address is not below [start, end) of some bytes; false where
   * the pack has none. `out` follows the rows that are passed. Behind byte `limit` of the pack it goes no further.
   */
  seek(
    bytes: Uint8Array,
    start: number,
    end: number,
    out: PackWriter | null = null,
    limit = Number.POSITIVE_INFINITY,
  ): boolean {
    let matched = this.#match(bytes, start, end, 0);
    while (this.#isBelow(bytes, start, end, matched)) {
      // One that has more in common with the row before it than that has with the address is below the address too.
      do {
        if (this.start >= limit) return true;
        out?.follow(this);
        if (!this.next()) return false;
      } while (this.shared > matched);
      if (this.shared < matched) return true;
      matched = this.#match(bytes, start, end, matched);
    }
    return true;
  }

  /** As `seek` to behind the last row. */
  skip(out: PackWriter, limit: number): boolean {
    while (this.start < limit) {
      out.follow(this);
      if (!this.next()) return false;
    }
    return true;
  }

  /** Older runs may have more of the row. */
  get isAddend(): boolean {
    return this.valueStart < this.end && this.bytes[this.valueStart] === ADDEND;
  }

  /** A view of the value. */
  value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.end);
  }

  #match(bytes: Uint8Array, start: number, end: number, from: number): number {
    const length = Math.min(this.length, end - start);
    let matched = from;
    while (matched < length && this.address[matched] === bytes[start + matched]) matched++;
    return matched;
  }

  #isBelow(bytes: Uint8Array, start: number, end: number, matched: number): boolean {
    if (matched === end - start) return false;
    return matched === this.length || this.address[matched]! < bytes[start + matched]!;
  }

  #varint(): number {
    const byte = this.bytes[this.end]!;
    if (byte < 0x80) {
      this.end++;
      return byte;
    }
    return this.#longVarint();
  }

  #longVarint(): number {
    const { bytes } = this;
    let value = 0;
    for (let factor = 1; factor <= FACTOR_MAX; factor *= 128) {
      if (this.end >= bytes.length) throw new PackDamage();
      const byte = bytes[this.end++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new PackDamage();
  }
}

function widened(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const wider = new Uint8Array(length * 2);
  wider.set(bytes);
  return wider;
}

/** Puts rows together to a pack, in ascending order of their addresses. */
export class PackWriter {
  readonly #out = new Growing();
  /** There are addends or sums among the rows, or may be. */
  hasMarks = false;
  /** Address of the row before the next one. */
  #address = new Uint8Array(ADDRESS_BYTES);
  #length = 0;

  get size(): number {
    return this.#out.length;
  }

  /** A new pack begins; what was written is forgotten. */
  begin(): void {
    this.#out.length = 0;
    this.#length = 0;
    this.hasMarks = false;
  }

  /** What was written since `begin`: a view that holds until the next row. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#out.bytes.subarray(0, this.#out.length);
  }

  /** A row: its address is [start, end) of some bytes, its value [from, to) of others. */
  put(address: Uint8Array, start: number, end: number, values: Uint8Array, from: number, to: number): void {
    this.#putAddress(address, start, end);
    this.#varint(to - from);
    this.#out.copy(values, from, to);
  }

  #putAddress(address: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const alike = Math.min(length, this.#length);
    let shared = 0;
    while (shared < alike && this.#address[shared] === address[start + shared]) shared++;
    this.#varint(shared);
    this.#varint(length - shared);
    this.#out.copy(address, start + shared, end);
    this.#remember(address, start, length, shared);
  }

  /** The row that a walk stands at. */
  take(walk: PackWalk): void {
    this.hasMarks ||= walk.isAddend;
    this.put(walk.address, 0, walk.length, walk.bytes, walk.valueStart, walk.end);
  }

  /** The sum of the values that walks stand at, the newest first; they are under one address. */
  takeSum(walks: PackWalk[]): void {
    const { address, length } = walks[0]!;
    this.#putAddress(address, 0, length);
    let size = 1;
    for (const { valueStart, end } of walks) size += varintSize(end - valueStart) + end - valueStart;
    this.#varint(size);
    this.#varint(SUM);
    for (let i = walks.length - 1; i >= 0; i--) {
      const { bytes, valueStart, end } = walks[i]!;
      this.#varint(end - valueStart);
      this.#out.copy(bytes, valueStart, end);
    }
    this.hasMarks = true;
  }

  /** The row that a walk stands at is the last one for now; `copy` brings its bytes, with those of others. */
  follow(walk: PackWalk): void {
    this.hasMarks ||= walk.isAddend;
    this.#remember(walk.address, 0, walk.length, walk.shared);
  }

  /** Rows as they stand in another pack, the first of them spelt behind the same row as there. */
  copy(pack: Uint8Array, start: number, end: number): void {
    this.#out.copy(pack, start, end);
  }

  #remember(address: Uint8Array, start: number, length: number, from: number): void {
    if (length > this.#address.length) this.#address = widened(this.#address, length);
    for (let i = from; i < length; i++) this.#address[i] = address[start + i]!;
    this.#length = length;
  }

  #varint(value: number): void {
    const bytes = this.#out.room(5);
    let at = this.#out.length;
    for (; value >= 0x80; value = Math.floor(value / 128)) bytes[at++] = (value & 0x7f) | 0x80;
    bytes[at++] = value;
    this.#out.length = at;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
  return size;
}

const WALK = new PackWalk();

/** Leaves out the rows at or after `from` and before `to`; returns how many. For none nothing is written. */
export function dropRows(pack: Uint8Array, from: Uint8Array, to: Uint8Array, out: PackWriter): number {
  const walk = WALK.open(pack);
  out.begin();
  let isThere = walk.next() && walk.seek(from, 0, from.length, out);
  if (!isThere || !walk.isBelow(to, 0, to.length)) return 0;
  out.copy(pack, 0, walk.start);
  let dropped = 0;
  for (; isThere && walk.isBelow(to, 0, to.length); dropped++) isThere = walk.next();
  if (!isThere) return dropped;
  out.take(walk);
  out.copy(pack, walk.end, pack.length);
  return dropped;
}

/** Leaves out the rows for which `isDropped`; returns how many. For none nothing is written. */
export function filterRows(pack: Uint8Array, isDropped: (row: PackWalk) => boolean, out: PackWriter): number {
  const walk = WALK.open(pack);
  out.begin();
  let dropped = 0;
  while (walk.next()) {
    if (isDropped(walk)) {
      if (dropped === 0) out.copy(pack, 0, walk.start);
      dropped++;
    } else if (dropped > 0) out.take(walk);
    else out.follow(walk);
  }
  return dropped;
}

/**
 * Puts what `change` makes of each value at or after `from` and before `to` in its place, or takes the row away; returns how
 * many rows are others then.
 */
export function changeRows(
  pack: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  change: (value: Uint8Array) => Uint8Array | null,
  out: PackWriter,
): number {
  const walk = WALK.open(pack);
  out.begin();
  let changed = 0;
  while (walk.next()) {
    const value = walk.value();
    const made = walk.isWithin(from, to) ? change(value) : value;
    if (made !== value) changed++;
    if (made) out.put(walk.address, 0, walk.length, made, 0, made.length);
  }
  return changed;
}

/** A pack and the address of its first row. */
export interface Piece {
  first: Uint8Array;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Parts of a pack that is cut are filled so far, as the packs of a new run are: the next rows go somewhere between. */
export const PIECE_BYTES = Math.floor((PACK_MAX_BYTES * 2) / 3);

/** Equal parts of a pack that has become too large; a single row stays whole, whatever its size. */
export function cutPack(pack: Uint8Array): Piece[] {
  const pieceBytes = pack.length / Math.ceil(pack.length / PIECE_BYTES);
  const pieces: Piece[] = [];
  const walk = WALK.open(pack);
  for (let isThere = walk.next(); isThere; ) {
    // The first row is spelt in full; those behind it are as they were.
    const first = walk.address.slice(0, walk.length);
    CUT.begin();
    CUT.take(walk);
    const rest = walk.end;
    const most = rest + pieceBytes - CUT.size;
    do isThere = walk.next();
    while (isThere && walk.start < most);
    CUT.copy(pack, rest, isThere ? walk.start : pack.length);
    pieces.push({ first, bytes: CUT.bytes().slice() });
  }
  return pieces;
}

/** A pack that is no larger than it may be, as a piece. */
export function pieceOf(pack: Uint8Array<ArrayBuffer>): Piece {
  return { first: firstOf(pack), bytes: pack };
}

/** Address of the first row. */
export function firstOf(pack: Uint8Array): Uint8Array<ArrayBuffer> {
  const walk = WALK.open(pack);
  walk.next();
  return walk.address.slice(0, walk.length);
}

const CUT = new PackWriter();
