import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { folders } from '../source/folder.ts';
import { bytesOf } from '../source/lines.ts';
import { sourceSuite } from './source.suite.ts';

const folder = folders();
const clock = { kind: 'event', maxJumpMs: 1 } as const;

for (const [name, ending, pack] of [
  ['NDJSON', 'ndjson', (bytes: Uint8Array) => bytes],
  ['NDJSON.zst', 'ndjson.zst', (bytes: Uint8Array) => Bun.zstdCompressSync(Uint8Array.from(bytes))],
  ['NDJSON.gz', 'ndjson.gz', (bytes: Uint8Array) => Bun.gzipSync(Uint8Array.from(bytes))],
] as const)
  sourceSuite({
    name: `${name} files`,
    seeks: false,
    async make(lines) {
      const path = folder();
      mkdirSync(path);
      const cut = Math.ceil(lines.length / 3);
      const paths = [0, 1, 2].map(n => {
        const file = join(path, `${n}.${ending}`);
        writeFileSync(file, pack(bytesOf(lines.slice(n * cut, (n + 1) * cut))));
        return file;
      });
      return ndjsonFiles(paths, clock);
    },
  });

for (const [name, pack] of [
  ['segments', undefined],
  ['packed segments', packFrame],
] as const)
  sourceSuite({
    name: `${name} of an event log as files`,
    seeks: true,
    async make(lines) {
      const path = folder();
      const log = await EventLog.open({ disk: localDisk, folder: path, clock, segmentBytes: 300_000, pack });
      for (let at = 0; at < lines.length; at += 1000) {
        const part = lines.slice(at, at + 1000);
        await log.append(bytesOf(part), part.length, BigInt(at));
      }
      await log.packed();
      await log.close();
      const paths = (await localDisk.list(path)).map(name => join(path, name));
      return ndjsonFiles(paths, { kind: 'wall', maxJumpMs: 2 });
    },
  });
