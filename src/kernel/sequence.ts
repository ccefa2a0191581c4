import { assert, unreachable } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { entityOf } from '../plan/layers.ts';
import type { Aggregate } from '../plan/plan.ts';
import type { Fold } from './fold.ts';
import { holdRows, type ReadRanges } from './hold.ts';
import { keyKindOf } from './key.ts';
import type { AnswerLayout, EventReadLayout, Layout } from './layout.ts';
import { runsAlong } from './running.ts';
import { gapsOf } from './cover.ts';
import { layWindows, loadMembers, type MemberCell } from './answer.ts';

/** What texts of reads may come to before those who have read have to be asked for their features. */
const TEXT_BYTES_MAX = 32 << 20;

/** Tells the kernel what each record of a type does, step by step, in the order of its layers. */
export function laySteps(layout: Layout, type: number): void {
  const { kernel, types, groups } = layout;
  const { exports } = kernel;
  const { reads, laterPrograms } = types[type]!;
  const written = groups.filter(({ group }) => group.type === type && group.layer !== null);
  const layers = [...reads.map(({ layer }) => layer), ...written.map(({ group }) => group.layer!)];
  for (let layer = 0; layer <= Math.max(laterPrograms.length, ...layers); layer++) {
    const program = laterPrograms[layer - 1];
    if (program) exports.addColumnsStep(type, program);
    const here = reads.filter(read => read.layer === layer);
    layReads(
      layout,
      type,
      here.filter(({ read }) => read.exclusive),
    );
    for (const { index, group } of written) if (group.layer === layer) exports.addWriteStep(type, index);
    layReads(
      layout,
      type,
      here.filter(({ read }) => !read.exclusive),
    );
  }
}

/** A read and what it reads. */
type Reader = EventReadLayout & { aggregate: Aggregate };

/** Reads that have their key and their bound in common are made together, but those that run along with rows by themselves. */
function layReads(layout: Layout, type: number, reads: EventReadLayout[]): void {
  const aggregateOf = (name: string) => layout.plan.aggregates.find(one => one.name === name)!;
  const readers = reads.map((one): Reader => ({ ...one, aggregate: aggregateOf(one.read.aggregate) }));
  const alike = Map.groupBy(readers, reader =>
    JSON.stringify([
      entityOf(reader.aggregate),
      reader.keys,
      reader.after,
      runsAlong(layout.kernel, reader, reader.aggregate),
    ]),
  );
  for (const of of alike.values()) layRead(layout, type, of);
}

function layRead(layout: Layout, type: number, reads: Reader[]): void {
  const { exports } = layout.kernel;
  const [first] = reads as [Reader];
  const entity = entityOf(first.aggregate);
  const entityId = layout.ids.entities.get(entity)!;
  const { windows, members, cells } = layWindows(layout, reads);
  const index = exports.addEventAnswer(entityId, type, windows.length, members.length);
  const answer: AnswerLayout = {
    ...{ index, entity, entityId, frame: layout.types[type]!.frame, program: null, windows, members },
    ...{ reads: [], features: new Map() },
  };
  loadMembers(
    layout,
    answer,
    cells.map((cell, i): MemberCell => ({ ...cell, register: reads[i]!.register })),
  );
  exports.bindEvent(index, type, first.keys.length);
  for (const [i, key] of first.keys.entries())
    exports.setEventKey(index, i, key, keyKindOf(first.aggregate.keys[i]!.type));
  if (first.after !== null) exports.setAfter(index, first.after);
  if (runsAlong(layout.kernel, first, first.aggregate)) exports.setRuns(index);
  layout.eventAnswers.set(index, answer);
  exports.addReadStep(type, index);
  for (const { register, fault } of reads) if (fault !== null) exports.addFaultStep(type, register, fault);
}

/**
 * Takes records [from, to) of a batch that `select` has been through, one after the other: each writes what it is to write,
 * and what it reads stands in the registers of its type's frame.
 *
 * @param readRanges of the store behind memory; null where memory holds every row
 * @param stateBytesMax rows may take: beyond it the run ends early
 * @returns the record that it has come to; the texts of all before it are to be read, and `forgetTexts` called, before the next run
 */
export function sequence(
  layout: Layout,
  fold: Fold,
  readRanges: ReadRanges | null,
  from: number,
  to: number,
  stateBytesMax = Number.POSITIVE_INFINITY,
): number {
  const { exports } = layout.kernel;
  exports.beginSequence(from);
  for (;;) {
    const outcome = exports.runSequence(to, fold.isComplete ? 0 : 1, stateBytesMax, TEXT_BYTES_MAX);
    switch (outcome) {
      case exports.SEQUENCE_DONE.value:
      case exports.SEQUENCE_FULL.value:
        return exports.sequenceRecord.value;
      case exports.SEQUENCE_WANTS_CHANGED.value:
        fold.loadListed();
        break;
      case exports.SEQUENCE_WANTS_READ.value:
        assert(readRanges, 'memory that lacks rows has a store behind it');
        holdRead(layout, fold, readRanges);
        break;
      case exports.SEQUENCE_UNKNOWN_CASE.value:
        throw new Fault(
          'unsupported',
          'a row holds an aggregate that this version does not know: use a newer tilefold',
        );
      case exports.SEQUENCE_MALFORMED.value:
        throw new Fault('corrupt', 'a stored row is not in canonical form, or belongs to other definitions');
      default:
        unreachable(outcome as never);
    }
  }
}

/** Brings into memory what it lacks of the key that an event reads. */
function holdRead(layout: Layout, fold: Fold, readRanges: ReadRanges): void {
  const { kernel, eventAnswers } = layout;
  const { exports } = kernel;
  const answer = eventAnswers.get(exports.sequenceAnswer.value)!;
  const key = kernel.bytes(exports.recordKeyStart(), exports.recordKeyLength()).slice();
  const ranges = gapsOf(kernel, answer);
  const place = { bytes: key, start: kernel.put(key) };
  fold.timeReadBack(() =>
    holdRows(kernel, answer.entityId, place, ranges, take => readRanges(answer.entityId, key, ranges, take)),
  );
  exports.release(place.start, key.length);
}
