/**
 * Filters: have rows been seen, or may they not be there at all? A Bloom filter in blocks of a cache line each: a row sets
 * some bits of one block, and is not there where one of them is missing. It may err in one direction only.
 *
 *   hash of the row --> block, and BITS bits of its 512
 *
 * With eight bits for each row about one row in thirty that is not there is taken for one that may be; beyond that it gets
 * worse, and never wrong.
 */
const BLOCK_SIZE: usize = 64;
const BITS: i32 = 4;

/** A filter of so many bytes, a power of two and a block at least, has seen nothing when all of it is zero. */
@inline
export function addToFilter(filter: usize, size: usize, hash: u64): void {
  const block = blockOf(filter, size, hash);
  let rest = hash;
  for (let i = 0; i < BITS; i++) {
    const word = block + <usize>((rest >> 3) & 0x38);
    store<u64>(word, load<u64>(word) | (<u64>1 << (rest & 63)));
    rest >>= 9;
  }
}

@inline
export function mayHave(filter: usize, size: usize, hash: u64): bool {
  const block = blockOf(filter, size, hash);
  let rest = hash;
  for (let i = 0; i < BITS; i++) {
    if ((load<u64>(block + <usize>((rest >> 3) & 0x38)) & (<u64>1 << (rest & 63))) == 0) return false;
    rest >>= 9;
  }
  return true;
}

/** The upper bits choose the block, the lower ones those in it. */
@inline
function blockOf(filter: usize, size: usize, hash: u64): usize {
  return filter + (<usize>(hash >> 36) & (size - 1) & ~(BLOCK_SIZE - 1));
}

/** Of a key's hash and a tile start. */
@inline
export function filterHash(key: u32, tileStart: i64): u64 {
  const mixed = (<u64>key ^ <u64>tileStart) * 0x9e3779b97f4a7c15;
  return (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93;
}
