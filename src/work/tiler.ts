/**
 * The tile stage of one partition of events, by whoever owns it:
 *
 *   messages -> lines -> decode -> select -> tile -> one message for each partition of the changelog that has changes
 *
 * Those, what is wrong with events, and how far that comes go out in one transaction, and what has to be known of the
 * events before is the note of its offset: nothing else is kept anywhere, and a process that takes over begins with that.
 */
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { Growing } from '../base/growing.ts';
import { Stages } from '../base/stages.ts';
import { gather } from '../ingest/advance.ts';
import { changes, spellChanges } from '../kernel/change.ts';
import { resumeClocks, typeClocks } from '../kernel/clock.ts';
import type { Layout } from '../kernel/layout.ts';
import { takeRefused } from '../kernel/late.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { tilePicked } from '../kernel/tile.ts';
import {
  type Message,
  NOTE_MAX_BYTES,
  type Outbox,
  type Outgoing,
  type Owner,
  type Progress,
} from '../source/partition.ts';
import { noteOf, type Known, readNote } from './note.ts';

/** Changes are made by so many bytes at a time: no message is much longer. */
const CHANGES_BYTES = 256 << 10;

/**
 * Positions of events, which break ties: of one partition they are counted from here on. There are no more partitions, and
 * no more events of one, than fit into a number.
 */
const POSITIONS_PER_PARTITION = 2 ** 43;
export const SOURCE_PARTITIONS_MAX = 2 ** 10;

const NEWLINE = 10;

export interface TilerParts {
  /** In a kernel of its own, with as many shards as the changelog has partitions. */
  layout: Layout;
  outbox: Outbox;
  partition: number;
  shards: number;
  topics: { changelog: string; errors: string };
}

export class Tiler implements Owner {
  readonly #decoder: Decoder;
  readonly #stages = new Stages();
  readonly #lines = new Growing();
  #next: bigint;
  /** Events before the next one. */
  #count: number;

  /** @param low the first offset that there is, where nobody has been before */
  constructor(
    private readonly parts: TilerParts,
    committed: Progress | null,
    low: bigint,
  ) {
    const { layout, partition } = parts;
    assert(partition < SOURCE_PARTITIONS_MAX, `partition ${partition} has positions of its own`);
    const known: Known = committed ? readNote(committed.note) : { count: 0, clocks: new Map() };
    this.#next = committed?.next ?? low;
    this.#count = known.count;
    resumeClocks(layout, known.clocks);
    this.#decoder = new Decoder(layout.kernel, layout.types);
  }

  get next(): bigint {
    return this.#next;
  }

  async take(messages: Message[], next: bigint): Promise<void> {
    const outgoing: Outgoing[] = [];
    for (let from = 0; from < messages.length; ) {
      // What arrived at one time is decoded together: so it does not matter how a fetch has cut it.
      const { timestampMs } = messages[from]!;
      let to = from + 1;
      while (to < messages.length && messages[to]!.timestampMs === timestampMs) to++;
      this.#decode(messages.slice(from, to), BigInt(timestampMs) * 1000n, outgoing);
      from = to;
    }
    this.#tile(outgoing);
    const note = noteOf({ count: this.#count, clocks: typeClocks(this.parts.layout) });
    if (note.length > NOTE_MAX_BYTES)
      throw new Fault(
        'unsupported',
        `the clocks of ${this.parts.layout.types.length} event types do not fit into the note of an offset`,
      );
    await this.parts.outbox.send(outgoing, { next, note });
    this.#next = next;
  }

  #decode(messages: Message[], arrivalMicros: bigint, outgoing: Outgoing[]): void {
    const { layout, partition } = this.parts;
    const lines = this.#lines;
    lines.length = 0;
    for (const { value } of messages) {
      lines.copy(value, 0, value.length);
      lines.room(1)[lines.length++] = NEWLINE;
    }
    this.#decoder.fill(lines.bytes.subarray(0, lines.length));
    for (;;) {
      const position = partition * POSITIONS_PER_PARTITION + this.#count;
      if (!this.#decoder.next(position, arrivalMicros)) break;
      gather(layout, this.#stages);
      for (const { code, reason, sample } of this.#decoder.rejected())
        outgoing.push(this.#error({ position: null, code, reason, sample }));
      for (const { record, type, code, reason, sample } of this.#decoder.bad())
        outgoing.push(this.#error({ position: this.#count + record, type, code, reason, sample }));
      this.#count += this.#decoder.count;
    }
  }

  #tile(outgoing: Outgoing[]): void {
    const { layout, shards, topics } = this.parts;
    for (let isDone = false; !isDone; ) {
      isDone = tilePicked(layout.kernel, CHANGES_BYTES);
      spellChanges(layout.kernel);
      for (let partition = 0; partition < shards; partition++) {
        const value = changes(layout.kernel, partition);
        if (value.length > 0) outgoing.push({ topic: topics.changelog, partition, value: value.slice() });
      }
    }
    for (const { group, count, first } of takeRefused(layout)) {
      const type = layout.types[layout.groups[group]!.group.type]!.event.name;
      const position = first.position % POSITIONS_PER_PARTITION;
      outgoing.push(
        this.#error({ position, type, code: 'late', reason: `${count} events came too late for a tile`, sample: '' }),
      );
    }
  }

  #error(what: { position: number | null; type?: string; code: string; reason: string; sample: string }): Outgoing {
    const value = new TextEncoder().encode(JSON.stringify({ partition: this.parts.partition, ...what }));
    return { topic: this.parts.topics.errors, partition: 0, value };
  }
}
