import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { type NumberedBlock, numbered } from '../../src/source/numbered.ts';
import type { Source } from '../../src/source/source.ts';
import { BLOCK_MAX_BYTES, LINE_MAX_BYTES } from '../../src/source/source.ts';
import { linesOf } from '../source/lines.ts';

export interface SourceBackend {
  name: string;
  /** A source of these lines. */
  make(lines: string[]): Promise<Source>;
  /** False where positions are only known once lines have been judged, so that reads start at 0. */
  seeks: boolean;
}

/** What every source does, whatever is behind it. */
export function sourceSuite({ name, make, seeks }: SourceBackend): void {
  const few = ['{"a":1}', '{"b":"é"}', '{"c":3}'];
  const many = Array.from({ length: 40_000 }, (_, n) => JSON.stringify({ n, text: 'x'.repeat(n % 97) }));

  describe(`source: ${name}`, () => {
    test('an empty source has no blocks', async () => {
      expect(await blocksOf(await make([]), 0)).toEqual([]);
    });

    test('all lines, in order, and again for every reader', async () => {
      const source = await make(few);
      expect(await readLines(source, 0)).toEqual(few);
      expect(await readLines(source, 0)).toEqual(few);
    });

    test('readers do not disturb each other', async () => {
      const source = await make(few);
      const [one, other] = await Promise.all([readLines(source, 0), readLines(source, 0)]);
      expect(one).toEqual(other);
    });

    test('blocks are bounded, not empty, and end where a line ends', async () => {
      const blocks = await blocksOf(await make(many), 0);
      expect(blocks.length).toBeGreaterThan(1);
      for (const { bytes } of blocks.slice(0, -1)) expect(bytes.at(-1)).toBe(10);
      for (const { bytes } of blocks) expect(bytes.length).toBeGreaterThan(0);
      for (const { bytes } of blocks) expect(bytes.length).toBeLessThanOrEqual(BLOCK_MAX_BYTES);
      expect(blocks.flatMap(({ bytes }) => linesOf(bytes))).toEqual(many);
    });

    test('the longest lines come whole', async () => {
      const lines = ['a', 'b', 'c'].map(letter => letter.repeat(LINE_MAX_BYTES));
      expect(await readLines(await make(lines), 0)).toEqual(lines);
    });

    test('a block says where its first line stands', async () => {
      for (const { file, line, bytes } of await blocksOf(await make(many), 0)) {
        const packed = readFileSync(file);
        const unpack = file.endsWith('.gz')
          ? Bun.gunzipSync
          : file.endsWith('.zst')
            ? Bun.zstdDecompressSync
            : Buffer.from;
        const text = Buffer.from(unpack(packed));
        expect(text.toString().split('\n')[line - 1]).toBe(linesOf(bytes)[0]!);
      }
    });

    test('a reader may leave early', async () => {
      for await (const block of (await make(many)).read(0)) {
        expect(linesOf(block.bytes)[0]).toBe(many[0]!);
        break;
      }
    });

    if (seeks)
      test('reads from any position', async () => {
        const source = await make(few);
        for (let from = 0; from <= few.length; from++) expect(await readLines(source, from)).toEqual(few.slice(from));
        const long = await make(many);
        for (const from of [1, 15_000, 39_999]) expect(await readLines(long, from)).toEqual(many.slice(from));
      });
    else
      test('reads from 0 only', async () => {
        await expect(readLines(await make(few), 1)).rejects.toThrow('read from their start');
      });
  });
}

/** Blocks with bytes of their own: a source may reuse them. */
async function blocksOf(source: Source, from: number): Promise<NumberedBlock[]> {
  const blocks: NumberedBlock[] = [];
  for await (const block of numbered(source.read(from))) blocks.push({ ...block, bytes: block.bytes.slice() });
  return blocks;
}

async function readLines(source: Source, from: number): Promise<string[]> {
  return (await blocksOf(source, from)).flatMap(({ bytes }) => linesOf(bytes));
}
