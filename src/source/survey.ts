import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { Corrupt, corrupt } from './corrupt.ts';
import type { ReadDisk } from './bucket.ts';
import type { SegmentHeader } from './segment.ts';
import type { SegmentFiles, Summary } from './segments.ts';
import { examineSegment, listSegments, segmentName, shownPath, summaryOf } from './segments.ts';
import type { Clock } from './source.ts';

export interface SurveyedSegment extends SegmentFiles {
  file: string;
  /** Null in a segment without whole batches. */
  summary: Summary | null;
  clock: Clock | null;
  damages: Corrupt[];
  /** Where a write begins that is under way, or was left: the next process that opens the log cuts it off. */
  tornBytes: number | null;
}

/**
 * Segment after segment of a log's folder, without a lock and without mending anything.
 *
 * @param depth `all` reads and checks every byte of every segment; `summary` believes what closed segments say of
 *   themselves where they do
 */
export async function* surveyLog(
  disk: ReadDisk,
  folder: string,
  depth: 'all' | 'summary',
): AsyncGenerator<SurveyedSegment> {
  const { segments, start } = await listSegments(disk, folder);
  if (segments.length === 0) throw new Fault('not_found', `${folder} holds no event log`);
  let before: { segment: SegmentFiles; header: SegmentHeader | null; end: number | null } | null = null;
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    const isClosed = segment.hasPacked || segment.isUploaded;
    const isTold = depth === 'summary' && isClosed && !segment.hasPlain;
    const file = shownPath(folder, segment);
    const examined = isTold
      ? { header: null, summary: await summaryOf(disk, folder, segment), damage: null, tornBytes: null }
      : await examineSegment(disk, folder, segment, isLast && segment.hasPlain ? 'torn' : 'whole');
    const { header, summary, damage, tornBytes } = examined;
    const damages = damage ? [damage] : [];
    // What the first one follows has left the log, where that does not begin at 0.
    const previous = before ? before.segment.first : start > 0 ? (header?.previous ?? null) : null;
    if (header) damages.push(...headerDamages(file, header, segment.first, previous));
    if (!before && start > 0 && segment.first !== start) damages.push(beginsLate(folder, segment.first, start));
    if (header && before?.header) damages.push(...clockDamages(file, header, before.header));
    if (before && before.end !== null && before.end !== segment.first)
      damages.push(new Corrupt(file, 0, `${file} begins with record ${segment.first}, and ${before.end} is missing`));
    if (depth === 'all' && isClosed && !damage && summary)
      damages.push(...(await lies(disk, folder, segment, summary)));
    yield { ...segment, file, summary, clock: header?.clock ?? null, damages, tornBytes };
    before = { segment, header, end: damage ? null : segment.first + (summary?.records ?? 0) };
  }
}

/** The first segments are gone, and nobody has said that the log begins behind them. */
export function beginsLate(folder: string, first: number, start: number): Corrupt {
  const wanted = segmentName(start);
  return new Corrupt(
    join(folder, wanted),
    0,
    `${segmentName(first)} is the first segment of ${folder}, and ${wanted} is missing`,
  );
}

function headerDamages(file: string, header: SegmentHeader, first: number, previous: number | null): Corrupt[] {
  const damages: Corrupt[] = [];
  if (header.first !== first) damages.push(corrupt(file, 0, `the header of the segment from record ${header.first}`));
  if (header.previous !== previous) {
    const [wanted, found] = [header.previous, previous].map(at => (at === null ? 'no segment' : segmentName(at)));
    damages.push(new Corrupt(file, 0, `${file} follows ${wanted}, but ${found} is before it`));
  }
  return damages;
}

function clockDamages(file: string, header: SegmentHeader, before: SegmentHeader): Corrupt[] {
  const isSame = header.clock.kind === before.clock.kind && header.clock.maxJumpMs === before.clock.maxJumpMs;
  return isSame ? [] : [new Corrupt(file, 0, `${file} has another clock than the segment before it`)];
}

/** Does a packed segment hold what it says, or what is noted of it? */
async function lies(disk: ReadDisk, folder: string, segment: SegmentFiles, found: Summary): Promise<Corrupt[]> {
  const packed = { ...segment, hasPlain: false };
  try {
    const told = await summaryOf(disk, folder, packed);
    const isSame = Object.entries(found).every(([name, value]) => told[name as keyof Summary] === value);
    return isSame ? [] : [corrupt(shownPath(folder, packed), 0, 'a summary of something else')];
  } catch (error) {
    if (error instanceof Corrupt) return [error];
    throw error;
  }
}
