import { Fault } from '../base/fault.ts';
import { composeLabels } from './alone/retelling.ts';
import { writeFrame } from './frame/frame_file.ts';
import type { FrameBatch } from './frame/frame.ts';
import { LabelFile, labelFrame, type LabelNames, type LabelRow, labelShapes, labelSubjects } from './labels.ts';
import type { RowsWork } from './replay_events.ts';

export interface LabelOptions extends LabelNames {
  labels: string;
  out: string;
}

/** What labels have no time, and are left out. */
export type Unread = Pick<LabelFile, 'rejected' | 'firstRejected'>;

/** `--labels`: a row for each label instead of one for each event. */
export async function labelRows(work: RowsWork, options: LabelOptions): Promise<Unread> {
  const { labels: path, out } = options;
  const file = await LabelFile.read(path, options, out);
  try {
    if (file.count === 0)
      throw new Fault('media_type', `no row of ${path} has a time: ${file.firstRejected ?? 'it has none'}`);
    await writeLabels(work, file, options);
    return file;
  } finally {
    await file.close();
  }
}

async function writeLabels(work: RowsWork, file: LabelFile, names: LabelNames) {
  const { plan, source, rows, makeFrame, out, wrong, progress, stages } = work;
  const { layout, run, close } = await composeLabels<LabelRow>(plan, rows, source.clock);
  try {
    const subjects = labelSubjects(layout, file, names);
    const frame = makeFrame(labelShapes(file, subjects));
    const batches = run({ source, asked: subjects.asked, labels: file.rows(subjects, plan), ...wrong.hears });
    const frames = async function* (): AsyncGenerator<FrameBatch> {
      for await (const batch of batches) {
        yield labelFrame(file, batch);
        progress.count(batch.labels.length, batch.records);
      }
    };
    await writeFrame(out, frame, frames(), stages);
  } finally {
    close();
  }
}
