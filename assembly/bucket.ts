/** Which bucket a number is in: of a list of boundaries, or of a sketch. */
import { blockOf, cellAt, countOf } from './nested';
import { Op } from './op';
import { Register } from './register';
import { bucketOf } from './sketch';

/** `b` is the boundaries, ascending, of the same type as the numbers; or how far a sketch may be off. */
export function runBucket(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    const isNull = load<u8>(a.nulls + row);
    let bucket: i64 = 0;
    if (isNull == 0)
      bucket =
        op == Op.SKETCH_BUCKET
          ? bucketOf(load<f64>(a.values + at), load<f64>(b.values + at))
          : boundariesBelow(op, a.values + at, blockOf(b.values + at), countOf(b.values + at));
    store<i64>(target.values + at, bucket);
    store<u8>(target.nulls + row, isNull);
  }
}

/** How many boundaries are below the number, of which all are below NaN. */
function boundariesBelow(op: i32, number: usize, block: usize, count: i32): i64 {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const boundary = cellAt(block, middle);
    const isBelow =
      op == Op.BUCKET_INT ? load<i64>(boundary) < load<i64>(number) : !(load<f64>(boundary) >= load<f64>(number));
    if (isBelow) low = middle + 1;
    else high = middle;
  }
  return <i64>low;
}
