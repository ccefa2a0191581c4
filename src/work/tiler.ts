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
import { lineCount, NEWLINE } from '../source/segment.ts';
import { hasEarlier, noteOf, type Known, type Mark, readNote, withEarlier } from './note.ts';
import type { Watcher } from './watcher.ts';

/** Changes are made by so many bytes at a time: no message is much longer. */
const CHANGES_BYTES = 256 << 10;

/**
 * Positions of events, which break ties: of one partition they are counted from here on. There are no more partitions, and
 * no more events of one, than fit into a number.
 */
const POSITIONS_PER_PARTITION = 2 ** 43;
export const SOURCE_PARTITIONS_MAX = 2 ** 10;

export interface TilerParts {
  /**
   * What is tiled of each event, each plan in a kernel of its own, with as many shards as the changelog has partitions. What is
   * wrong with events is told by the first one, and no aggregate is of two.
   */
  lanes: [Layout, ...Layout[]];
  mark: Mark;
  outbox: Outbox;
  partition: number;
  shards: number;
  topics: { changelog: string; errors: string };
  watcher: Pick<Watcher, 'tiled' | 'bad'>;
  /** What clocks have shown at events before, to those who have counted by other plans than the one that is committed. */
  earlier?: Known['clocks'];
  /** Its events were there before: what is wrong with them was told then, and nobody waits for what they make. */
  isPast?: boolean;
}

/** A plan that events are tiled by. */
interface Lane {
  layout: Layout;
  decoder: Decoder;
}

export class Tiler implements Owner {
  readonly #lanes: Lane[];
  readonly #stages = new Stages();
  readonly #lines = new Growing();
  #next: bigint;
  /** Events before the next one. */
  #count: number;
  /** What is noted with the offset; null where nothing is. */
  #mark: Mark | null;
  /** So are all clocks. */
  readonly #isNoted: boolean;

  /** @param low the first offset that there is, where nobody has been before */
  constructor(
    private readonly parts: TilerParts,
    committed: Progress | null,
    low: bigint,
  ) {
    const { lanes, partition, earlier = new Map() } = parts;
    assert(partition < SOURCE_PARTITIONS_MAX, `partition ${partition} has positions of its own`);
    const known = committed && readNote(committed.note);
    const noted: Known['clocks'] = known?.clocks ?? new Map();
    this.#next = committed?.next ?? low;
    this.#count = known?.count ?? 0;
    this.#mark = known?.mark ?? null;
    this.#isNoted = hasEarlier(noted, earlier);
    const clocks = withEarlier(noted, earlier);
    this.#lanes = lanes.map(layout => {
      resumeClocks(layout, clocks);
      return { layout, decoder: new Decoder(layout.kernel, layout.types) };
    });
  }

  get next(): bigint {
    return this.#next;
  }

  /** As of the next event. */
  get known(): Known {
    // Of a type that several plans have, the first one's clock counts.
    const clocks = new Map(this.#lanes.toReversed().flatMap(({ layout }) => [...typeClocks(layout)]));
    return { count: this.#count, clocks, mark: this.#mark ?? this.parts.mark };
  }

  /**
   * Notes what its events go by from here on, where that is new: nobody who has owned the partition before can send anything
   * after it by what was before. The first note of all is made before anything is taken: from then on there always is one.
   *
   * @throws Lost as `take`
   */
  async takeUp(): Promise<void> {
    const { mark, outbox } = this.parts;
    if (this.#isNoted && this.#mark?.plan === mark.plan && this.#mark.epoch === mark.epoch) return;
    this.#mark = mark;
    await outbox.send([], { next: this.#next, note: this.#note() });
  }

  async take(messages: Message[], next: bigint): Promise<void> {
    const before = this.#count;
    const outgoing: Outgoing[] = [];
    for (let from = 0; from < messages.length; ) {
      // What arrived at one time is decoded together: so it does not matter how a fetch has cut it.
      const { timestampMs } = messages[from]!;
      let to = from + 1;
      while (to < messages.length && messages[to]!.timestampMs === timestampMs) to++;
      this.#decode(messages.slice(from, to), BigInt(timestampMs) * 1000n, outgoing);
      from = to;
    }
    const arrivedMs = this.parts.isPast ? undefined : (messages[0]?.timestampMs ?? 0);
    for (const { layout } of this.#lanes) this.#tile(layout, outgoing, arrivedMs);
    await this.parts.outbox.send(outgoing, { next, note: this.#note() });
    this.#next = next;
    this.parts.watcher.tiled(this.#count - before);
  }

  #note(): string {
    const note = noteOf(this.known);
    if (note.length <= NOTE_MAX_BYTES) return note;
    const count = this.known.clocks.size;
    throw new Fault('unsupported', `the clocks of ${count} event types do not fit into the note of an offset`);
  }

  #decode(messages: Message[], arrivalMicros: bigint, outgoing: Outgoing[]): void {
    const lines = this.#lines;
    lines.length = 0;
    for (const { value } of messages) {
      lines.copy(value, 0, value.length);
      lines.room(1)[lines.length++] = NEWLINE;
    }
    for (const { offset, poison } of messages)
      if (poison && !this.parts.isPast)
        outgoing.push(this.#error({ offset: String(offset), line: null, position: null, ...poison }));
    // What is an event is the same by all plans, and so is their count.
    const counts = this.#lanes.map((lane, i) =>
      this.#decodeIn(lane, messages, arrivalMicros, i === 0 && !this.parts.isPast ? outgoing : null),
    );
    this.#count += counts[0]!;
  }

  /** @param told takes what is wrong; null where nobody is to hear of it. @returns how many events there are */
  #decodeIn({ layout, decoder }: Lane, messages: Message[], arrivalMicros: bigint, told: Outgoing[] | null): number {
    const first = this.parts.partition * POSITIONS_PER_PARTITION + this.#count;
    let count = 0;
    decoder.fill(this.#lines.bytes.subarray(0, this.#lines.length));
    for (let before = 0; decoder.next(first + count, arrivalMicros); before += decoder.lines) {
      gather(layout, this.#stages);
      for (const { line, code, reason, sample } of decoder.rejected())
        told?.push(this.#error({ ...placeOf(messages, before + line), position: null, code, reason, sample }));
      for (const { record, line, type, code, reason, sample } of decoder.bad()) {
        const place = { ...placeOf(messages, before + line), position: this.#count + count + record };
        told?.push(this.#error({ ...place, type, code, reason, sample }));
      }
      count += decoder.count;
    }
    return count;
  }

  #tile(layout: Layout, outgoing: Outgoing[], arrivedMs: number | undefined): void {
    const { shards, topics, isPast } = this.parts;
    for (let isDone = false; !isDone; ) {
      isDone = tilePicked(layout.kernel, CHANGES_BYTES);
      spellChanges(layout.kernel);
      for (let partition = 0; partition < shards; partition++) {
        const value = changes(layout.kernel, partition);
        if (value.length === 0) continue;
        const message = { topic: topics.changelog, partition, value: value.slice() };
        outgoing.push(arrivedMs === undefined ? message : { ...message, arrivedMs });
      }
    }
    for (const { group, count, first } of takeRefused(layout)) {
      if (isPast) continue;
      const type = layout.types[layout.groups[group]!.group.type]!.event.name;
      const position = first.position % POSITIONS_PER_PARTITION;
      const reason = `${count} events came too late for a tile`;
      // The first one has a position; how many messages there were before it is not known any more.
      outgoing.push(this.#error({ offset: null, line: null, position, type, code: 'late', reason, sample: '' }));
    }
  }

  #error(what: TileError): Outgoing {
    this.parts.watcher.bad(what.code);
    const value = new TextEncoder().encode(JSON.stringify({ partition: this.parts.partition, ...what }));
    return { topic: this.parts.topics.errors, partition: 0, value };
  }
}

/** What is wrong with an event, or with what is none: as it is sent to the topic of errors, with its partition. */
export interface TileError {
  /** Of its message, as a text: it may have more digits than a number. */
  offset: string | null;
  /** Of the message, from 1; null where that is none that could be read. */
  line: number | null;
  /** Among the events of the partition; null of what is none. */
  position: number | null;
  type?: string;
  code: string;
  reason: string;
  /** How it begins. */
  sample: string;
}

/** Where the `line`th of all lines of messages stands, from 1: each message ends one. */
function placeOf(messages: Message[], line: number): Pick<TileError, 'offset' | 'line'> {
  let before = 0;
  for (const { offset, value } of messages) {
    const count = lineCount(value) + 1;
    if (line <= before + count) return { offset: String(offset), line: line - before };
    before += count;
  }
  assert(false, `line ${line} is one of ${before}`);
}
