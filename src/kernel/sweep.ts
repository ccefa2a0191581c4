import { assert, unreachable } from '../base/assert.ts';
import type { Window } from '../plan/expression.ts';
import type { Aggregate, AggregateFunction } from '../plan/plan.ts';
import { caseOf, finisherOf, kindOf } from './aggregate.ts';
import type { Kernel } from './instance.ts';

/** How values come of what is in a window (Manner in assembly/sweep.ts). */
const MANNERS = ['counted', 'group', 'extreme', 'earliest', 'latest', 'latestSome'] as const;
type Manner = (typeof MANNERS)[number];

/** Longer lists take more room than the rows that they are of. */
const LIST_MAX = 64;

/** Items of a row of a column, at most. */
export function itemsMax({ name, limit }: AggregateFunction): number {
  return name === 'lastN' ? limit! : 0;
}

/** In which manner a function is swept; null where it is not, and each event has to be taken by itself. */
export function mannerOf(fn: AggregateFunction): Manner | null {
  switch (fn.name) {
    case 'count':
      return fn.args.length === 0 ? 'counted' : 'group';
    case 'sum':
    case 'avg':
    case 'varPop':
    case 'varSamp':
    case 'stddevPop':
    case 'stddevSamp':
      return 'group';
    case 'min':
    case 'max':
      // Several, and texts, are ranked.
      return fn.limit === null && fn.args[0]!.type.kind !== 'string' ? 'extreme' : null;
    case 'first':
      return 'earliest';
    case 'last':
      return 'latest';
    case 'lastN':
      return fn.limit! <= LIST_MAX ? 'latestSome' : null;
    default:
      return null;
  }
}

/** A window that aggregates are swept over: its number in the kernel. */
export function addSweptWindow({ exports }: Kernel, window: Window, offsetMs: number): number {
  const { lengthMs, resolutionMs, agoMs, everyMs, isExact } = edgesOf(window);
  return exports.addSweptWindow(lengthMs, resolutionMs, agoMs, everyMs, isExact ? 1 : 0, offsetMs);
}

/** Sweeps an aggregate over a window, for all keys; false where its events are too much out of order for that. */
export function sweep(
  { exports }: Kernel,
  { strand, feed }: { strand: number; feed: number },
  { fn }: Aggregate,
  window: number,
): boolean {
  const manner = mannerOf(fn);
  assert(manner !== null, `${fn.name} is not swept`);
  const how = [MANNERS.indexOf(manner), caseOf(fn), kindOf(fn), finisherOf(fn), fn.limit ?? 0] as const;
  return exports.sweep(strand, feed, window, ...how) === exports.SWEPT.value;
}

/** A length of 0 is the lifetime. */
function edgesOf(window: Window) {
  const none = { lengthMs: 0, resolutionMs: 0, agoMs: 0, everyMs: 0, isExact: false };
  switch (window.kind) {
    case 'lifetime':
      return none;
    case 'exact':
      return { ...none, ...window, isExact: true };
    case 'sliding':
    case 'offset':
    case 'hopping':
      return { ...none, ...window };
    default:
      unreachable(window);
  }
}
