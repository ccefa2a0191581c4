import { expect, test } from 'bun:test';
import { EventLog } from '../../src/source/log.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { Tail } from '../../src/source/tail.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';

const SEEDS = 20;

/** Stretches of any length, over segments that grow, are closed and packed meanwhile. */
test('every record comes once and in order, however the log grows between two stretches', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const disk = new SimulatedDisk(seed);
    const pack = random.chance(0.5) ? packFrame : undefined;
    const log = await EventLog.open({ disk, folder: 'log', clock: EVENT_CLOCK, segmentBytes: 600, pack });
    const tail = new Tail(disk, 'log');
    const lines: string[] = [];
    const found: string[] = [];
    for (let round = 0; round < 30; round++) {
      for (let bodies = random.below(4); bodies > 0; bodies--) {
        const count = 1 + random.below(5);
        const body = Array.from({ length: count }, (_, i) => `{"n":${lines.length + i}}\n`);
        lines.push(...body);
        await log.append(new TextEncoder().encode(body.join('')), count, BigInt(lines.length));
      }
      const until = found.length + random.below(lines.length - found.length + 1);
      for await (const { bytes } of tail.read(found.length, until))
        found.push(...new TextDecoder().decode(bytes).split(/(?<=\n)/));
      expect(found).toEqual(lines.slice(0, until));
    }
    await log.close();
  }
});

test('what the log has lost or never had is refused', async () => {
  const disk = new SimulatedDisk(1);
  const log = await EventLog.open({ disk, folder: 'log', clock: EVENT_CLOCK, segmentBytes: 600 });
  await log.append(new TextEncoder().encode('{}\n{}\n'), 2, 1n);
  const tail = new Tail(disk, 'log');
  const read = async (from: number, until: number) => {
    for await (const _ of tail.read(from, until));
  };
  await read(0, 2);
  await expect(read(2, 3)).rejects.toThrow('log lacks record 2');
  await log.close();
});
