import type { Mutant } from './mutant.ts';
import { REPLAY_MISTAKES } from './replay_mistakes.ts';

const ADVANCE: Mutant[] = [
  {
    name: 'two-jumps',
    why: 'two times that jump and are near each other move the clock',
    file: 'assembly/clock.ts',
    from: 'if (jump != CLOCK_NONE && last - first',
    to: 'if (lastJump != CLOCK_NONE && last - max(min(lastJump, timeMicros), first)',
  },
  {
    name: 'jumps-kept',
    why: 'a good record between them does not end a row of jumps',
    file: 'assembly/clock.ts',
    from: '  type.clock = max(type.clock, timeMicros);\n  forgetJumps(type);\n',
    to: '  type.clock = max(type.clock, timeMicros);\n',
  },
  {
    name: 'always-warm',
    why: 'a derived value does not say that something beneath it is WARMING',
    file: 'assembly/expression.ts',
    from: 'before == Status.WARMING || beneath == Status.WARMING ? Status.WARMING : Status.NONE',
    to: 'before == Status.WARMING && beneath == Status.WARMING ? Status.WARMING : Status.NONE',
  },
  {
    name: 'unseen',
    why: 'reads do not learn how far the prefix and its clocks have come',
    file: 'src/ingest/advance.ts',
    from: '  layout.kernel.exports.seeRecords(from, to);\n',
    to: '',
  },
  {
    name: 'first-shard',
    why: 'every shard folds the changes of the first',
    file: 'src/ingest/advance.ts',
    from: 'fold.apply(changes(kernel, shard))',
    to: 'fold.apply(changes(kernel, shard * 0))',
  },
  {
    name: 'last-unselected',
    why: 'the last event of a batch keeps the columns of an earlier one',
    file: 'src/ingest/advance.ts',
    from: '0, exports.typeRows(index));',
    to: '0, Math.max(0, exports.typeRows(index) - 1));',
  },
];

const ANSWER: Mutant[] = [
  {
    name: 'store-unread',
    why: 'rows that memory has let go of do not count',
    file: 'src/kernel/hold.ts',
    from: '      exports.loadRow(entity, key.start, length, levelMs, tileStartMs, row, end - start);\n',
    to: '      if (end < start) exports.loadRow(entity, key.start, length, levelMs, tileStartMs, row, end - start);\n',
  },
  {
    name: 'memory-unread',
    why: 'what came after the last barrier does not count',
    file: 'src/read/answer.ts',
    from: '    if (outcome === exports.READ_OK.value) outcome = exports.addMemoryRows(answer.index);\n',
    to: '',
  },
  {
    name: 'frame-twice',
    why: 'of more keys than fit a frame the later ones overwrite the first',
    file: 'src/read/answer.ts',
    from: 'columns[i]!, from);',
    to: 'columns[i]!, from * 0);',
  },
  {
    name: 'last-underived',
    why: 'the last key of a lookup has no derived features of its own',
    file: 'src/read/answer.ts',
    from: 'derive(kernel, answer, part.length);',
    to: 'derive(kernel, answer, part.length - 1);',
  },
  {
    name: 'floor-stays',
    why: 'rows that have left memory are taken for rows that never were',
    file: 'assembly/evict.ts',
    from: '    level.floor = row.tileStart + 1;\n',
    to: '',
  },
  {
    name: 'run-late-rows',
    why: 'rows before the first one that changed are not written',
    file: 'assembly/dirty.ts',
    from: '    level.dirtyStart = min(level.dirtyStart, row.tileStart);\n',
    to: '',
  },
  {
    name: 'filter-unknown',
    why: 'after a restart rows of the latest tiles are taken for new ones',
    file: 'assembly/stratum.ts',
    from: 'stratum.floor == i64.MIN_VALUE ? stratum.highest : stratum.highest + 1',
    to: 'stratum.highest',
  },
  {
    name: 'run-unsorted',
    why: 'keys come into the store in the order in which they were touched',
    file: 'assembly/dirty.ts',
    from: 'addToOrder(entity.kind, entity.key, <usize>entity.keyLength, ',
    to: 'addToOrder(0, entity.key, 0, ',
  },
  {
    name: 'merge-twice',
    why: 'a row that has changed is there twice',
    file: 'src/store/merge.ts',
    from: 'if (this.#isThere && walk.isAt(run.address, 0, run.length)) this.#isThere = walk.next();\n      else if',
    to: 'if',
  },
  {
    name: 'kept-stale',
    why: 'what was finished for an entity outlives its rows',
    file: 'assembly/fold.ts',
    from: '  entity.version++;\n  for',
    to: '  for',
  },
  {
    name: 'kept-cover',
    why: 'what was finished for an entity outlives the cover that it was finished for',
    file: 'assembly/cover.ts',
    from: '  answer.coverVersion++;\n',
    to: '',
  },
  {
    name: 'kept-fresh',
    why: 'what was finished for an entity does not expire with the clock of its type',
    file: 'assembly/kept.ts',
    from: 'if (!isWord(member) || isExpired(answer, member)) return false;',
    to: 'if (!isWord(member)) return false;',
  },
];

const COVER: Mutant[] = [
  {
    name: 'start-late',
    why: 'a window starts one tile late',
    file: 'assembly/cover.ts',
    from: 'floorTile(timeMs - window.agoMs - window.lengthMs, window.resolutionMs',
    to: 'floorTile(timeMs - window.agoMs - window.lengthMs + window.resolutionMs, window.resolutionMs',
  },
  {
    name: 'climb-down',
    why: 'where a coarser level takes over, its first tile reaches back before the window',
    file: 'assembly/cover.ts',
    from: '-floorTile(-start, coarser, -window.offsetMs)',
    to: 'floorTile(start, coarser, window.offsetMs)',
  },
  {
    name: 'climb-fall',
    why: 'climb and fall are swapped',
    file: 'assembly/cover.ts',
    from: '    start = climb;\n    end = fall;\n',
    to: '    start = fall;\n    end = climb;\n',
  },
  {
    name: 'fall-up',
    why: 'at a past moment the last coarse tile reaches beyond it',
    file: 'assembly/cover.ts',
    from: 'end == OPEN ? end : floorTile(end, coarser, window.offsetMs)',
    to: 'end == OPEN ? end : -floorTile(-end, coarser, -window.offsetMs)',
  },
  {
    name: 'end-cut',
    why: 'the open end is cut at the last whole tile',
    file: 'assembly/cover.ts',
    from: '  if (window.agoMs == 0 && !isPast) return OPEN;\n',
    to: '',
  },
  {
    name: 'resolution-ignored',
    why: 'every window is cut at its coarsest tiles',
    file: 'assembly/cover.ts',
    from: 'floorTile(timeMs - window.agoMs - window.lengthMs, window.resolutionMs, window.offsetMs)',
    to: 'floorTile(timeMs - window.agoMs - window.lengthMs, load<i64>(window.levels + (<usize>(window.levelCount - 1) << 3)), window.offsetMs)',
  },
  {
    name: 'cover-kept',
    why: 'the cover of an earlier moment is used again',
    file: 'assembly/cover.ts',
    from: 'answer.timeMicros == timeMicros && answer.isPast',
    to: 'answer.isPast',
  },
  {
    name: 'mask-first',
    why: 'a tile counts for the first of its windows alone',
    file: 'assembly/merge.ts',
    from: 'const mask = member.wanted & windows;\n',
    to: 'const all = member.wanted & windows;\n    const mask = all & -all;\n',
  },
  {
    name: 'mask-end',
    why: 'a range takes the tile that begins where it ends',
    file: 'assembly/collect.ts',
    from: 'if (tileStart >= from && tileStart < to) windows',
    to: 'if (tileStart >= from && tileStart <= to) windows',
  },
  {
    name: 'store-and-memory',
    why: 'a row counts twice where both the store and memory have it',
    file: 'assembly/collect.ts',
    from: '    if (level && findRow(level, <i64>tileStart)) return READ_OK;\n',
    to: '',
  },
  {
    name: 'no-lateness',
    why: 'an event that is late at all reads nothing',
    file: 'assembly/seen.ts',
    from: 'timeMicros < clock - latenessMicros',
    to: 'timeMicros < clock',
  },
];

const FOLD: Mutant[] = [
  {
    name: 'dirty-once',
    why: 'a row that was written once is never written again',
    file: 'assembly/dirty.ts',
    from: 'if (row.edition != edition) markDirty',
    to: 'if (row.edition == 0) markDirty',
  },
  {
    name: 'dirty-new',
    why: 'a row that was read back does not become dirty',
    file: 'assembly/fold.ts',
    from: '    const outcome = mergeInto(row, features + change.features, <usize>change.featuresLength, isOurs);\n',
    to: '    if (row.edition == 0 && row.length > 0) row.edition = edition;\n    const outcome = mergeInto(row, features + change.features, <usize>change.featuresLength, isOurs);\n',
  },
  {
    name: 'floor-low',
    why: 'a row that leaves memory counts as one that never was',
    file: 'assembly/evict.ts',
    from: 'level.stratum.floor = max(level.stratum.floor, row.tileStart + 1);',
    to: 'level.stratum.floor = max(level.stratum.floor, row.tileStart);',
  },
  {
    name: 'highest-forgotten',
    why: 'after a restart rows of the store count as ones that never were',
    file: 'assembly/stratum.ts',
    from: 'stratum.floor = max(stratum.floor, stratum.highest + 1);',
    to: '',
  },
  {
    name: 'bound-off',
    why: 'a search passes over the row that it looks for',
    file: 'assembly/entity.ts',
    from: 'if (rowAt(level, middle).tileStart < tileStart) low',
    to: 'if (rowAt(level, middle).tileStart <= tileStart) low',
  },
  {
    name: 'missing-unread',
    why: 'of an entity that memory knows no rows are read back',
    file: 'assembly/come_back.ts',
    from: 'return level ? findRow(level, tileStart) != null : false;',
    to: 'return level != null;',
  },
  {
    name: 'lifetime-unread',
    why: 'lifetime rows that memory has let go of begin anew',
    file: 'assembly/come_back.ts',
    from: 'const size = <usize>load<u32>(sizes + (<usize>(i - from) << 2));',
    to: 'const size = row.levelMs == 0 ? 0 : <usize>load<u32>(sizes + (<usize>(i - from) << 2));',
  },
];

/** The ways that rows take in their bytes, for what most rows are. */
const QUICK: Mutant[] = [
  {
    name: 'stretch-wide',
    why: 'a stretch of tiles of the same windows reaches beyond the end of one of them',
    file: 'assembly/collect.ts',
    from: '    before = min(before, to > tileStart ? to : Infinity);\n',
    to: '',
  },
  {
    name: 'stretch-kept',
    why: 'another moment is read by the stretches of the one before',
    file: 'assembly/cover.ts',
    from: '  answer.stretchCount = 0;\n  answer.stretch = answer.stretches;\n  store<f64>(answer.stretch, NaN);\n',
    to: '',
  },
  {
    name: 'long-head',
    why: 'an id that takes three bytes is known by a head for two',
    file: 'assembly/row.ts',
    from: '    if (id > 0x3fff) head.word = 0;\n',
    to: '',
  },
  {
    name: 'join-short',
    why: 'of the longer numbers the upper bits are lost',
    file: 'assembly/varint.ts',
    from: 'return (bits & 0x000000000fffffff) | ((bits & 0x0fffffff00000000) >> 4);',
    to: 'return bits & 0x000000000fffffff;',
  },
  {
    name: 'spread-short',
    why: 'of the longer numbers the upper bits are not written',
    file: 'assembly/varint.ts',
    from: 'let bits = (value & 0x000000000fffffff) | ((value & 0x00fffffff0000000) << 4);',
    to: 'let bits = value & 0x000000000fffffff;',
  },
  {
    name: 'least-ignored',
    why: 'a number that is spelt in more bytes than it needs is read',
    file: 'assembly/varint.ts',
    from: '| <u64>(size == 1)) != 0;',
    to: '| <u64>(size >= 1)) != 0;',
  },
  {
    name: 'extreme-first',
    why: 'the first value of an extreme is not taken',
    file: 'assembly/whole.ts',
    from: '(<i32>(seen == 0) | <i32>isBetter) != 0',
    to: 'isBetter',
  },
  {
    name: 'merged-extreme',
    why: 'of two least values the greater one is kept',
    file: 'assembly/whole.ts',
    from: 'tag == TAG_MIN ? min(wholeValue, other)',
    to: 'tag == TAG_MIN ? max(wholeValue, other)',
  },
  {
    name: 'merged-count',
    why: 'a mean that is merged counts one side alone',
    file: 'assembly/whole.ts',
    from: 'zigzag(wholeCount + otherCount)',
    to: 'zigzag(wholeCount)',
  },
  {
    name: 'alike-last',
    why: 'ids need not ascend',
    file: 'assembly/row.ts',
    from: '((leftWord ^ rightWord) & SAME_MASK) != 0 || id <= last',
    to: '((leftWord ^ rightWord) & SAME_MASK) != 0 || id == 0',
    suite: 'test/kernel/fold.test.ts',
  },
  {
    name: 'unread-row',
    why: 'a new row is kept without a look at its entries',
    file: 'assembly/fold.ts',
    from: '    if (!isOurs && !isRow(features, end)) return ROW_MALFORMED;\n',
    to: '',
  },
  {
    name: 'head-any-field',
    why: 'a change is taken for one of the same entity though its entity differs',
    file: 'assembly/read_change.ts',
    from: 'next - at >= lastHeadSize && isSame(at, lastHead, lastHeadSize)',
    to: 'next - at >= lastHeadSize && isSame(at + 2, lastHead + 2, lastHeadSize - 2)',
  },
  {
    name: 'same-but-length',
    why: 'of two stretches of bytes the rest below eight is not compared',
    file: 'assembly/memory.ts',
    from: '  return ((load<u64>(one + at) ^ load<u64>(other + at)) << (64 - (<u64>(length - at) << 3))) == 0;',
    to: '  return true;',
  },
  {
    name: 'newest-lost',
    why: 'with a newer row the one before it is gone',
    file: 'assembly/entity.ts',
    from: 'else if (index > 0) copyRow(olderRow(level, index - 1), newestRow(level));',
    to: 'else if (index > 1) copyRow(olderRow(level, index - 1), newestRow(level));',
  },
  {
    name: 'newest-evicted',
    why: 'where the newest row leaves, the others are forgotten with it',
    file: 'assembly/evict.ts',
    from: 'else if (kept > 0) copyRow(newestRow(level), olderRow(level, kept - 1));',
    to: 'else kept = 0;',
  },
  {
    name: 'flight-clean',
    why: 'rows leave while they are being written',
    file: 'assembly/dirty.ts',
    from: 'row.edition < edition - (isInFlight ? 1 : 0)',
    to: 'row.edition < edition',
  },
  {
    name: 'settle-all',
    why: 'what has changed since a snapshot counts as written with it',
    file: 'assembly/dirty.ts',
    from: '  if (!isInFlight) startEdition();\n',
    to: '  startEdition();\n',
  },
  {
    name: 'unordered',
    why: 'events of a key are tiled in the order in which they came, a tile more than once',
    file: 'assembly/keyed.ts',
    from: '    if (eventAt(first + i).timeMicros < eventAt(first + i - 1).timeMicros) isOrdered = false;\n',
    to: '',
  },
  {
    name: 'unsorted',
    why: 'events of a key are put in order by their first gap alone',
    file: 'assembly/keyed.ts',
    from: 'gap = (gap - 1) / 3',
    to: 'gap = 0',
  },
  {
    name: 'states-kept',
    why: 'a row begins with the states of the one before',
    file: 'assembly/tile.ts',
    from: '  clearState(group, member, state, startMs);\n',
    to: '',
  },
  {
    name: 'tile-kept',
    why: 'an event is of the tile of the one before',
    file: 'assembly/tile.ts',
    from: '<u64>(event.timeMicros - level.lastMicros) < level.lengthMicros',
    to: 'event.timeMicros >= level.lastMicros',
  },
  {
    name: 'near-full',
    why: 'the near number of a sum runs over',
    file: 'assembly/exact.ts',
    from: '  if (bitsOf(sum, top) >= NEAR_BITS) makeRoom(state);\n',
    to: '',
    suite: 'test/kernel/aggregate.test.ts',
  },
  {
    name: 'near-lost',
    why: 'the near number is thrown away where another is far from it',
    file: 'assembly/exact.ts',
    from: '    makeRoom(state);\n  }\n  setNear(state, low, high, position);',
    to: '  }\n  setNear(state, low, high, position);',
  },
  {
    name: 'near-even',
    why: 'a sum is not written as an odd number, and so in more than one way',
    file: 'assembly/exact.ts',
    from: 'const zeros = low != 0 ? <i32>ctz<u64>(low) : 64 + <i32>ctz<u64>(high);',
    to: 'const zeros = 0;',
  },
];

const TILE: Mutant[] = [
  {
    name: 'floor-to-zero',
    why: 'division rounds negative numbers up',
    file: 'assembly/tile.ts',
    from: 'return dividend - quotient * divisor < 0 ? quotient - 1 : quotient;',
    to: 'return quotient;',
  },
  {
    name: 'plain-large',
    why: 'a sum by template runs over',
    file: 'assembly/plain.ts',
    from: 'if (!isNear(value) || !isNear(number)) return false;',
    to: '',
  },
  {
    name: 'plain-size',
    why: 'an entry by template does not say how long its number is',
    file: 'assembly/plain.ts',
    from: 'if (aggregateCase != COUNT) store<u8>(steps + template.size - 2, 1);',
    to: '',
  },
  {
    name: 'plain-null',
    why: 'an extreme of nothing is zero',
    file: 'assembly/plain.ts',
    from: 'if (!isThere || !isNear(number)) return false;',
    to: 'if (!isNear(number)) return false;',
  },
  {
    name: 'late-shortcut',
    why: 'whether events of a key may be too late is asked of the first one alone',
    file: 'assembly/tile.ts',
    from: 'level.ttlMs) * 1000 <= clockMicros)',
    to: 'level.ttlMs) * 1000 <= eventAt(events).clockMicros)',
  },
  {
    name: 'picked-text',
    why: 'texts of events that wait to be tiled are those of the batch after them',
    file: 'assembly/gather.ts',
    from: 'value = keptValue(group, column, value)',
    to: 'value += 0',
  },
  {
    name: 'ttl-edge',
    why: 'a tile takes events at the very moment at which it has expired',
    file: 'assembly/tile.ts',
    from: 'overMicros <= event.clockMicros',
    to: 'overMicros < event.clockMicros',
  },
  {
    name: 'late-everywhere',
    why: 'with an event that is too late the others of its key and level are refused too',
    file: 'assembly/tile.ts',
    from: 'event.timeMicros, event.clockMicros);\n      continue;\n',
    to: 'event.timeMicros, event.clockMicros);\n      return 0;\n',
  },
  {
    name: 'start-nearest',
    why: 'an event goes to the nearest tile, not to the one that holds it',
    file: 'assembly/tile.ts',
    from: 'floorDivide(timeMicros - offsetMs * 1000, lengthMs * 1000)',
    to: 'floorDivide(timeMicros - offsetMs * 1000 + lengthMs * 500, lengthMs * 1000)',
  },
  {
    name: 'offset-ignored',
    why: 'tiles are not shifted by their offset',
    file: 'assembly/tile.ts',
    from: 'ordinal * lengthMs + offsetMs',
    to: 'ordinal * lengthMs',
  },
];

const AGGREGATE: Mutant[] = [
  {
    name: 'min-max',
    why: 'the least is the greatest',
    file: 'assembly/aggregate.ts',
    from: 'isBelow(kind, value, load<i64>(state, 8))',
    to: 'isBelow(kind, load<i64>(state, 8), value)',
  },
  {
    name: 'first-late',
    why: 'the first value is the last',
    file: 'assembly/aggregate.ts',
    from: 'return aggregateCase == FIRST ? time < other : time > other;',
    to: 'return time > other;',
  },
  {
    name: 'sum-unsettled',
    why: 'chunks of exact sums run over',
    file: 'assembly/exact.ts',
    from: 'if (pending >= PENDING_MAX) settle(state);',
    to: '',
  },
  {
    name: 'no-carry',
    why: 'a sum drops what it carries from its lower word',
    file: 'assembly/aggregate.ts',
    from: 'const carry = <i64>(sum < low);',
    to: 'const carry: i64 = 0;',
  },
];

const LINEAR: Mutant[] = [
  {
    name: 'square-once',
    why: 'wide squares of int64 lose their upper half',
    file: 'assembly/exact.ts',
    from: '  if (isWide) addSigned(state, squareHigh, 0, weight, ONE + 64);\n',
    to: '',
  },
  {
    name: 'square-owed',
    why: 'squares are added where they are to be taken away',
    file: 'assembly/moments.ts',
    from: 'addSquare(state + EXACT_SIZE, real, weight)',
    to: 'addSquare(state + EXACT_SIZE, real, 1)',
  },
  {
    name: 'spread-borrow',
    why: 'the difference of sums drops what it borrows',
    file: 'assembly/moments.ts',
    from: '    borrow = difference >> 32;\n',
    to: '',
  },
  {
    name: 'counts-free',
    why: 'values that were taken away make room for others, in some orders of merges',
    file: 'assembly/counts.ts',
    from: '    count++;\n  }\n  return count;',
    to: '    if (timesOf(to) != 0) count++;\n  }\n  return count;',
  },
  {
    name: 'counts-shrunk',
    why: 'what has overflown in one tile is merged as if it were empty',
    file: 'assembly/counts.ts',
    from: '  if (source.kind == target.kind && (source.flags & OVERFLOWN) != 0) overflow(target);\n',
    to: '',
  },
  {
    name: 'mode-last',
    why: 'of values as frequent the greatest is the mode',
    file: 'assembly/counts.ts',
    from: 'if (timesOf(entry) > (best == 0 ? 0 : timesOf(best))) best = entry;',
    to: 'if (timesOf(entry) > 0 && (best == 0 || timesOf(entry) >= timesOf(best))) best = entry;',
  },
  {
    name: 'top-cut',
    why: 'the first values are the most frequent',
    file: 'assembly/counts.ts',
    from: '    if (isBehind(entry, rankedAt(0))) return;\n',
    to: '    return;\n',
  },
  {
    name: 'quantile-next',
    why: 'a quantile is the value after',
    file: 'assembly/counts.ts',
    from: 'if (below > rank) break;',
    to: 'if (below > rank + 1) break;',
  },
  {
    name: 'boundary-open',
    why: 'a boundary is in the bucket above it',
    file: 'assembly/bucket.ts',
    from: 'load<i64>(boundary) < load<i64>(number)',
    to: 'load<i64>(boundary) <= load<i64>(number)',
  },
  {
    name: 'decay-start',
    why: 'tiles decay as if all began with the oldest',
    file: 'assembly/decayed.ts',
    from: 'addExactScaled(into, from, <i32>shift)',
    to: 'addExactScaled(into, from, 1)',
  },
  {
    name: 'decay-uncut',
    why: 'tiles of more than so many half-lives ago do not drop',
    file: 'assembly/decayed.ts',
    from: '  if (startMs < load<i64>(into, CUT_AT)) return;\n',
    to: '',
  },
  {
    name: 'decay-kept',
    why: 'what was finished for an entity does not decay',
    file: 'assembly/kept.ts',
    from: '    case MOMENTS:\n    case COUNT:',
    to: '    case DECAYED:\n    case MOMENTS:\n    case COUNT:',
  },
];

const LATEST: Mutant[] = [
  {
    name: 'list-unsorted',
    why: 'late events of a batch stand where they came',
    file: 'assembly/last_n.ts',
    from: '  if (recent.isUnordered != 0) sortEntries(recent);\n',
    to: '',
  },
  {
    name: 'list-earliest',
    why: 'of too many values the earliest remain',
    file: 'assembly/last_n.ts',
    from: 'memory.copy(recent.entries, entryAt(recent, recent.count - count), <usize>count * ENTRY_SIZE);\n  recent.count',
    to: 'recent.count',
  },
  {
    name: 'list-one-short',
    why: 'where all of a row is later, one value too many of the earlier row leaves',
    file: 'assembly/last_n.ts',
    from: 'keepLatest(target, min(target.count, limit - count));',
    to: 'keepLatest(target, min(target.count, limit - count) - 1);',
  },
  {
    name: 'list-twice',
    why: 'an event that two rows have is there twice',
    file: 'assembly/last_n.ts',
    from: '    if (order <= 0) right--;\n',
    to: '    if (order < 0) right--;\n',
  },
  {
    name: 'list-turned',
    why: 'lists begin with the earliest value',
    file: 'assembly/last_n.ts',
    from: 'entryAt(recent, count - 1 - i) + 16',
    to: 'entryAt(recent, i) + 16',
  },
  {
    name: 'list-cut',
    why: 'a text that is not kept reads as an empty one',
    file: 'assembly/last_n.ts',
    from: '    if (length == TOO_LONG) return false;\n',
    to: '    if (length == TOO_LONG) continue;\n',
  },
  {
    name: 'list-borrowed',
    why: 'texts of a finished list stay in rows that go',
    file: 'assembly/last_n.ts',
    from: '    store<u32>(cell, <u32>arena.copy(<usize>load<u32>(value), <usize>length));\n',
    to: '',
  },
  {
    name: 'lists-overlap',
    why: 'lists of a later chunk of an answer begin where the first one ended',
    file: 'src/kernel/feature_column.ts',
    from: 'lists, offsets[to + row]!);',
    to: 'lists, offsets[row]!);',
  },
  {
    name: 'lists-swapped',
    why: 'what another type of event filled of a column is taken from the wrong rows',
    file: 'src/kernel/feature_column.ts',
    from: '    places[rows[i]!] = i;\n',
    to: '',
  },
];

const RANKED: Mutant[] = [
  {
    name: 'ranks-tied',
    why: 'of values with the same rank the latest come first',
    file: 'assembly/ranking.ts',
    from: 'if (order == 0) return compareMoments(x, y);',
    to: 'if (order == 0) return compareMoments(y, x);',
  },
  {
    name: 'ranked-twins',
    why: 'a value that two rows have stands twice among the latest distinct ones',
    file: 'assembly/ranking.ts',
    from: '    if (aggregateCase == LAST_DISTINCT && !see(entry, count)) continue;\n',
    to: '',
  },
  {
    name: 'set-cut',
    why: 'of a set with too many values the least remain',
    file: 'assembly/ranking.ts',
    from: '  if (isWhole(aggregateCase)) runOver(ranking);\n  else ranking.count = limit;\n',
    to: '  ranking.count = limit;\n',
  },
  {
    name: 'over-again',
    why: 'a list that had too many values has some again',
    file: 'assembly/ranking.ts',
    from: '  if (target.isOver != 0) return;\n',
    to: '',
  },
  {
    name: 'texts-cut',
    why: 'a text that is cut is one with the text that it is cut to',
    file: 'assembly/ranking.ts',
    from: 'return compareWords(<i64>load<u32>(x, 4), <i64>load<u32>(y, 4));',
    to: 'return compareWords(<i64>xLength, <i64>yLength);',
  },
  {
    name: 'joined-late',
    why: 'where lists are joined, the first value that is kept has the time of the next',
    file: 'assembly/last_n.ts',
    from: 'skipVarints(leftAt, dropped + 1)',
    to: 'skipVarints(leftAt, dropped)',
  },
  {
    name: 'rows-skipped',
    why: 'a list that is full takes nothing of later rows either',
    file: 'assembly/last_n.ts',
    from: ' && load<i64>(recent.entries) >= micros;',
    to: ';',
  },
  {
    name: 'registers-low',
    why: 'the first 1 of a hash counts for one place less',
    file: 'assembly/hyperloglog.ts',
    from: '<u32>clz<u64>(rest) + 1',
    to: '<u32>clz<u64>(rest)',
  },
  {
    name: 'registers-joined',
    why: 'of two registers the bits of both remain',
    file: 'assembly/hyperloglog.ts',
    from: '(ours & isOurs) | (theirs & ~isOurs)',
    to: 'ours | theirs',
  },
  {
    name: 'vectors-long',
    why: 'lists that are too long count up to the length that is wanted',
    file: 'assembly/vector.ts',
    from: 'if (<u32>count != vector.length) return;',
    to: 'if (<u32>count < vector.length) return;',
  },
  {
    name: 'now-stale',
    why: 'what was finished before has the moment at which it was',
    file: 'assembly/kept.ts',
    from: '  putReadTime(answer, row);\n  return true;\n',
    to: '  return true;\n',
  },
];

const STORED: Mutant[] = [
  {
    name: 'tails-old',
    why: 'of rows under one address that of the oldest run is read',
    file: 'src/store/levels.ts',
    from: 'return [...tails.map(({ run }) => run), BASE];',
    to: 'return [BASE, ...tails.map(({ run }) => run)];',
  },
  {
    name: 'tails-kept',
    why: 'rows that are dropped from the base come out again from under it, in a tail',
    file: 'src/store/levels.ts',
    from: 'for (const tail of levels.tails) tail.size += changeRun(tail.run, from, to, change);',
    to: '',
  },
  {
    name: 'halves-last',
    why: 'the last row of a half is looked for in the next one',
    file: 'src/store/packs.ts',
    from: 'Buffer.compare(address, rest.halves.last) <= 0',
    to: 'Buffer.compare(address, rest.halves.last) < 0',
  },
  {
    name: 'halves-behind',
    why: 'the first row of a second half is read as if it were spelt behind none',
    file: 'src/store/cursor.ts',
    from: 'this.walk.open(part.bytes, part.before)',
    to: 'this.walk.open(part.bytes)',
  },
];

const DURABLE: Mutant[] = [
  {
    name: 'append-unsynced',
    why: 'an append is acknowledged while it is in the page cache only',
    file: 'src/source/log.ts',
    from: '    await this.#file.write(bytes);\n    await this.#file.sync();\n',
    to: '    await this.#file.write(bytes);\n',
  },
  {
    name: 'found-unsynced',
    why: 'what a killed process left unsynced counts, and is not synced',
    file: 'src/source/log.ts',
    from: '    await file.sync();\n    await disk.syncFolder(folder);\n    const log',
    to: '    await disk.syncFolder(folder);\n    const log',
  },
  {
    name: 'roll-unsynced',
    why: 'a new segment is written to before its name is durable',
    file: 'src/source/log.ts',
    from: '    await disk.syncFolder(folder);\n    await this.#file.close();\n',
    to: '    await this.#file.close();\n',
  },
  {
    name: 'names-unsynced',
    why: 'segments found on opening are not made durable in their folder',
    file: 'src/source/log.ts',
    from: '    await file.sync();\n    await disk.syncFolder(folder);\n    const log',
    to: '    await file.sync();\n    const log',
  },
  {
    name: 'errors-again',
    why: 'errors that were written are written again',
    file: 'src/ingest/here.ts',
    from: '    this.#errors = [];\n',
    to: '',
  },
  {
    name: 'clocks-lost',
    why: 'a restart forgets the clocks of the types',
    file: 'src/kernel/clock.ts',
    from: '  resumeDecoding(layout, clocks);\n  seeClocks',
    to: '  seeClocks',
  },
  {
    name: 'seen-lost',
    why: 'after a restart lookups do not know the clocks of the types',
    file: 'src/kernel/clock.ts',
    from: '  seeClocks(layout, clocks);\n}',
    to: '}',
  },
  {
    name: 'jumps-lost',
    why: 'a restart forgets the times that were too far ahead, and may yet turn out right',
    file: 'src/kernel/clock.ts',
    from: 'since, jumps.at(-2) ?? none, jumps.at(-1) ?? none',
    to: 'since, none, none',
  },
  {
    name: 'since-later',
    why: 'after a restart an event type is known only since then',
    file: 'src/kernel/clock.ts',
    from: 'setSeen(type, clocks[type * WORDS]!, clocks[type * WORDS + 1]!)',
    to: 'setSeen(type, clocks[type * WORDS]!, clocks[type * WORDS]!)',
  },
  {
    name: 'settle-early',
    why: 'rows count as written before they are',
    file: 'src/ingest/here.ts',
    from: '    const { rowCount, ...work } = this.#barrierWork();\n',
    to: '    const { rowCount, ...work } = this.#barrierWork();\n    for (const fold of pipeline.folds) fold.settle();\n',
  },
];

/** What a line that is read by the form of others could go wrong by. */
const FORMS: Mutant[] = [
  {
    name: 'text-or-not',
    why: 'a stretch behind a string fits behind a number too',
    file: 'assembly/form.ts',
    from: 'stop.isText != isText || ',
    to: '',
  },
  {
    name: 'half-a-stretch',
    why: 'of a long stretch only the first 16 bytes are compared',
    file: 'assembly/form.ts',
    from: 'stretch.length <= 16 || restStandsAt(stretch, at)',
    to: 'stretch.length <= 16 || restStandsAt(stretch, stretch.literal)',
  },
  {
    name: 'early-data',
    why: 'data before its type is read by a form that has passed over it',
    file: 'assembly/lesson.ts',
    from: '    forbidden |= Member.EARLY_DATA;\n',
    to: '',
  },
  {
    name: 'early-inputs',
    why: 'members before a flat type are passed over though they are inputs',
    file: 'assembly/lesson.ts',
    from: '  if (isFlat) forbidden |= Member.EARLY;\n',
    to: '',
  },
  {
    name: 'other-name',
    why: 'a type that a later one takes back is learnt as the later one',
    file: 'assembly/lesson.ts',
    from: ' || !isRecordName(stringStart, stringEnd)',
    to: '',
  },
  {
    name: 'no-time',
    why: 'a record without a time has that of the one before',
    file: 'assembly/guess.ts',
    from: '(seen & Member.TIME) == 0 || ',
    to: '',
  },
  {
    name: 'marks-unseen',
    why: 'an input that is missing keeps what the row held before',
    file: 'assembly/ndjson.ts',
    from: '    if (input.mark == serial) continue;\n',
    to: '    if (input.mark != 0) continue;\n',
  },
  {
    name: 'newline-in-value',
    why: 'a line that breaks off in a list goes on with the next one',
    file: 'assembly/guess.ts',
    from: 'if (load<u8>(i) == 0x0a) return 0;',
    to: 'if (load<u8>(i) == 0x00) return 0;',
  },
  {
    name: 'leading-zero',
    why: 'numbers may begin with zeros',
    file: 'assembly/json.ts',
    from: 'if (count == 0 || (<u8>word == 0x30 && count > 1)) return 0;',
    to: 'if (count == 0) return 0;',
  },
  {
    name: 'stale-minute',
    why: 'a time is taken for one of the same date and hour',
    file: 'assembly/json.ts',
    from: 'load<u64>(at) != minute0 || load<u64>(at, 8) != minute1',
    to: 'load<u64>(at) != minute0 || load<u32>(at, 8) != <u32>minute1',
  },
  {
    name: 'surrogates-taken',
    why: 'the 16 byte check of UTF-8 takes surrogates',
    file: 'assembly/wellformed.ts',
    from: 'const SURROGATE: u8 = 16;',
    to: 'const SURROGATE: u8 = 0;',
  },
  {
    name: 'carried-over',
    why: 'a code point that two steps of 16 bytes share is not looked at',
    file: 'assembly/wellformed.ts',
    from: '    before = chunk;\n',
    to: '',
  },
];

/** Of folding in several threads. */
const SPELLED: Mutant[] = [
  {
    name: 'memo-blind',
    why: 'a text of the same length that hashes alike has the answer of another',
    file: 'assembly/distinct.ts',
    from: 'return length == load<u32>(y, 4) && isSame(<usize>load<u32>(x), <usize>load<u32>(y), <usize>length);',
    to: 'return length == load<u32>(y, 4);',
    suite: 'test/kernel/distinct.test.ts',
  },
  {
    name: 'slots-shared',
    why: 'what one alternative keeps in a group is seen by the next one',
    file: 'assembly/regex.ts',
    from: '      store<u32>(current + (<usize>slot << 2), place);\n',
    to: '',
  },
  {
    name: 'last-match',
    why: 'a match does not drop what is less preferred than it',
    file: 'assembly/regex.ts',
    from: '        found = true;\n        break;\n',
    to: '        found = true;\n',
  },
  {
    name: 'empty-turn',
    why: 'an empty turn does not end a repetition',
    file: 'src/plan/regex.ts',
    from: 'isNullable(of) ? split(body, next) : loop',
    to: 'loop',
  },
  {
    name: 'passes-unbounded',
    why: 'a replacement may read a text as often as it is long',
    file: 'assembly/regex.ts',
    from: 'out > limit || scanned > scanLimit',
    to: 'out > limit',
  },
  {
    name: 'real-quotients',
    why: '7 / 2 is 3.5 everywhere',
    file: 'src/compile/bind.ts',
    from: "rules?.division === 'whole' && !isDouble",
    to: "rules?.division === 'whole' && isDouble",
  },
  {
    name: 'collation-blind',
    why: 'texts are compared by their bytes whatever the dialect says',
    file: 'src/compile/typing.ts',
    from: "rules.texts === 'collated' || ",
    to: '',
  },
  {
    name: 'first-index',
    why: 'lists begin where those of DuckDB do',
    file: 'src/compile/bind.ts',
    from: 'value - BigInt(firstIndex) + 1n',
    to: 'value',
  },
  {
    name: 'cut-casts',
    why: 'CAST cuts where it should round',
    file: 'src/compile/bind.ts',
    from: "away: 'round'",
    to: "away: 'truncate'",
  },
];

const CREW: Mutant[] = [
  {
    name: 'crew-unseen',
    why: 'shards answer by clocks that stand still',
    file: 'src/shard/shard.ts',
    from: '    seeClocks(this.parts.layout, clocks);\n    return this.sizes();',
    to: '    return this.sizes();',
  },
  {
    name: 'crew-unordered',
    why: 'changes are folded as they come, not in the order of the log',
    file: 'src/shard/crew.ts',
    from: 'while (this.#chunks[0]?.changes',
    to: 'this.#chunks.sort((a, b) => Number(b.changes !== null) - Number(a.changes !== null));\n    while (this.#chunks[0]?.changes',
  },
  {
    name: 'crew-clocks-late',
    why: 'a chunk takes the clocks of the last one that is folded',
    file: 'src/shard/crew.ts',
    from: '      clocks = chunk.clocks;\n',
    to: '',
  },
  {
    name: 'crew-settle-early',
    why: 'rows leave memory before the writer has them',
    file: 'src/shard/shard.ts',
    from: '      return { run: sealed ? [] : fold.snapshot(), sealed,',
    to: '      const run = sealed ? [] : fold.snapshot();\n      this.settle(0);\n      return { run, sealed,',
  },
  {
    name: 'sealed-first',
    why: 'a run that comes compressed begins with its first row, not before everything',
    file: 'src/store/levels.ts',
    from: 'table.addSealed(run, size === 0 ? NOTHING : first, bytes)',
    to: 'table.addSealed(run, first, bytes)',
  },
  {
    name: 'crew-scatter',
    why: 'values of a shard come in its order, not in that of the keys',
    file: 'src/shard/crew.ts',
    from: 'spreadRows(column, rows, whole[n]!)',
    to: 'spreadRows(column, [...rows.keys()], whole[n]!)',
  },
  {
    name: 'share-all',
    why: 'the first shard is handed the events of all keys',
    file: 'assembly/share.ts',
    from: 'shareAt(<i32>(hash % <u32>shardCount))',
    to: 'shareAt(0)',
  },
  {
    name: 'share-texts',
    why: 'texts of events that another kernel has picked stay where they were',
    file: 'assembly/gather.ts',
    from: 'if (<usize>shared.size > size) takeTexts(group, shared, event);',
    to: '',
    suite: 'test/kernel/share.test.ts',
  },
  {
    name: 'deal-clocks',
    why: 'lines behind those that somebody waited for are decoded by the clocks before these',
    file: 'src/shard/dealer.ts',
    from: '    resumeDecoding(layout, at().clocks);\n',
    to: '',
  },
  {
    name: 'deal-memory',
    why: 'memory is dealt out again when the first shard has read its share',
    file: 'src/shard/dealer.ts',
    from: 'if (this.#gathered.some(count => count === 0)) return;',
    to: 'if (shard > 0) return;',
  },
  {
    name: 'deal-behind',
    why: 'how far behind events are is counted of those that somebody waits for alone',
    file: 'src/shard/crew.ts',
    from: '(behind[i] ?? 0), count),',
    to: '(behind[i] ?? 0), 0 * count),',
  },
  {
    name: 'deal-gathered',
    why: 'a barrier does not wait for what shards have gathered',
    file: 'src/shard/crew.ts',
    from: 'await this.#foldedAll();',
    to: 'await this.#dealer.settled();',
  },
];

/** What becomes of windows that are over, and of many in a row. */
const WINDOWS: Mutant[] = [
  {
    name: 'hop-late',
    why: 'a hopping window goes on as long as its start does not pass the moment',
    file: 'assembly/cover.ts',
    from: 'floorTile(timeMs - window.agoMs, window.everyMs, window.offsetMs)',
    to: 'floorTile(timeMs - window.agoMs, window.everyMs, window.offsetMs) + window.everyMs',
  },
  {
    name: 'exact-short',
    why: 'an exact window ends before the moment',
    file: 'assembly/cover.ts',
    from: 'if (window.isExact) return timeMs + 1;',
    to: 'if (window.isExact) return timeMs;',
  },
  {
    name: 'ago-open',
    why: 'a window of some time ago goes on up to now',
    file: 'assembly/cover.ts',
    from: 'if (window.agoMs == 0 && !isPast) return OPEN;',
    to: 'if (!isPast) return OPEN;',
  },
  {
    name: 'reach-short',
    why: 'tiles of windows of some time ago leave as if these were of now',
    file: 'src/plan/window.ts',
    from: "    case 'offset':\n      return window.lengthMs + window.agoMs;\n",
    to: "    case 'offset':\n      return window.lengthMs;\n",
  },
  {
    name: 'series-missing',
    why: 'a series says that it has no events where one of its windows has none',
    file: 'assembly/list.ts',
    from: 'missing == count ? <u8>Status.NOT_FOUND : status',
    to: 'missing > 0 ? <u8>Status.NOT_FOUND : status',
  },
  {
    name: 'series-oldest',
    why: 'a series begins with its oldest window',
    file: 'src/compile/set/windows.ts',
    from: 'latestMs + i * lengthMs',
    to: 'latestMs + (count - 1 - i) * lengthMs',
  },
  {
    name: 'earliest-first',
    why: 'a past moment is said to be answerable where only some of what is read is',
    file: 'src/read/read.ts',
    from: 'earliestMs = Math.max(earliestMs, first',
    to: 'earliestMs = earliestMs > Number.NEGATIVE_INFINITY ? earliestMs : Math.max(earliestMs, first',
  },
];

const CHANGES: Mutant[] = [
  {
    name: 'before-added',
    why: 'an update adds the row that it takes back',
    file: 'assembly/envelope_row.ts',
    from: 'fillSide(type, index, before, -1)',
    to: 'fillSide(type, index, before, 1)',
  },
  {
    name: 'before-left',
    why: 'an update takes nothing back',
    file: 'assembly/gather.ts',
    from: '    if (before >= 0) consider(group, <usize>before, record);\n',
    to: '',
  },
  {
    name: 'half-a-change',
    why: 'what a change takes back counts, though what it adds is bad',
    file: 'assembly/envelope_row.ts',
    from: '  if (bad != Bad.NONE) type.rows = first;\n  else if (type.rows > first)',
    to: '  if (type.rows > first)',
  },
  {
    name: 'row-of-the-record',
    why: "a row counts at its record's time instead of its own",
    file: 'assembly/fill.ts',
    from: '  fillTime(type, timeMicros);\n',
    to: '  fillTime(type, recordMicros);\n',
  },
  {
    name: 'full-frame',
    why: 'a frame has more rows than it has room for',
    file: 'assembly/envelope_row.ts',
    from: 'type.rows + 2 > BATCH_ROWS',
    to: 'type.rows + 1 > BATCH_ROWS + 2',
  },
  {
    name: 'old-envelope',
    why: 'a member that an envelope lacks is that of the one before',
    file: 'assembly/envelope.ts',
    from: 'beforeStart = afterStart = opStart =',
    to: 'beforeStart = opStart =',
  },
];

const UPSERTS: Mutant[] = [
  {
    name: 'upsert-first',
    why: 'the first row of a key stays the last one',
    file: 'assembly/upsert.ts',
    from: '  putRow(entity, listedKey,',
    to: '  if (textLength == 0) putRow(entity, listedKey,',
  },
  {
    name: 'upsert-gone',
    why: 'a row that was deleted is taken back again by the next one',
    file: 'assembly/upsert.ts',
    from: 'if (textLength == 0 && listedTextLength == 0)',
    to: 'if (listedTextLength == 0)',
  },
  {
    name: 'upsert-unread',
    why: 'a last row that has left memory is not read back',
    file: 'src/kernel/fold.ts',
    from: 'if (!this.isComplete) this.#loadMissing(() => exports.missingLast(start, length));',
    to: '',
  },
  {
    name: 'upsert-time',
    why: 'a row is taken back at the time of the record that replaces it, whatever its own is',
    file: 'assembly/upsert_row.ts',
    from: 'fillTime(type, timeOfRow(type));',
    to: 'fillTime(type, recordMicros);',
  },
  {
    name: 'upsert-frame',
    why: 'a batch has as many records as a frame has rows, and no room for what they take back',
    file: 'assembly/upsert_row.ts',
    from: 'type.rows * 2 + 2 > BATCH_ROWS',
    to: 'type.rows + 2 > BATCH_ROWS + 1',
  },
  {
    name: 'upsert-names',
    why: 'names of a last row have no more room than those of the line that replaces it',
    file: 'assembly/upsert_row.ts',
    from: '  widenSide(length);\n',
    to: '',
  },
  {
    name: 'crew-upserts-ahead',
    why: 'a barrier writes last rows of records that it has not folded',
    file: 'src/shard/crew.ts',
    from: 'if (lastRows && this.#isAhead()) await this.#drain();',
    to: '',
  },
  {
    name: 'upsert-rounds',
    why: 'a round of what is computed from the log begins as if there had been no rows before it',
    file: 'src/cli/backfill.ts',
    from: 'this.#parts.lastRows.map(',
    to: 'this.#parts.lastRows.slice(1, 1).map(',
  },
];

/** All of them; a name is there once. */
const RUNNING: Mutant[] = [
  {
    name: 'running-edge',
    why: 'the millisecond that a window begins with has left it',
    file: 'assembly/running.ts',
    from: '      if (row.tileStart >= to) break;',
    to: '      if (row.tileStart > to) break;',
  },
  {
    name: 'running-stale',
    why: 'a window that runs along goes on from what it was before changes that it has not seen',
    file: 'assembly/running.ts',
    from: 'if (!running || running.version != entity.version) return RUN_COVER;',
    to: 'if (!running) return RUN_COVER;',
    suite: 'test/sim/running.test.ts',
  },
  {
    name: 'running-back',
    why: 'an event that is earlier than the last one reads what the window has by then',
    file: 'assembly/running.ts',
    from: '    if (to < from) return false;',
    to: '    if (to < from) continue;',
  },
  {
    name: 'running-found',
    why: 'a window that all has left is found all the same',
    file: 'assembly/running.ts',
    from: '      if (last >= load<i64>(startAt(running, window)))',
    to: '      if (last > i64.MIN_VALUE)',
  },
  {
    name: 'running-departed',
    why: 'what runs along with a key that has left memory goes on where another key is',
    file: 'assembly/evict.ts',
    from: '    store<u32>(departed.end, <u32>entity.running);\n    departed.length += 4;\n',
    to: '',
  },
  {
    name: 'running-lacks',
    why: 'rows that leave a window are not read back where memory lacks them',
    file: 'assembly/running.ts',
    from: '    if (from < to && !knowsRange(level, from, to)) addEventGap',
    to: '    if (from > to && !knowsRange(level, from, to)) addEventGap',
  },
  {
    name: 'held-cut',
    why: 'rows leave, and memory goes on saying that it has all of where they were',
    file: 'assembly/held.ts',
    from: '    if (tileStart < from || tileStart >= to) continue;\n',
    to: '    if (tileStart >= from) continue;\n',
    suite: 'test/kernel/hold.test.ts',
  },
  {
    name: 'held-joined',
    why: 'stretches that do not meet become one, and rows between them are not missed',
    file: 'assembly/held.ts',
    from: '    if (load<i64>(pair) > to || from > load<i64>(pair, 8)) continue;\n',
    to: '',
    suite: 'test/sim/topology.test.ts',
  },
];

/** Of what events are answered with. */
const ANSWERED: Mutant[] = [
  {
    name: 'answered-zero',
    why: 'a zero below zero is spelt without its sign',
    file: 'assembly/answered.ts',
    from: '  if (reinterpret<u64>(value) == 0x8000000000000000) putByte(0x2d);\n',
    to: '',
    suite: 'test/ingest/enrich.test.ts',
  },
  {
    name: 'answered-escape',
    why: 'a backslash among eight plain letters is not escaped',
    file: 'assembly/answered.ts',
    from: ' | ((backslashes - ONES) & ~backslashes)',
    to: '',
    suite: 'test/ingest/enrich.test.ts',
  },
  {
    name: 'answered-bad',
    why: 'an event that counts nowhere, and is not the first of its batch, has no fault',
    file: 'src/ingest/enrich.ts',
    from: 'faults.set(record - from, { code, reason })',
    to: 'faults.set(record, { code, reason })',
    suite: 'test/sim/topology.test.ts',
  },
];

const SWEPT: Mutant[] = [
  {
    name: 'late-left-out',
    why: 'an event that comes late, before all that a lifetime has, is never in it',
    file: 'assembly/sweep.ts',
    from: '    while (low > 0) enterFirst();\n  }\n',
    to: '  }\n',
  },
  {
    name: 'late-added-twice',
    why: 'an event that comes late, before the window, moves that by one place',
    file: 'assembly/sweep.ts',
    from: '    low++;\n    return;\n',
    to: '    return;\n',
  },
  {
    name: 'edge-stays',
    why: 'a step that is earlier than the one before it leaves the end of its window where it was',
    file: 'assembly/sweep.ts',
    from: 'while (high > low && millisAt(high - 1) >= end) leaveLast();',
    to: 'while (high > low && millisAt(high - 1) > end) leaveLast();',
  },
  {
    name: 'stale-queue',
    why: 'an extreme is looked for among those that were in the window before',
    file: 'assembly/sweep.ts',
    from: '  if (!isQueued) requeue();\n',
    to: '',
  },
  {
    name: 'edge-behind',
    why: 'a window of steps in order keeps the last one that it has left behind',
    file: 'assembly/edges.ts',
    from: 'while (low < step && millisOf(strand, low) < start) low++;',
    to: 'while (low < step && millisOf(strand, low + 1) < start) low++;',
  },
  {
    name: 'late-counted',
    why: 'a step in the order of its key that comes too late is told what was there',
    file: 'assembly/edges.ts',
    from: 'const edge = isRefused(strand, step) ? REFUSED : ',
    to: 'const edge = ',
  },
  {
    name: 'totals-narrow',
    why: 'sums that no value can be run around',
    file: 'assembly/totals.ts',
    from: '    bits |= <u64>(value ^ (value >> 63));\n',
    to: '',
  },
  {
    name: 'totals-of-another',
    why: 'totals stay those of the feed before',
    file: 'assembly/totals.ts',
    from: 'if (feedAtHand != changetype<usize>(feed)) total(strand, feed);',
    to: 'if (feedAtHand == 0) total(strand, feed);',
  },
  {
    name: 'steps-unsorted',
    why: 'the values of steps stay where they were when the steps are put in order of their keys',
    file: 'assembly/strand.ts',
    from: '    if (one.value >= 0) move<i64>(one.values, places, count);\n',
    to: '',
  },
];

/** Of processes that share the work over servers. */
const CLUSTER: Mutant[] = [
  {
    name: 'aborted-as-listed',
    why: 'what an aborted transaction has sent counts, where another one began later and was ended before it',
    file: 'src/source/aborted.ts',
    from: '    .sort((a, b) => (a.first < b.first ? 1 : -1));',
    to: '    .reverse();',
    suite: 'test/source/aborted.test.ts',
  },
  {
    name: 'numbers-again',
    why: 'events are sent under numbers that the broker may have seen, and takes for those before them',
    file: 'src/source/sender.ts',
    from: '      if (producer === used) producer = null;\n',
    to: '',
    suite: 'test/source/sender.test.ts',
  },
  {
    name: 'protobuf-length',
    why: 'a message whose length goes beyond what it is in is read as if it were one',
    file: 'src/source/protobuf_wire.ts',
    from: '  if (inner > end) throw',
    to: '  if (inner > end + 8) throw',
    suite: 'test/source/protobuf.test.ts',
  },
  {
    name: 'protobuf-presence',
    why: 'what a message says with 0 or an empty text is taken for not said',
    file: 'src/source/protobuf_json.ts',
    from: 'if (isPlural || field.presence === FeatureSet_FieldPresence.IMPLICIT)',
    to: 'if (isPlural)',
    suite: 'test/source/protobuf.test.ts',
  },
  {
    name: 'every-error-passes',
    why: 'what no waiting helps against is asked for again and again, without end',
    file: 'src/source/outbox.ts',
    from: 'refusalOf(error, what) ?? new Unsure(text)',
    to: 'new Unsure(text)',
    suite: 'test/source/outbox.test.ts',
  },
  {
    name: 'sent-after-failure',
    why: 'a transaction that has failed is followed by another one, as if it had been committed',
    file: 'src/source/outbox.ts',
    from: '    if (failure !== null) throw failure;\n',
    to: '',
    suite: 'test/source/outbox.test.ts',
  },
  {
    name: 'any-partition',
    why: 'bodies that name one order go to one partition after the other',
    file: 'src/work/post.ts',
    from: 'if (order !== null) return',
    to: "if (order === '') return",
    suite: 'test/work/post.test.ts',
  },
  {
    name: 'wrong-message',
    why: 'an error names a message that arrived with the one it stands in',
    file: 'src/work/tiler.ts',
    from: 'const count = lineCount(value) + 1;',
    to: 'const count = lineCount(value);',
    suite: 'test/work/tiler.test.ts',
  },
  {
    name: 'tiles-before-in-force',
    why: 'what a plan no longer needs is still made for those who answer by the one before',
    file: 'src/work/succession.ts',
    from: 'plan: withReadsOf(asked, last)',
    to: 'plan: last.plan',
    suite: 'test/work/succession.test.ts',
  },
  {
    name: 'made-twice',
    why: 'the first event that counts by a plan is made once more with the events before it',
    file: 'src/work/backfiller.ts',
    from: 'offset < until',
    to: 'offset <= until',
    suite: 'test/work/backfiller.test.ts',
  },
  {
    name: 'tiles-that-are-over',
    why: 'of earlier events tiles are made that nothing reads any more',
    file: 'assembly/tile.ts',
    from: 'if (overMicros <= group.horizonMicros) continue;',
    to: '',
    suite: 'test/work/backfiller.test.ts',
  },
  {
    name: 'ahead-of-rows',
    why: 'what is made of earlier events does not wait until rows have what came before',
    file: 'src/work/pace.ts',
    from: 'this.#bytes += bytes;',
    to: '',
    suite: 'test/work/pace.test.ts',
  },
  {
    name: 'whole-with-a-gap',
    why: 'what is made of a topic that has lost its beginning claims to know all events',
    file: 'src/work/succession.ts',
    from: "id === null && start === 'whole' ? since?",
    to: "id === null && start === 'warm' ? since?",
    suite: 'test/work/succession.test.ts',
  },
  {
    name: 'folded-before-drained',
    why: 'a changelog is folded when all of the one before is in rows',
    file: 'src/work/succession.ts',
    from: '|| drained.length < epoch.partitions',
    to: '|| drained.length === 0',
    suite: 'test/work/succession.test.ts',
  },
  {
    name: 'first-keys-again',
    why: 'of a large lookup over rows elsewhere, later keys are answered in the places of the first ones',
    file: 'src/read/remote.ts',
    from: 'chunk.map((_, i) => from + i)',
    to: 'chunk.map((_, i) => i)',
    suite: 'test/sim/remote.test.ts',
  },
  {
    name: 'some-tiles-known',
    why: 'of a changelog shared out anew it is known which tiles there are where all partitions before it have said',
    file: 'src/work/note.ts',
    from: 'partitions.every(partition => partition.highest !== null)',
    to: 'partitions.some(partition => partition.highest !== null)',
    suite: 'test/work/succession.test.ts',
  },
  {
    name: 'last-keys-unread',
    why: 'of keys that share no full statement none is left out',
    file: 'src/store/keyed.ts',
    from: 'Math.ceil(group.length / KEYS_PER_READ_MAX)',
    to: 'Math.floor(group.length / KEYS_PER_READ_MAX)',
    suite: 'test/store/keyed.test.ts',
  },
];

export const MUTANTS: Mutant[] = [
  ...REPLAY_MISTAKES,
  ...SWEPT,
  ...RUNNING,
  ...ANSWERED,
  ...UPSERTS,
  ...CHANGES,
  ...FORMS,
  ...ADVANCE,
  ...ANSWER,
  ...COVER,
  ...FOLD,
  ...QUICK,
  ...TILE,
  ...AGGREGATE,
  ...LINEAR,
  ...LATEST,
  ...RANKED,
  ...STORED,
  ...DURABLE,
  ...CREW,
  ...SPELLED,
  ...WINDOWS,
  ...CLUSTER,
];

/** The one most likely to notice comes first. */
const SUITES = ['test/sim/parity.test.ts', 'test/sim/crash.test.ts', 'test/kernel', 'test/sim'];

const FORM_SUITES = ['test/kernel/form.test.ts', 'test/kernel/rfc8259.test.ts', 'test/kernel/ndjson.test.ts'];

const SPELLED_SUITES = ['test/kernel/regex.test.ts', 'test/compile/dialects.test.ts'];

const CREW_SUITES = ['test/shard'];

const LINEAR_SUITES = ['test/sim/linear.test.ts', 'test/kernel/sketch.test.ts', 'test/kernel/row_bytes.test.ts'];

const WINDOW_SUITES = ['test/sim/windows.test.ts', 'test/kernel/window.test.ts'];

const CHANGES_SUITES = ['test/kernel/envelope.test.ts', 'test/sim/changelog.test.ts'];

const UPSERT_SUITES = [
  ...['test/kernel/envelope.test.ts', 'test/sim/upsert.test.ts', 'test/shard/upsert.test.ts'],
  'test/sim/upsert_apply.test.ts',
];

const LATEST_SUITES = ['test/kernel/last_n.test.ts', 'test/sim/last_n.test.ts', ...SUITES];

const RANKED_SUITES = [
  ...['test/kernel/ranking.test.ts', 'test/kernel/hyperloglog.test.ts', 'test/sim/rankings.test.ts'],
  ...LATEST_SUITES,
];

const STORED_SUITES = ['test/store'];

const DURABLE_SUITES = SUITES.toSorted(suite => (suite === 'test/sim/crash.test.ts' ? -1 : 1));

/** Suites that a mistake is tried on, until one notices. */
export function suitesFor(name: string): string[] {
  const suite = MUTANTS.find(mutant => mutant.name === name)?.suite;
  if (suite) return [suite];
  if (FORMS.some(mutant => mutant.name === name)) return FORM_SUITES;
  if (SWEPT.some(mutant => mutant.name === name)) return ['test/replay/sweep.test.ts'];
  if (RUNNING.some(mutant => mutant.name === name)) return ['test/sim/running.test.ts'];
  if (SPELLED.some(mutant => mutant.name === name)) return SPELLED_SUITES;
  if (WINDOWS.some(mutant => mutant.name === name)) return WINDOW_SUITES;
  if (CHANGES.some(mutant => mutant.name === name)) return CHANGES_SUITES;
  if (UPSERTS.some(mutant => mutant.name === name)) return UPSERT_SUITES;
  if (CREW.some(mutant => mutant.name === name)) return CREW_SUITES;
  if (LINEAR.some(mutant => mutant.name === name)) return LINEAR_SUITES;
  if (LATEST.some(mutant => mutant.name === name)) return LATEST_SUITES;
  if (RANKED.some(mutant => mutant.name === name)) return RANKED_SUITES;
  if (STORED.some(mutant => mutant.name === name)) return STORED_SUITES;
  return DURABLE.some(mutant => mutant.name === name) ? DURABLE_SUITES : SUITES;
}
