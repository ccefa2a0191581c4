/** Values in an order, by their states: merged in any grouping, held against lists of JavaScript, and damaged. */
import { describe, expect, test } from 'bun:test';
import { create } from '@bufbuild/protobuf';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { FeatureValueSchema } from '../../src/gen/tilefold/v1/row_pb.ts';
import { Random } from '../sim/random.ts';
import { cellOf, NO_CELL, type Ranked, RANKINGS, type RankingCase, rankingOf } from './naive_ranking.ts';
import { changeBatch, onlyRow, row, type State } from './rows.ts';

const fold = new Fold(await loadKernel(), () => null);

/** The row that these become, folded one after the other. */
function merged(...rows: Uint8Array[]): Uint8Array {
  fold.settle();
  fold.evict(0);
  for (const one of rows) fold.apply(changeBatch([{}, one]));
  return onlyRow(fold);
}

function stateOf(of: RankingCase, limit: number, entries: Ranked[]): State {
  return { case: of, value: rankingOf(of, limit, entries) } as State;
}

function rowOf(of: RankingCase, limit: number, entries: Ranked[]): Uint8Array {
  return row([1, stateOf(of, limit, entries)]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Of few values and few moments, so that there are many twins; texts begin alike, and some are cut. */
function randomCell(kind: number, rng: Random) {
  if (kind === 0) return cellOf(rng.pick([BigInt(rng.below(9)) - 4n, 2n ** 63n - 1n, -(2n ** 63n)]));
  if (kind === 1) return cellOf(rng.pick([rng.below(5) / 2, -0, 0, Number.NaN, Infinity, -1e-320]));
  const long = 'x'.repeat(1022);
  return cellOf(
    rng.pick(['', 'a', 'ab', 'größe', long, `${long}x`, `${long}xy`, `${long}é`, `${long}xyz`, `${long}xé`]),
  );
}

function randomEntries(of: RankingCase, count: number, kinds: [number, number], rng: Random): Ranked[] {
  const isRanked = of === 'argMax' || of === 'argMin';
  return Array.from({ length: count }, (_, i) => ({
    ...{ time: BigInt(rng.below(6)) * 1000n - 2000n, position: BigInt(i) },
    ...{ value: randomCell(kinds[0], rng), rank: isRanked ? randomCell(kinds[1], rng) : NO_CELL },
  }));
}

describe.each(RANKINGS)('%s', of => {
  const seed = 1;

  test(`merges in any grouping to one state (seed ${seed})`, () => {
    const rng = new Random(seed);
    let over = 0;
    for (let round = 0; round < 150; round++) {
      const limit = rng.pick([1, 2, 7, 40, 1000]);
      const entries = randomEntries(of, rng.below(rng.pick([4, 30, 90])), [round % 3, rng.below(3)], rng);
      // Values of one event are in one part: only states of moments can tell that it is the same.
      const parts = [0, 1, 2, 3].map(part => entries.filter((_, i) => (i * 7 + round) % 4 === part));
      const [a, b, c, d] = parts.map(part => rowOf(of, limit, part)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const wanted = rowOf(of, limit, entries);
      const grouped = [
        merged(a, b, c, d),
        merged(d, c, b, a),
        merged(merged(a, b), merged(c, d)),
        merged(b, merged(d, merged(a, c))),
      ];
      expect([round, ...grouped.map(hex)]).toEqual([round, ...grouped.map(() => hex(wanted))]);
      if (rankingOf(of, limit, entries).over) over++;
    }
    expect(over > 10).toBe(of === 'list' || of === 'set');
  });

  test('a state of a thousand, and more', () => {
    const rng = new Random(seed);
    const entries = randomEntries(of, 2600, [0, 0], rng).map((one, i) => ({
      ...one,
      value: cellOf(BigInt((i * 7919) % 999)),
    }));
    const parts = [0, 1, 2].map(part =>
      rowOf(
        of,
        1000,
        entries.filter((_, i) => i % 3 === part),
      ),
    );
    expect(hex(merged(...parts))).toBe(hex(rowOf(of, 1000, entries)));
  });
});

/** A row of one ranking with these fields. */
function bodyOf(of: RankingCase, ...bytes: number[]): Uint8Array {
  const number = FeatureValueSchema.oneofs[0]!.fields.find(({ localName }) => localName === of)!.number;
  const tag = [((number << 3) & 0x7f) | 0x82, number >> 4];
  const value = [...tag, bytes.length, ...bytes];
  return Uint8Array.from([0x0a, value.length + 4, 0x08, 1, 0x12, value.length, ...value]);
}

describe('malformed', () => {
  const times = [0x1a, 2, 10, 0];
  const positions = [0x22, 2, 2, 2];
  const cases: [string, RankingCase, number[]][] = [
    ['nothing', 'firstN', []],
    ['a limit of 0', 'greatest', [8, 0]],
    ['a limit beyond the greatest', 'greatest', [8, 0xe9, 0x07]],
    ['more values than the limit', 'greatest', [8, 1, 0x2a, 2, 4, 2]],
    ['values out of order', 'greatest', [8, 5, 0x2a, 2, 2, 4]],
    ['values out of order', 'least', [8, 5, 0x2a, 2, 4, 2]],
    ['a value twice', 'set', [8, 5, 0x2a, 2, 4, 4]],
    ['a value twice', 'lastDistinct', [8, 5, ...times, 0x22, 2, 4, 1, 0x2a, 2, 4, 4]],
    ['-0 among distinct values', 'set', [8, 5, 0x32, 8, 0, 0, 0, 0, 0, 0, 0, 0x80]],
    ['moments where there are none', 'set', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4]],
    ['no moments', 'firstN', [8, 5, 0x2a, 2, 2, 4]],
    ['moments that descend', 'firstN', [8, 5, ...times, 0x22, 2, 2, 1, 0x2a, 2, 2, 4]],
    ['moments that ascend', 'lastDistinct', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4]],
    ['a moment twice', 'list', [8, 5, ...times, 0x22, 2, 2, 0, 0x2a, 2, 2, 4]],
    ['no ranks', 'argMax', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4]],
    ['fewer ranks', 'argMax', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4, 0x4a, 1, 2]],
    ['ranks out of order', 'argMax', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4, 0x4a, 2, 2, 4]],
    ['ranks where there are none', 'firstN', [8, 5, ...times, ...positions, 0x2a, 2, 2, 4, 0x4a, 2, 4, 2]],
    ['over, where nothing is', 'firstN', [8, 5, 0x10, 1]],
    ['over, and not', 'list', [8, 5, 0x10, 0]],
    ['over, and values', 'set', [8, 5, 0x10, 1, 0x2a, 1, 2]],
    ['a cut text that is short', 'greatest', [8, 5, 0x3a, 1, 0x61, 0x42, 1, 0]],
    ['times without values', 'firstN', [8, 5, ...times, ...positions]],
    ['an empty column', 'greatest', [8, 5, 0x2a, 0]],
  ];

  test('and what they are next to is not', () => {
    const good = bodyOf('argMax', 8, 5, ...times, ...positions, 0x2a, 2, 2, 4, 0x4a, 2, 4, 2);
    const entries = [1n, 2n].map(i => ({ time: 5n, position: i, value: cellOf(i), rank: cellOf(3n - i) }));
    expect(hex(good)).toBe(hex(rowOf('argMax', 5, entries)));
    expect(hex(merged(good, rowOf('argMax', 5, [])))).toBe(hex(good));
    expect(hex(merged(bodyOf('list', 8, 5, 0x10, 1), rowOf('list', 5, [])))).toBe(hex(bodyOf('list', 8, 5, 0x10, 1)));
  });

  test.each(cases)('%s: %s', (_, of, bytes) => {
    expect(() => merged(bodyOf(of, ...bytes), rowOf(of, 5, []))).toThrow('canonical');
    expect(() => merged(rowOf(of, 5, []), bodyOf(of, ...bytes))).toThrow('canonical');
  });

  test('a cut text in a list, and texts longer than are kept', () => {
    const text = new Uint8Array(1024).fill(0x61);
    const of = (kind: RankingCase, value: object) => {
      const state = create(FeatureValueSchema, { state: { case: kind, value } as never });
      return row([1, state.state as State]);
    };
    expect(() => merged(of('set', { limit: 2, texts: [text], cut: [0] }), rowOf('set', 2, []))).toThrow('canonical');
    expect(() => merged(of('least', { limit: 2, texts: [new Uint8Array(1025)] }), rowOf('least', 2, []))).toThrow(
      'canonical',
    );
    const cut = of('least', { limit: 2, texts: [text], cut: [0] });
    expect(hex(merged(cut, rowOf('least', 2, [])))).toBe(hex(cut));
  });
});
