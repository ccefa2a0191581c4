import { isDeepStrictEqual } from 'node:util';
import type { Expression, Window } from '../plan/expression.ts';
import type { Aggregate } from '../plan/plan.ts';
import { keyKindOf } from './key.ts';
import type { Layout } from './layout.ts';
import { registerOf, typeIndex } from './layout.ts';
import type { KeyRegisters } from './partition.ts';
import { addSweptWindow } from './sweep.ts';

/** What windows are swept over (assembly/strand.ts): events that write by one key, and those that read by one. */
export interface Strand {
  index: number;
  identity: string;
  feeds: { index: number; where: number | null; value: number | null }[];
}

/** A read of an aggregate: of which events, by which registers of theirs, and whether they leave themselves out. */
export interface StrandRead {
  aggregate: Aggregate;
  /** The number of the reading type. */
  reader: number;
  keys: KeyRegisters;
  exclusive: boolean;
}

/** The strands of a job; reads that have their sides in common share one, and those of one selection and value a feed. */
export class Strands {
  readonly #strands: Strand[] = [];
  /** Their numbers, by what they are. */
  readonly #windows = new Map<string, number>();

  constructor(private readonly layout: Layout) {}

  /** Before any events are gathered. */
  feedOf(read: StrandRead): { strand: number; feed: number } {
    const { aggregate } = read;
    const type = this.layout.types[typeIndex(this.layout, aggregate.event)]!;
    const strand = this.#strandOf(read);
    const registerFor = (expression: Expression | undefined | null) =>
      expression ? registerOf(type, expression) : null;
    const [argument] = aggregate.fn.args;
    const [where, value] = [registerFor(aggregate.where), registerFor(argument)];
    const known = strand.feeds.find(feed => feed.where === where && feed.value === value);
    if (known) return { strand: strand.index, feed: known.index };
    const isText = argument?.type.kind === 'string' ? 1 : 0;
    const index = this.layout.kernel.exports.addFeed(strand.index, where ?? -1, value ?? -1, isText);
    strand.feeds.push({ index, where, value });
    return { strand: strand.index, feed: index };
  }

  #strandOf({ aggregate, reader, keys, exclusive }: StrandRead): Strand {
    const { exports } = this.layout.kernel;
    const writer = typeIndex(this.layout, aggregate.event);
    const of = this.layout.types[writer]!;
    const written = aggregate.keys.map(key => ({ register: registerOf(of, key), type: key.type }));
    const identity = JSON.stringify([writer, written, reader, keys, exclusive]);
    const known = this.#strands.find(strand => strand.identity === identity);
    if (known) return known;
    const isShared = writer === reader && isDeepStrictEqual(written, keys);
    const index = exports.addStrand(writer, reader, isShared ? 1 : 0, exclusive ? 1 : 0, keys.length);
    for (const [side, registers] of [written, keys].entries())
      for (const [i, { register, type }] of registers.entries())
        exports.setStrandKey(index, side, i, register, keyKindOf(type));
    const strand: Strand = { index, identity, feeds: [] };
    this.#strands.push(strand);
    return strand;
  }

  /** The number of a window over tiles of an offset: the same for all reads over it. */
  windowOf(window: Window, offsetMs: number): number {
    const identity = JSON.stringify([window, offsetMs]);
    const known = this.#windows.get(identity);
    if (known !== undefined) return known;
    const number = addSweptWindow(this.layout.kernel, window, offsetMs);
    this.#windows.set(identity, number);
    return number;
  }

  get windowCount(): number {
    return this.#windows.size;
  }

  /** Before events are gathered: about how many there will be. */
  reserve(count: number): void {
    this.layout.kernel.exports.reserveSteps(count);
  }

  /** Takes the events of a batch that `select` has been through. */
  gather(): void {
    this.layout.kernel.exports.gatherSteps();
  }

  /** Of each strand that there is. */
  get indices(): number[] {
    return this.#strands.map(({ index }) => index);
  }

  /** What they take once they have so many keys more. */
  bytesWith(moreKeys: number): number {
    return this.layout.kernel.exports.strandBytes(moreKeys);
  }

  /** No more events are gathered then. */
  sort(): void {
    for (const { index } of this.#strands) this.layout.kernel.exports.sortStrand(index);
  }
}
