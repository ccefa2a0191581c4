import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadKernel } from '../../src/kernel/instance.ts';
import { archiveSource, bucketArchive, folderArchive, partitionFolder } from '../../src/source/archive.ts';
import { bucketDisk } from '../../src/source/bucket.ts';
import { localDisk } from '../../src/source/disk.ts';
import type { Message, Progress } from '../../src/source/partition.ts';
import { Lost } from '../../src/source/partition.ts';
import type { Source } from '../../src/source/source.ts';
import { Archiver } from '../../src/work/archiver.ts';
import { noPauses, SimulatedBucket } from '../sim/bucket.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';

const PARTITION = 3;
const SEEDS = process.env.TILEFOLD_LONG ? 400 : 30;

/** A partition, with lines that are no events among those that are. */
function partitionOf(random: Random, count: number): { messages: Message[]; lines: string[] } {
  const lines: string[] = [];
  let [offset, timestampMs] = [10n, 1_700_000_000_000];
  const messages = Array.from({ length: count }, (): Message => {
    const of = Array.from({ length: random.below(4) }, () => {
      if (random.below(8) === 0) return 'no event';
      const line = `{"type":"view","time":"2024-01-01T00:00:00Z","data":{"n":${lines.length}}}`;
      lines.push(line);
      return line;
    });
    // Now and then a broker keeps an offset for itself, and several messages arrive at one time.
    offset += BigInt(1 + (random.below(5) === 0 ? 1 : 0));
    timestampMs += random.below(3);
    return { offset, timestampMs, value: new TextEncoder().encode(of.join('\n')) };
  });
  return { messages, lines };
}

async function linesOf(source: Source, from = 0): Promise<string[]> {
  const lines: string[] = [];
  for await (const { bytes } of source.read(from)) lines.push(...new TextDecoder().decode(bytes).trimEnd().split('\n'));
  return lines;
}

test.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
  'each event is kept once, at its position, whoever dies, sleeps or makes a segment twice: seed %p',
  async seed => {
    const random = new Random(seed);
    const folder = mkdtempSync(join(tmpdir(), 'tilefold-archive-'));
    // Every other one is in a bucket, which may do what it is told and say that it did not.
    const bucket = seed % 2 === 0 ? null : new SimulatedBucket(seed);
    const pauses = noPauses(seed);
    const archive = bucket ? await bucketArchive(bucket, pauses) : folderArchive(folder);
    if (bucket) bucket.trouble = 0.1;
    const { messages, lines } = partitionOf(random, 60);
    const end = messages.at(-1)!.offset + 1n;
    const door = await loadKernel();
    let committed: Progress | null = null;
    /** Whoever the group has dealt the partition to last: others commit nothing. */
    let owner = 0;
    let born = 0;
    const begin = () => {
      const me = ++born;
      owner = me;
      return new Archiver(
        {
          ...{ door, archive, partition: PARTITION, clock: EVENT_CLOCK },
          ...{ segmentBytes: 300 + random.below(1_500), segmentAgeMs: 0, nowMs: () => 0 },
          async commit(progress) {
            // It may die between a segment and its commit, and the broker may have dealt anew.
            if (owner !== me || random.below(4) === 0) return false;
            committed = progress;
            return true;
          },
        },
        committed,
        messages[0]!.offset,
      );
    };
    const step = async (archiver: Archiver) => {
      const at = messages.findIndex(({ offset }) => offset >= archiver.next);
      if (at < 0) return;
      const to = Math.min(messages.length, at + 1 + random.below(10));
      // A fetch may begin with what was taken already.
      await archiver.take(messages.slice(Math.max(0, at - random.below(3)), to), messages[to]?.offset ?? end);
    };
    const tried = async (work: Promise<void>) => {
      try {
        await work;
        return true;
      } catch (error) {
        if (error instanceof Lost) return false;
        throw error;
      }
    };
    let now = begin();
    const asleep: Archiver[] = [];
    for (let turn = 0; turn < 40; turn++) {
      const kind = random.below(10);
      if (kind === 0) now = begin();
      else if (kind === 1) {
        asleep.push(now);
        now = begin();
      } else if (kind === 2 && asleep.length > 0) {
        const zombie = random.pick(asleep);
        await tried(step(zombie));
        await tried(zombie.flush());
      } else if (kind < 5) await now.tick();
      else if (!(await tried(step(now)))) now = begin();
    }
    while (committed === null || (committed as Progress).next < end) {
      if (!(await tried(step(now)))) now = begin();
      await now.flush();
      if (now.next >= end && ((committed as Progress | null)?.next ?? 0n) < end) now = begin();
    }
    if (bucket) bucket.trouble = 0;
    const source = bucket
      ? await archiveSource(bucketDisk(bucket, pauses), '', bucket.name)
      : await archiveSource(localDisk, folder);
    expect(await linesOf(source)).toEqual(lines);
    const from = random.below(lines.length);
    expect(await linesOf(source, from)).toEqual(lines.slice(from));
    // Nobody has left a part.
    const files = bucket
      ? [...bucket.objects.keys()].filter(name => name !== 'archive.txt').map(name => basename(name))
      : readdirSync(partitionFolder(folder, PARTITION));
    expect(files.filter(name => !/^\d{20}\.ndjson\.zst$/.test(name))).toEqual([]);
    rmSync(folder, { recursive: true });
  },
);

test('a bucket that makes an object anew which is there cannot have an archive', async () => {
  const careless = Object.assign(new SimulatedBucket(1), { make: async () => true });
  await expect(bucketArchive(careless, noPauses(1))).rejects.toThrow('does not heed If-None-Match');
});

test('a note that is none of its own is told', async () => {
  const parts = {
    ...{ door: await loadKernel(), archive: folderArchive('/nowhere'), partition: 0, clock: EVENT_CLOCK },
    ...{ segmentBytes: 1, segmentAgeMs: 0, nowMs: () => 0, commit: async () => true },
  };
  expect(() => new Archiver(parts, { next: 7n, note: '{"count":1}' }, 0n)).toThrow(
    'an offset of the archive\'s group was not committed by it: its note is "{\\"count\\":1}"',
  );
});
