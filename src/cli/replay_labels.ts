import { Fault } from '../base/fault.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../source/source.ts';
import { composeLabels } from './compose.ts';
import type { FrameMaker } from './frame.ts';
import { LabelFile, labelFrame, type LabelNames, type LabelRow, labelShapes, labelSubjects } from './labels.ts';
import { inOrder, recordedSource, type SourceOptions } from './replay_source.ts';
import { writing } from './wrong.ts';

export interface LabelOptions extends SourceOptions, LabelNames {
  labels: string;
  start?: bigint;
  end?: bigint;
  errors?: string;
  json?: true;
}

/** `--labels`: a row for each label instead of one for each event. */
export async function replayLabels(
  options: LabelOptions,
  makeFrame: FrameMaker,
  plan: Plan,
  clock: Clock,
  memoryBytes: number,
): Promise<void> {
  if (options.start !== undefined || options.end !== undefined)
    throw new Fault('config', '--start and --end limit rows of events: which labels there are, their file says');
  const recorded = await recordedSource(options, clock);
  const startMs = performance.now();
  const everything = { startMicros: null, endMicros: null };
  const { wrong, replayed: file } = await writing(options, everything, async (out, wrong) => {
    const source = inOrder(recorded.source, options, wrong);
    const file = await LabelFile.read(options.labels, options, options.out);
    try {
      if (file.count === 0)
        throw new Fault('media_type', `no row of ${options.labels} has a time: ${file.firstRejected ?? 'it has none'}`);
      const rows = { memoryBytes, path: `${options.out}.rows` };
      const { layout, run, close } = await composeLabels<LabelRow>(plan, rows, source.clock);
      try {
        const subjects = labelSubjects(layout, file, options);
        const frame = makeFrame(labelShapes(file, subjects));
        const labels = file.rows(subjects, plan);
        for await (const batch of run({ source, asked: subjects.asked, labels, ...wrong.hears }))
          await out.write(frame.batch(labelFrame(file, batch)));
        await out.write(frame.end());
      } finally {
        close();
      }
      return file;
    } finally {
      await file.close();
    }
  });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const { count, rejected: unread, firstRejected } = file;
  if (unread > 0)
    console.error(`replay: ${unread} labels have no time and are left out, the first being ${firstRejected}`);
  wrong.tell(options.errors);
  const { errors, rejected } = wrong.json();
  const told = { labels: count, labels_rejected: unread, errors, rejected, seconds: Number(seconds), out: options.out };
  if (options.json) console.log(JSON.stringify(told));
  else console.error(`${count} labels in ${seconds} s, written to ${options.out}`);
}
