/**
 * Linear memory, handed out by size. Sizes are rounded up to a class (four classes to each doubling, so at most a
 * quarter is wasted); a freed block waits in its class's list. Nothing here is managed: no object headers, no
 * collector. Callers give the size back when they free.
 *
 * Memory may grow in `allocate`, and then every view that JavaScript holds is detached: the glue takes its views
 * again after each call.
 *
 * Behind every block there are SLACK bytes of memory, whoever they belong to: a load of a word may begin at any byte of a
 * block and look at what follows. Only loads may: what stands there is another's.
 */

/** Classes 16, 32, 48, 64, then four to each doubling up to 2^31. */
const CLASS_COUNT = 104;
const freeLists: usize = memory.data(CLASS_COUNT * sizeof<usize>(), 16);

/** As far as loads may look beyond an end: four words. */
const SLACK: u64 = 32;

let top: usize = (__heap_base + 15) & ~(<usize>15);
let inUse: usize = 0;

/** Bytes handed out and not given back, rounded up to classes. */
export function memoryInUse(): usize {
  return inUse;
}

@inline
function classOf(size: usize): i32 {
  if (size <= 64) return size == 0 ? 0 : <i32>((size - 1) >> 4);
  const exponent: u32 = 31 - clz<u32>(<u32>(size - 1));
  return 4 + ((<i32>exponent - 6) << 2) + <i32>(((size - 1) >> (exponent - 2)) & 3);
}

@inline
function classSize(sizeClass: i32): usize {
  if (sizeClass < 4) return (<usize>sizeClass + 1) << 4;
  const exponent = <usize>(6 + ((sizeClass - 4) >> 2));
  return (<usize>1 << exponent) + ((<usize>((sizeClass - 4) & 3) + 1) << (exponent - 2));
}

/** What `allocate(size)` really gives: a caller that keeps its capacity can use all of it. */
export function roundedSize(size: usize): usize {
  return classSize(classOf(size));
}

/** A block of at least `size` bytes, 16-aligned, not cleared. Traps when memory cannot grow. */
export function allocate(size: usize): usize {
  assert(size <= 0x40000000);
  const sizeClass = classOf(size);
  const rounded = classSize(sizeClass);
  inUse += rounded;
  const list = freeLists + <usize>sizeClass * sizeof<usize>();
  const free = load<usize>(list);
  if (free != 0) {
    store<usize>(list, load<usize>(free));
    return free;
  }
  const block = top;
  // Sum in 64 bits: near the end of a 4 GiB memory the 32-bit sum would wrap around.
  const next: u64 = <u64>block + <u64>rounded;
  const have: u64 = <u64>memory.size() << 16;
  if (next + SLACK > have) {
    const wanted = <i32>((next + SLACK - have + 0xffff) >> 16);
    // Growing in steps of an eighth keeps the number of grows, and so of detached views, small.
    const generous = max(wanted, memory.size() >> 3);
    if (memory.grow(generous) < 0 && memory.grow(wanted) < 0) abort('out of memory');
  }
  top = <usize>next;
  return block;
}

/** Gives back a block. `size` is what it was asked for with, or its `roundedSize`. */
export function release(block: usize, size: usize): void {
  if (block == 0) return;
  const sizeClass = classOf(size);
  inUse -= classSize(sizeClass);
  const list = freeLists + <usize>sizeClass * sizeof<usize>();
  store<usize>(block, load<usize>(list));
  store<usize>(list, block);
}

/**
 * Copies `length` bytes in steps of 16: up to 15 more are written, which has to be the caller's room, and are read. For
 * what is short; the two do not overlap.
 */
@inline
export function copyLoosely(to: usize, from: usize, length: usize): void {
  for (let at: usize = 0; at < length; at += 16) {
    const low = load<u64>(from + at);
    const high = load<u64>(from + at, 8);
    store<u64>(to + at, low);
    store<u64>(to + at, high, 8);
  }
}

/** Whether two stretches of `length` bytes are equal. */
@inline
export function isSame(one: usize, other: usize, length: usize): bool {
  let at: usize = 0;
  for (; at + 8 <= length; at += 8) if (load<u64>(one + at) != load<u64>(other + at)) return false;
  if (at == length) return true;
  return ((load<u64>(one + at) ^ load<u64>(other + at)) << (64 - (<u64>(length - at) << 3))) == 0;
}

/**
 * The first eight bytes of a name as a word, zeros behind a shorter one. Eight bytes are read whatever the length: every
 * buffer that names stand in has so many to spare behind it.
 */
@inline
export function headOf(name: usize, length: usize): u64 {
  const word = load<u64>(name);
  return length >= 8 ? word : word & ((<u64>1 << (length << 3)) - 1);
}

/** A cleared block that is never given back: what a plan is made of. */
export function allocateZeroed(size: usize): usize {
  const block = allocate(size);
  memory.fill(block, 0, size);
  return block;
}

/** Bytes that grow at the end. Its address moves when it grows. */
@unmanaged
export class Bytes {
  start: usize;
  length: usize;
  capacity: usize;

  static make(): Bytes {
    return changetype<Bytes>(allocateZeroed(offsetof<Bytes>()));
  }

  /** Makes room for `more` bytes after the end. */
  @inline
  reserve(more: usize): void {
    if (this.length + more > this.capacity) this.grow(more);
  }

  private grow(more: usize): void {
    const wanted = max<usize>(this.length + more, this.capacity << 1);
    const capacity = roundedSize(wanted);
    const block = allocate(capacity);
    memory.copy(block, this.start, this.length);
    release(this.start, this.capacity);
    this.start = block;
    this.capacity = capacity;
  }

  /** So long from now on; what was there is rubbish. */
  setLength(length: usize): void {
    this.length = 0;
    this.reserve(length);
    this.length = length;
  }

  @inline
  append(from: usize, length: usize): void {
    this.reserve(length);
    memory.copy(this.start + this.length, from, length);
    this.length += length;
  }

  @inline
  get end(): usize {
    return this.start + this.length;
  }

  /** Gives its block back. */
  free(): void {
    release(this.start, this.capacity);
    this.start = 0;
    this.length = 0;
    this.capacity = 0;
  }

  /** Has from now on what another one had, which has nothing then. */
  takeFrom(other: Bytes): void {
    release(this.start, this.capacity);
    this.start = other.start;
    this.length = other.length;
    this.capacity = other.capacity;
    other.start = 0;
    other.length = 0;
    other.capacity = 0;
  }
}
