import type { Stages } from '../base/stages.ts';
import type { Plan } from '../plan/plan.ts';
import type { Replay } from '../replay/replay.ts';
import type { Spill } from '../replay/spill.ts';
import { batchWithin, type Stretch } from '../replay/within.ts';
import type { Source } from '../source/source.ts';
import { composeReplay } from './alone/retelling.ts';
import { writeFrame } from './frame/frame_file.ts';
import { type FrameBatch, type FrameMaker, replayFrame, replayShapes } from './frame/frame.ts';
import type { Progress } from './progress.ts';
import type { WholeFile } from './frame/whole.ts';
import { noEvents, type Wrong } from './wrong.ts';

/** What the rows of a replay are made from and written with, whether they are of events or of labels. */
export interface RowsWork {
  plan: Plan;
  source: Source;
  /** What rows may occupy in memory, and where those go that have no room there. */
  rows: { memoryBytes: number; path: string };
  makeFrame: FrameMaker;
  out: WholeFile;
  wrong: Wrong;
  progress: Progress;
  stages: Stages;
}

/** A row for each event: its features as of itself. */
export async function eventRows(work: RowsWork, stretch: Stretch): Promise<{ spill: Spill }> {
  const { plan, source, rows, makeFrame, out, wrong, stages } = work;
  const replayed = await composeReplay(plan, source, rows, { ...wrong.hears, stages });
  try {
    await writeFrame(out, makeFrame(replayShapes(replayed.columns)), framesOf(replayed, stretch, work), stages);
  } finally {
    replayed.close();
  }
  if (wrong.first && replayed.records() === 0) throw noEvents(wrong.first, wrong.rejected);
  return replayed;
}

async function* framesOf(
  { batches, records }: Replay,
  stretch: Stretch,
  { wrong, progress }: RowsWork,
): AsyncGenerator<FrameBatch> {
  for await (const whole of batches) {
    const batch = batchWithin(whole, stretch);
    wrong.features(batch.errors);
    yield replayFrame(batch);
    progress.count(batch.count, records());
  }
}
