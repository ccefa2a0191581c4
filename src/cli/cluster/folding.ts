/** A process's part in folding: one changelog after the other, as the course of the cluster goes. */
import type { WorkState } from '../../base/work_metrics.ts';
import { loadKernel } from '../../kernel/instance.ts';
import { leftBehind, type Member } from '../../source/group.ts';
import type { Broker } from '../../source/kafka.ts';
import type { Agreement } from '../../store/agreed.ts';
import type { Course, CourseEpoch } from '../../work/course.ts';
import { Folder } from '../../work/folder.ts';
import { foldedNote } from '../../work/note.ts';
import type { FoldedRows } from '../../work/patient.ts';
import { changelogName, foldGroup } from './cluster.ts';
import type { Config, KafkaConfig } from '../config.ts';
import type { WorkSurroundings } from './cluster.ts';

/** Each partition has its own share of the memory for rows. */
const FOLD_MIN_BYTES = 1 << 20;

export interface FoldingParts {
  kafka: KafkaConfig;
  fold: Config['fold'];
  broker: Broker;
  rows: FoldedRows;
  agreement: Pick<Agreement, 'reach'>;
}

export interface Folding {
  member(): Member;
  sizes(): Pick<WorkState, 'rowsDirty' | 'foldBytes'>;
  /** Goes on with the changelog that is in force, and says of the one that is to end which partitions are drained. */
  follow(course: Course, isLast: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

export async function openFolding(parts: FoldingParts, first: CourseEpoch, around: WorkSurroundings): Promise<Folding> {
  let epoch = await openEpoch(parts, first, around);
  return {
    member: () => epoch.member,
    sizes: () => epoch.sizes(),
    async follow(course, isLast) {
      if (course.epoch.number !== epoch.number) {
        await epoch.close();
        epoch = await openEpoch(parts, course.epoch, around);
      } else if (course.comingEpoch && (await isLast())) await epoch.tellDrained();
    },
    close: () => epoch.close(),
  };
}

interface Epoch extends Pick<Folding, 'sizes' | 'close'> {
  number: number;
  member: Member;
  /** Where nothing will be sent to it any more: says of each partition whose changes are in rows that it is so. */
  tellDrained(): Promise<void>;
}

async function openEpoch(
  { kafka, fold: { memoryBytes, barrierMs }, broker, rows, agreement }: FoldingParts,
  epoch: CourseEpoch,
  around: WorkSurroundings,
): Promise<Epoch> {
  const [group, topic] = [foldGroup(kafka, epoch.number), changelogName(kafka, epoch.number)];
  const folders = new Map<number, Folder>();
  const share = Math.max(FOLD_MIN_BYTES, Math.floor(memoryBytes / epoch.partitions));
  const member: Member = await broker.join({
    ...{ group, topic, ...around, onLost: () => around.watcher.lost() },
    dealt(now) {
      for (const partition of folders.keys()) if (!now.includes(partition)) folders.delete(partition);
    },
    async own({ partition, low, committed }) {
      const known = folders.get(partition);
      if (known) return known;
      const progress = await committed();
      if (low > (progress?.next ?? 0n)) throw leftBehind(topic, partition, progress?.next ?? 0n);
      const commit: Member['commit'] = (...of) => member.commit(...of);
      const kernel = await loadKernel();
      const parts = { kernel, rows, epoch, memoryBytes: share, watcher: around.watcher, nowMs: Date.now };
      const folder = new Folder({ ...parts, commit: one => commit(partition, one) }, progress);
      folders.set(partition, folder);
      return folder;
    },
  });
  const flushAll = () => Promise.all([...folders.values()].map(folder => folder.flush()));
  let flushing: Promise<unknown> | null = null;
  const timer = setInterval(() => {
    flushing ??= flushAll()
      .catch(around.onFailure)
      .finally(() => {
        flushing = null;
      });
  }, barrierMs);
  return {
    ...{ number: epoch.number, member },
    sizes: () => ({ rowsDirty: sumOf(folders, 'dirtyCount'), foldBytes: sumOf(folders, 'stateBytes') }),
    async tellDrained() {
      const done = [...(await member.lags())].flatMap(([partition, lag]) => (lag === 0 ? [partition] : []));
      await flushAll();
      const committed = await broker.committed(group, topic);
      for (const partition of done) {
        const progress = committed.get(partition);
        const folder = folders.get(partition);
        if (folder && (progress?.next ?? 0n) < folder.next) continue;
        await agreement.reach('drained', epoch.number, partition, progress?.note ?? foldedNote(epoch));
      }
    },
    async close() {
      clearInterval(timer);
      await flushing;
      await flushAll();
      await member.stop();
    },
  };
}

function sumOf(folders: Map<number, Folder>, what: 'dirtyCount' | 'stateBytes'): number {
  return [...folders.values()].reduce((sum, folder) => sum + folder[what], 0);
}
