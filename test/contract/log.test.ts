import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { folders } from '../source/folder.ts';
import { bytesOf } from '../source/lines.ts';
import { sourceSuite } from './source.suite.ts';

const folder = folders();

for (const [name, segmentBytes, batchCount, pack] of [
  ['in one segment', 64 << 20, 7_000, undefined],
  ['in many segments', 300_000, 100, undefined],
  ['in many packed segments', 300_000, 100, packFrame],
] as const)
  sourceSuite({
    name: `event log ${name}`,
    seeks: true,
    async make(lines) {
      const clock = { kind: 'event', maxJumpMs: 1 } as const;
      const log = await EventLog.open({ disk: localDisk, folder: folder(), clock, segmentBytes, pack });
      const appends = [];
      for (let at = 0; at < lines.length; at += batchCount) {
        const part = lines.slice(at, at + batchCount);
        appends.push(log.append(bytesOf(part), part.length, BigInt(at)));
      }
      await Promise.all(appends);
      await log.packed();
      return log;
    },
  });
