import { expect, test } from 'bun:test';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { folderBlocks } from '../../src/source/segments.ts';
import { surveyLog } from '../../src/source/survey.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { folders } from './folder.ts';
import { bytesOf, linesOf } from './lines.ts';

const folder = folders();
const COUNT = 300;

/** Segments of 42 records, all but the last one packed. */
async function packedLog(): Promise<string> {
  const path = folder();
  const clock = { kind: 'event', maxJumpMs: 1 } as const;
  const log = await EventLog.open({ disk: localDisk, folder: path, clock, segmentBytes: 10_000, pack: packFrame });
  for (let n = 0; n < COUNT; n++) await log.append(bytesOf([textOf(n)]), 1, BigInt(n));
  await log.packed();
  await log.close();
  return path;
}

const textOf = (n: number) => JSON.stringify({ n, text: String.fromCharCode(97 + (n % 26)).repeat(120) });

async function survey(path: string, depth: 'all' | 'summary') {
  const found = [];
  for await (const segment of surveyLog(localDisk, path, depth)) found.push(segment);
  const damages = found.flatMap(segment => segment.damages.map(({ file, offset }) => [file, offset]));
  return { damages, records: found.reduce((sum, { summary }) => sum + (summary?.records ?? 0), 0), found };
}

test('a whole log has no damage, read through or believed', async () => {
  const path = await packedLog();
  for (const depth of ['all', 'summary'] as const)
    expect(await survey(path, depth)).toMatchObject({ damages: [], records: COUNT });
  const lines = [];
  for await (const { bytes } of folderBlocks(localDisk, path, 50)) lines.push(...linesOf(bytes));
  expect(lines).toEqual(Array.from({ length: COUNT - 50 }, (_, n) => textOf(n + 50)));
});

test('damage in a packed segment is told with its file and its frame, and that of others too', async () => {
  const path = await packedLog();
  const { found } = await survey(path, 'summary');
  const [, cut, changed, lying] = found.map(({ file }) => file);
  const original = readFileSync(cut!);
  writeFileSync(cut!, original.subarray(0, original.length - 3));
  const bytes = readFileSync(changed!);
  const frame = bytes.lastIndexOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd));
  writeFileSync(changed!, bytes.fill(0xff, frame + 7, frame + 10));
  // The summary of another segment before this one's data.
  const other = readFileSync(found[4]!.file);
  const own = readFileSync(lying!);
  const start = (packed: Buffer) => packed.indexOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd));
  writeFileSync(lying!, Buffer.concat([other.subarray(0, start(other)), own.subarray(start(own))]));
  const cutFrame = original.lastIndexOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd));
  expect((await survey(path, 'all')).damages).toEqual([
    [cut!, cutFrame],
    [changed!, frame],
    [lying!, 0],
  ]);
});

test('a segment that is missing, or stands under another name, is told', async () => {
  const path = await packedLog();
  const { found } = await survey(path, 'summary');
  const [, second, third] = found.map(({ file }) => file);
  renameSync(second!, join(path, '00000000000000000001.ndjson.zst'));
  expect(existsSync(second!)).toBe(false);
  const moved = (await survey(path, 'all')).damages.map(([file]) => file);
  expect(moved).toContain(join(path, '00000000000000000001.ndjson.zst'));
  expect(moved).toContain(third!);
  await expect(survey(folder(), 'all')).rejects.toThrow();
});
