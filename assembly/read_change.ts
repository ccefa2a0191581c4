/** Changes as other kernels have made them, one by one: the bytes of a ChangeBatch (proto/tilefold/v1/change.proto). */
import { isSame } from './memory';
import { readVarint, unzigzag, varintNext, varintOk } from './varint';

export let changeEntity: i32 = 0;
export let changeKey: usize = 0;
export let changeKeyLength: usize = 0;
export let changeLevel: i64 = 0;
export let changeTileStart: i64 = 0;
export let changeFeatures: usize = 0;
export let changeFeaturesLength: usize = 0;

/** Entity and key of a change as its bytes begin: the change after it mostly begins alike. None where `lastHeadSize` is 0. */
let lastHead: usize = 0;
let lastHeadSize: usize = 0;
export let isSameEntity: bool = false;

/** Changes of another batch follow. */
export function beginChanges(): void {
  lastHeadSize = 0;
}

/** Reads one Change with its fields in ascending order; returns where the next one starts, 0 when malformed. */
export function readChange(at: usize, end: usize): usize {
  if (at >= end || load<u8>(at) != 0x0a) return 0;
  const length = readVarint(at + 1, end);
  if (!varintOk || length > <u64>(end - varintNext)) return 0;
  at = varintNext;
  const next = at + <usize>length;
  changeLevel = 0;
  changeTileStart = 0;
  changeFeaturesLength = 0;
  changeFeatures = at;
  isSameEntity = lastHeadSize > 0 && next - at >= lastHeadSize && isSame(at, lastHead, lastHeadSize);
  if (isSameEntity) at += lastHeadSize;
  else {
    lastHead = at;
    lastHeadSize = 0;
    changeEntity = 0;
    changeKeyLength = 0;
    changeKey = at;
  }
  while (at < next) {
    const tag = load<u8>(at);
    const value = readVarint(at + 1, next);
    if (!varintOk) return 0;
    at = varintNext;
    if ((tag & 7) == 2) {
      if (value > <u64>(next - at)) return 0;
      if (tag == 0x12) {
        changeKey = at;
        changeKeyLength = <usize>value;
      } else if (tag == 0x2a) {
        changeFeatures = at;
        changeFeaturesLength = <usize>value;
      } else return 0;
      at += <usize>value;
      // A head is what is before all other fields.
      if (tag == 0x12 && changeLevel == 0 && changeTileStart == 0 && changeFeaturesLength == 0) {
        isSameEntity = false;
        lastHeadSize = at - lastHead;
      }
    } else if (tag == 0x08) {
      changeEntity = <i32>value;
      isSameEntity = false;
    } else if (tag == 0x18) changeLevel = <i64>value;
    else if (tag == 0x20) changeTileStart = unzigzag(value);
    else return 0;
  }
  return next;
}
