/**
 * Events that are picked in one kernel to be tiled in another: each shard is handed those of its own keys.
 *
 *   a share   runs of events, in the order in which they were picked
 *   a run     group u32, length u32 of its events, and the events
 *   an event  length u32, unused u32, and the event as it stands in a part (gather.ts), but that its texts and lists follow on it, and that
 *             the addresses of these are counted from the event
 */
import { SHARDS_MAX, shardCount } from './change';
import { Bytes } from './memory';

const RUN_HEAD: usize = 8;

/** Before each event; numbers in it stand where those of parts do. */
export const SHARED_HEAD: usize = 8;

/** Of each shard what it is to be handed, and where its latest run begins. */
const shares: usize = memory.data(64 * sizeof<usize>(), 8);
const runs: usize = memory.data(64 * sizeof<usize>(), 8);

for (let shard = 0; shard < SHARDS_MAX; shard++)
  store<usize>(shares + <usize>shard * sizeof<usize>(), changetype<usize>(Bytes.make()));

@inline
function shareAt(shard: i32): Bytes {
  assert(<u32>shard < <u32>shardCount);
  return changetype<Bytes>(load<usize>(shares + <usize>shard * sizeof<usize>()));
}

/** Where an event with a key of this hash goes. */
@inline
export function shareOf(hash: u32): Bytes {
  return shareAt(<i32>(hash % <u32>shardCount));
}

/** Events that follow are of this group. */
export function beginRuns(group: i32): void {
  for (let shard = 0; shard < shardCount; shard++) {
    const share = shareAt(shard);
    store<usize>(runs + <usize>shard * sizeof<usize>(), share.length);
    share.reserve(RUN_HEAD);
    store<i32>(share.end, group);
    share.length += RUN_HEAD;
  }
}

/** A run of nothing is left out. */
export function endRuns(): void {
  for (let shard = 0; shard < shardCount; shard++) {
    const share = shareAt(shard);
    const run = load<usize>(runs + <usize>shard * sizeof<usize>());
    const length = share.length - run - RUN_HEAD;
    if (length == 0) share.length = run;
    else store<u32>(share.start + run, <u32>length, 4);
  }
}

/** Of all shards. */
export function sharedBytes(): f64 {
  let size: usize = 0;
  for (let shard = 0; shard < shardCount; shard++) size += shareAt(shard).length;
  return <f64>size;
}

export function shareStart(shard: i32): usize {
  return shareAt(shard).start;
}

export function shareLength(shard: i32): usize {
  return shareAt(shard).length;
}

/** They have been handed over. */
export function forgetShares(): void {
  for (let shard = 0; shard < shardCount; shard++) shareAt(shard).length = 0;
}
