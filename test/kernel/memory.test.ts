/**
 * Bytes from outside never steer a kernel out of its buffers: whatever they are, there is no trap, what stands around
 * a buffer stays as it was, and what lies behind its end has no say in the outcome.
 */
import { describe, expect, test } from 'bun:test';
import type { Kernel } from '../../src/kernel/instance.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { admit } from '../../src/kernel/door.ts';
import { BOOL, INT64, STRING, TIME } from '../../src/plan/value.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { optional } from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, decodeBlock, decodingLayout, eventType, layout } from './columns.ts';
import { damage, JsonText } from './json_text.ts';
import { changeBatch, count, extreme, mean, recent, row, sum } from './rows.ts';

const GUARD_BYTES = 256;

/** Blocks of a pattern that nobody else may write to. */
class Guards {
  readonly #blocks: number[] = [];

  constructor(private readonly kernel: Kernel) {}

  /** Puts a guard behind what was last allocated. */
  place(): number {
    const block = this.kernel.exports.allocate(GUARD_BYTES) >>> 0;
    this.kernel.bytes(block, GUARD_BYTES).fill(0xa5);
    this.#blocks.push(block);
    return block;
  }

  check(): void {
    for (const block of this.#blocks)
      if (!this.kernel.bytes(block, GUARD_BYTES).every(byte => byte === 0xa5))
        throw new Error(`a guard at ${block} was written to`);
  }
}

/** A block with a guard on either side of it, of exactly the size that memory hands out. */
function guarded(kernel: Kernel, guards: Guards, size: number): number {
  const before = guards.place();
  const block = kernel.exports.allocate(size) >>> 0;
  const after = guards.place();
  expect([block, after]).toEqual([before + GUARD_BYTES, block + size]);
  return block;
}

/** What a line might go on with. */
const TAILS = ['"}}', '0000000000', '\\u0041"', '\n{"type":"ev"', '\x80\xbf\xbf', ':,]}', ' '.repeat(10)].map(text =>
  Uint8Array.from({ length: 64 }, (_, i) => text.charCodeAt(i % text.length)),
);

const EVENT = eventType('ev', [
  optional('i', INT64),
  optional('s', STRING),
  optional('b', BOOL),
  optional('t', TIME),
  { ...optional('n', STRING), path: ['o', 'n'] },
]);

function texts(rng: Random): Uint8Array {
  const json = new JsonText(rng);
  const lines = Array.from({ length: 1 + rng.below(5) }, () => {
    const data = json.object([
      ['i', json.value(0)],
      ['s', json.spell(json.text())],
      ['o', json.object([['n', json.spell(json.text())]])],
      ['t', json.spell('2001-03-05T00:00:00.123456+01:00')],
      ['x', json.value(3)],
    ]);
    return json.object([
      [rng.pick(['type', '_type']), json.spell('ev')],
      [rng.pick(['time', '_time']), json.spell('2001-03-05T00:00:00Z')],
      ['data', data],
    ]);
  });
  const whole = bytesOf(lines.join('\n'));
  if (rng.chance(0.1)) return Uint8Array.from({ length: rng.below(200) }, () => rng.below(256));
  // Cut, more often than not, so that the end of the buffer is in the middle of something.
  const damaged = rng.chance(0.5) ? damage(whole, rng) : whole;
  return damaged.slice(0, rng.chance(0.7) ? rng.below(damaged.length + 1) : damaged.length);
}

describe('NDJSON', () => {
  test.each([1, 2, 3])('decode and the door, seed %p', async seed => {
    const rng = new Random(seed);
    const events = [EVENT];
    const of = await decodingLayout(events);
    const { kernel } = of;
    const guards = new Guards(kernel);
    const size = 1 << 14;
    guards.place();
    const input = kernel.exports.inputBuffer(size) >>> 0;
    guards.place();
    for (let round = 0; round < 1500; round++) {
      const block = texts(rng);
      const outcomes = [rng.pick(TAILS), rng.pick(TAILS)].map(tail => {
        kernel.bytes(input, size).fill(0);
        kernel.bytes(input + block.length, tail.length).set(tail);
        const decoded = decodeBlock(of, block);
        const intact = Buffer.compare(kernel.bytes(input, block.length), block) === 0;
        const doors = (['json', 'ndjson'] as const).map(format => admit(kernel, block, format));
        if (!intact || Buffer.compare(kernel.bytes(input, block.length), block) !== 0)
          throw new Error('the input was written to');
        return { decoded, doors };
      });
      if (!Bun.deepEquals(outcomes[0], outcomes[1]))
        throw new Error(`seed ${seed}: what is behind ${Buffer.from(block).toString('hex')} decides`);
      guards.check();
    }
    expect(kernel.exports.inputBuffer(size) >>> 0).toBe(input);
  });

  test('strings that grow the side buffer to its end: each is unescaped as a type and as a value', async () => {
    const of = await decodingLayout([
      eventType('e', [optional('a', STRING), { ...optional('type', STRING), path: ['_type'] }]),
    ]);
    const guards = new Guards(of.kernel);
    for (const length of [0, 1, 100, 5000, 40_000]) {
      const type = '\\u0065';
      const line = `{"_type":"${type}","_time":0,"a":"${'\\n'.repeat(length)}"}`;
      guards.place();
      const { records } = decodeBlock(of, bytesOf(Array(5).fill(line).join('\n')));
      guards.place();
      expect(records.map(record => record.inputs)).toEqual(Array(5).fill({ a: '\n'.repeat(length), type: 'e' }));
      const long = `{"_type":"${'\\u0041'.repeat(length + 1)}","_time":0}`;
      expect(decodeBlock(of, bytesOf(Array(5).fill(long).join('\n'))).records.length).toBe(5);
      guards.check();
    }
  });

  test('a buffer asked for beyond its size is an assertion, not a read', async () => {
    const { exports } = await loadKernel();
    exports.inputBuffer(10);
    expect(() => exports.decode(0, 1 << 20, 0n, 1)).toThrow('kernel');
    expect(() => exports.decode(11, 10, 0n, 1)).toThrow('kernel');
    expect(() => exports.admitLines(0, 1 << 20)).toThrow('kernel');
    expect(() => exports.admitDocument(1 << 20)).toThrow('kernel');
    expect(() => exports.allocate(0x4000_0001)).toThrow('kernel');
  });
});

const GOOD_ROW = row(
  [1, count(1n)],
  [2, sum(2n ** 70n)],
  [3, mean(5n, 2n)],
  [4, extreme('min', 4n)],
  [5, extreme('max', null)],
  [
    6,
    recent(
      3,
      [-5n, 2n ** 40n].map((value, i) => ({ time: value, position: BigInt(i), value })),
    ),
  ],
  [
    7,
    recent(
      9,
      ['a', null, 'größe'].map((value, i) => ({ time: 0n, position: BigInt(i), value })),
    ),
  ],
);

describe('rows', () => {
  test.each([4, 5, 6])('fold and its read-back, seed %p', async seed => {
    const rng = new Random(seed);
    const kernel = await loadKernel();
    const { exports } = kernel;
    const guards = new Guards(kernel);
    const size = 512;
    const block = guarded(kernel, guards, size);
    const whole = changeBatch(
      [{ key: 'a' }, GOOD_ROW],
      [{ key: 'größe', level: 60_000n, tileStart: -60_000n }, GOOD_ROW],
    );
    for (let round = 0; round < 2500; round++) {
      let bytes = rng.chance(0.9)
        ? damage(whole, rng)
        : Uint8Array.from({ length: rng.below(100) }, () => rng.below(256));
      bytes = bytes.slice(0, size);
      // At the very end of the block, so that its guard comes right behind.
      const start = block + size - bytes.length;
      // Once before: rows that were never seen cannot be missing.
      const [, ...outcomes] = [0, 0, 1].map(filler => {
        kernel.bytes(block, size).fill(filler * 0x0a);
        kernel.bytes(start, bytes.length).set(bytes);
        const found = [
          exports.missing(start, bytes.length),
          exports.listedCount(),
          exports.fold(start, bytes.length),
          exports.fold(start, bytes.length),
        ];
        if (Buffer.compare(kernel.bytes(start, bytes.length), bytes) !== 0)
          throw new Error('the changes were written to');
        exports.startPacking();
        while (exports.packPart(rng.below(2), 1 + rng.below(1 << 20)));
        exports.settle();
        exports.evict(0);
        return found.join();
      });
      if (outcomes[0] !== outcomes[1])
        throw new Error(`seed ${seed}: ${Buffer.from(bytes).toString('hex')} folds as ${outcomes}`);
      guards.check();
    }
  });

  test('what stands behind a batch of changes has no say', async () => {
    const kernel = await loadKernel();
    const { exports } = kernel;
    const whole = changeBatch([{ key: 'a' }, GOOD_ROW], [{ key: 'b' }, GOOD_ROW]);
    const block = kernel.put(new Uint8Array([...whole, ...whole]));
    const first = changeBatch([{ key: 'a' }, GOOD_ROW]).length;
    for (let length = 0; length <= whole.length; length++) {
      const isWhole = length === 0 || length === first || length === whole.length;
      expect([length, exports.fold(block, length)]).toEqual([
        length,
        isWhole ? exports.FOLD_OK.value : exports.FOLD_MALFORMED.value,
      ]);
      exports.settle();
      exports.evict(0);
    }
  });

  test.each([7, 8, 9])('windows over stored rows, seed %p', async seed => {
    const rng = new Random(seed);
    const of = await layout(flightsPlan());
    const { kernel } = of;
    const { exports } = kernel;
    const answer = of.lookups.get('origin')!;
    const guards = new Guards(kernel);
    const size = 256;
    const block = guarded(kernel, guards, size);
    const key = kernel.put(bytesOf('ATL'));
    exports.coverAt(answer.index, 983_750_400_000_000n, 0);
    const outcomes = new Map<number, number>();
    for (let round = 0; round < 4000; round++) {
      let bytes = rng.chance(0.9)
        ? damage(GOOD_ROW, rng)
        : Uint8Array.from({ length: rng.below(100) }, () => rng.below(256));
      bytes = bytes.slice(0, size);
      const start = block + size - bytes.length;
      kernel.bytes(start, bytes.length).set(bytes);
      exports.startKey(answer.index, key, 3);
      const outcome = exports.addStoredRow(
        answer.index,
        rng.pick([0, 60_000, 1_800_000, 86_400_000]),
        rng.pick([0, 983_664_000_000]),
        start,
        bytes.length,
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      expect(exports.addMemoryRows(answer.index)).toBe(exports.READ_OK.value);
      exports.finishKey(answer.index, rng.below(exports.ANSWER_ROWS.value));
      guards.check();
    }
    expect(outcomes.get(exports.READ_OK.value)).toBeGreaterThan(100);
    expect(outcomes.size).toBe(2);
  });
});

test('what is given back is handed out again: folding and forgetting needs no more memory', async () => {
  const kernel = await loadKernel();
  const { exports } = kernel;
  const changes = changeBatch(
    ...Array.from(
      { length: 300 },
      (_, i) => [{ key: `key ${i}`, tileStart: BigInt(i % 7) }, GOOD_ROW] as [object, Uint8Array],
    ),
  );
  const block = kernel.put(changes);
  const fold = () => {
    for (let i = 0; i < 3; i++) expect(exports.fold(block, changes.length)).toBe(exports.FOLD_OK.value);
    exports.settle();
    exports.evict(0);
  };
  fold();
  const [inUse, size] = [exports.memoryInUse(), exports.memory.buffer.byteLength];
  for (let i = 0; i < 50; i++) fold();
  expect([exports.memoryInUse(), exports.memory.buffer.byteLength]).toEqual([inUse, size]);
});

test('blocks do not overlap, however they are taken and given back', async () => {
  const kernel = await loadKernel();
  const { exports } = kernel;
  const rng = new Random(10);
  const held: { start: number; size: number; mark: number }[] = [];
  for (let i = 0; i < 3000; i++) {
    if (held.length > 0 && rng.chance(0.45)) {
      const [block] = held.splice(rng.below(held.length), 1);
      if (!kernel.bytes(block!.start, block!.size).every(byte => byte === block!.mark))
        throw new Error(`a block of ${block!.size} was written to`);
      exports.release(block!.start, block!.size);
      continue;
    }
    const size = rng.below(2 ** rng.below(14)) + 1;
    const start = exports.allocate(size) >>> 0;
    expect(start % 16).toBe(0);
    const mark = rng.below(256);
    kernel.bytes(start, size).fill(mark);
    held.push({ start, size, mark });
  }
});
