import { Fault } from '../base/fault.ts';
import type { ReadDisk } from './bucket.ts';
import { corrupt } from './corrupt.ts';
import { isMissing } from './disk.ts';
import { firstLines, lineCount, NEWLINE, readBatch, readHeader } from './segment.ts';
import { listSegments, plainPath, segmentChunks } from './segments.ts';
import type { Block } from './source.ts';
import { ByteStream, fileChunks } from './stream.ts';

/** A batch of a segment: its byte in the plain file, and its first record. */
interface Place {
  first: number;
  offset: number;
  position: number;
}

/**
 * Follows a log beside whoever writes to it, stretch by stretch, without a lock: where the last stretch has ended is
 * remembered, so that a segment which grows is not read from its start again.
 */
export class Tail {
  /** Where the next record is, as far as that is known: of a plain file only. */
  #at: Place | null = null;

  constructor(
    private readonly disk: ReadDisk,
    private readonly folder: string,
  ) {}

  /**
   * Records [from, until), all of which have to be durable. Bytes hold until the next ones are asked for.
   *
   * @throws Fault `expired` where the log has lost the first of them, `corrupt`
   */
  async *read(from: number, until: number): AsyncGenerator<Pick<Block, 'bytes' | 'arrivalMicros'>> {
    let isAgain = false;
    for (let position = from; position < until; ) {
      const before = position;
      try {
        for await (const block of this.#segment(await this.#placeOf(position), position, until)) {
          position += lineCount(block.bytes);
          yield block;
        }
      } catch (error) {
        // The plain file has been packed meanwhile.
        if (!isMissing(error) || isAgain) throw error;
        this.#at = null;
      }
      // At the end of a segment the next one is looked for, once.
      if (position === before && isAgain) throw this.#lacks(position);
      isAgain = position === before;
    }
  }

  async #placeOf(position: number): Promise<Place> {
    if (this.#at && this.#at.position <= position) return this.#at;
    const { segments, start } = await listSegments(this.disk, this.folder);
    if (position < start)
      throw new Fault('expired', `record ${position} is the next to be read, and the log begins with ${start}`);
    const segment = segments.findLast(({ first }) => first <= position);
    if (!segment) throw this.#lacks(position);
    return { first: segment.first, offset: 0, position: segment.first };
  }

  async *#segment(
    { first, offset, position: firstPosition }: Place,
    from: number,
    until: number,
  ): AsyncGenerator<Pick<Block, 'bytes' | 'arrivalMicros'>> {
    const { disk, folder } = this;
    const path = plainPath(folder, first);
    const chunks = offset > 0 ? fileChunks(disk, path, Infinity, offset) : segmentChunks(disk, folder, first);
    const stream = new ByteStream(chunks);
    try {
      if (offset === 0 && !(await readHeader(stream, path))) throw corrupt(path, 0, 'no log header');
      for (let position = firstPosition; ; ) {
        this.#at = { first, offset: offset + stream.offset, position };
        if (position >= until) return;
        const next = await readBatch(stream);
        if (next.kind === 'damage') throw corrupt(path, offset + next.offset, next.reason);
        if (next.kind === 'end') {
          this.#at = null;
          return;
        }
        const end = position + next.count;
        if (end > from) {
          const lines = behindLines(next.lines, Math.max(0, from - position));
          const bytes = firstLines(lines, until - Math.max(from, position));
          yield { bytes, arrivalMicros: next.arrivalMicros };
        }
        // The rest of this batch comes with the next stretch.
        if (end > until) return;
        position = end;
      }
    } finally {
      await stream.close();
    }
  }

  #lacks(position: number): Fault {
    return new Fault('corrupt', `${this.folder} lacks record ${position}, which rows have been made of`);
  }
}

function behindLines(lines: Uint8Array, count: number): Uint8Array {
  let start = 0;
  for (let i = 0; i < count; i++) start = lines.indexOf(NEWLINE, start) + 1;
  return lines.subarray(start);
}
