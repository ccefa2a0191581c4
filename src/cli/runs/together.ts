import { assert } from '../../base/assert.ts';
import { typeIndex } from '../../kernel/layout.ts';
import type { Taker } from '../../replay/batches.ts';
import type { ManifestJob } from '../../replay/manifest.ts';
import { Places, PlaceTaker } from '../../replay/places.ts';
import { Sweeper, sweepBytes } from '../../replay/sweep.ts';
import { rowsPathOf } from '../../replay/unfinished.ts';
import type { Block, Source } from '../../source/source.ts';
import { type LaidJob, layJob, named, openOutputs, type Outputs, placeWriters, type Work } from './laid_job.ts';

/** What has become of a job: its columns are there, or it has to be done in another way, or it cannot be. */
export type Outcome = 'made' | 'left' | Error;

/** Can a job take its events as they come, whoever takes them too? */
export function isTaken({ kind, isSwept }: ManifestJob): boolean {
  return kind === 'places' || isSwept;
}

/**
 * Does jobs that read the same events (readingOf in replay/inputs.ts) over one reading of them. What is wrong with one is nothing to the others.
 *
 * @param memoryBytes of all of them: each has a share by what it is to keep
 */
export async function takeTogether(works: Work[], memoryBytes: number): Promise<Outcome[]> {
  const all = works.reduce((sum, work) => sum + keptBytes(work), 0);
  const opened = new Map<Work, Taking>();
  for (const work of works.filter(({ job }) => job.isSwept))
    opened.set(work, await Taking.open(work, (memoryBytes * keptBytes(work)) / all));
  for (const work of works.filter(({ job }) => !job.isSwept))
    opened.set(work, watching(work, [...opened.values()]) ?? (await Taking.open(work, 0)));
  const takings = works.map(work => opened.get(work)!);
  const isOpen = ({ outcome }: Taking) => outcome === null;
  try {
    await readOnce(takings);
    for (const taking of takings.filter(isOpen)) taking.finish();
  } catch (error) {
    // The events cannot be read, by nobody.
    for (const taking of takings.filter(isOpen)) taking.end(error as Error);
  }
  return takings.map(({ outcome }) => outcome!);
}

/** About what it would keep if it had room for all of it. */
function keptBytes({ manifest, job }: Work): number {
  return job.isSwept ? sweepBytes(job.columns.length, manifest.rows[job.event]!) : 0;
}

/** Places of the events that another one decodes in any case, who takes all of them; null where there is none. */
function watching(work: Work, others: Taking[]): Taking | null {
  const { event } = work.job;
  const other = others.find(one => one.outcome === null && one.decodes(event));
  return other ? Taking.watch(work, other) : null;
}

async function readOnce(takings: Taking[]): Promise<void> {
  let open = takings.filter(({ outcome, isWatching }) => outcome === null && !isWatching);
  const [first] = open;
  if (!first) return;
  for await (const lines of first.source.read(0)) {
    for (const taking of open) taking.take(lines);
    open = open.filter(({ outcome }) => outcome === null);
    if (open.length === 0) return;
  }
}

/** A job under way. */
class Taking {
  outcome: Outcome | null = null;
  /** It takes what another one decodes. */
  isWatching = false;
  #watchedBy: Taking | null = null;
  #laid: LaidJob | null = null;
  #outputs: Outputs | null = null;
  #taker: { finish(): boolean; close(): void } | null = null;
  #reader: Taker | null = null;

  static async open(work: Work, memoryBytes: number): Promise<Taking> {
    const taking = new Taking();
    try {
      const laid = await layJob(work);
      taking.#laid = taking.#outputs = laid;
      const taker = takerOf(laid, memoryBytes);
      taking.#taker = taking.#reader = taker;
      if (!taker) taking.end('left');
    } catch (error) {
      taking.end(error as Error);
    }
    return taking;
  }

  /** Beside another one, in its kernel. */
  static watch(work: Work, other: Taking): Taking {
    const taking = new Taking();
    taking.isWatching = true;
    try {
      const { manifest, job } = work;
      const { layout } = other.#laid!.parts;
      const outputs = openOutputs(work, manifest.rows[job.event]!);
      taking.#outputs = outputs;
      const places = new Places(layout.kernel, typeIndex(layout, job.event), placeWriters(outputs));
      taking.#taker = places;
      (other.#taker as Sweeper).watch = decoder => taking.#try(() => places.add(decoder));
      other.#watchedBy = taking;
    } catch (error) {
      taking.end(error as Error);
    }
    return taking;
  }

  /** Does it decode all events of a type, and has nobody who watches it? */
  decodes(event: string): boolean {
    const { job } = this.#laid!.work;
    return this.#taker instanceof Sweeper && job.event === event && this.#watchedBy === null;
  }

  get source(): Source {
    assert(this.#laid, 'a job under way has events');
    return this.#laid.source;
  }

  take(lines: Block): void {
    this.#try(() => this.#reader!.take(lines));
    // Who watched has not seen all of them: it is done by itself.
    if (this.outcome !== null) this.#watchedBy?.end('left');
  }

  finish(): void {
    this.#try(() => {
      const isMade = this.#taker!.finish();
      if (isMade) this.#outputs!.finish();
      this.end(isMade ? 'made' : 'left');
    });
  }

  /** Gives back what it holds. */
  end(outcome: Outcome): void {
    if (this.outcome !== null) return;
    this.outcome = outcome;
    this.#taker?.close();
    this.#outputs?.close();
    this.#laid = this.#outputs = this.#taker = this.#reader = null;
  }

  #try(step: () => void): void {
    if (this.outcome !== null) return;
    try {
      step();
    } catch (error) {
      this.end(error as Error);
    }
  }
}

/** Null where it has to go event by event. */
function takerOf(laid: LaidJob, memoryBytes: number) {
  const { parts, work, from, to } = laid;
  const { layout, event } = parts;
  const { folder, manifest, job } = work;
  if (job.isSwept) {
    const events = job.reads.reduce((sum, type) => sum + manifest.rows[type]!, 0);
    const path = rowsPathOf(folder, job.number);
    return new Sweeper({ ...parts, outputs: named(laid), rows: to - from, events, memoryBytes, path });
  }
  // What an upsert takes back decides whether it is a row: its last rows have to be kept.
  if (layout.keepsLastRows) return null;
  return new PlaceTaker({ layout, event, fold: null, writers: placeWriters(laid) });
}
