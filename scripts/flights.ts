/**
 * Writes the flights that ship with vega-datasets as an event log:
 *
 *   bun scripts/flights.ts [--from 2001-01-01] [--days N] [--out FILE]
 *
 * Without `--days` all from there on, to June 2001 (3,000,000 in all); without `--out` to standard output; gzip where
 * the name ends in `.gz`. The times in the file have no zone and are taken as UTC. The same call always gives the
 * same bytes. The bundled week, Monday to Sunday:
 *
 *   bun scripts/flights.ts --from 2001-03-05 --days 7 --out examples/flights/flights-week.ndjson.gz
 */
import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { assert } from '../src/base/assert.ts';
import { Fault } from '../src/base/fault.ts';

const PARQUET = fileURLToPath(new URL('../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url));
const DAY_MS = 86_400_000;

/** Lines joined into one chunk: large enough that gzip and the stream see few calls, small enough to stream. */
const CHUNK_LINES = 4_096;

interface Flight {
  date: Date;
  delay: bigint;
  distance: bigint;
  origin: string;
  destination: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { from: { type: 'string', default: '2001-01-01' }, days: { type: 'string' }, out: { type: 'string' } },
  });
  const days = values.days === undefined ? Number.POSITIVE_INFINITY : Number(values.days);
  if (!(days > 0)) throw new Fault('config', `--days: got ${values.days}, wanted a number above 0`);
  const fromMs = Date.parse(`${values.from}T00:00:00Z`);
  if (Number.isNaN(fromMs)) throw new Fault('config', `--from: got ${values.from}, wanted a day such as 2001-03-05`);
  let count = 0;
  async function* chunks() {
    let lines = '';
    for await (const flight of flights(fromMs, fromMs + days * DAY_MS)) {
      lines += flightLine(flight);
      count++;
      if (count % CHUNK_LINES !== 0) continue;
      yield lines;
      lines = '';
    }
    yield lines;
  }
  const target: Writable = values.out === undefined ? process.stdout : createWriteStream(values.out);
  const lines = Readable.from(chunks());
  if (values.out?.endsWith('.gz')) await pipeline(lines, createGzip({ level: 9 }), unmarkGzip, target);
  else await pipeline(lines, target, { end: target !== process.stdout });
  if (values.out !== undefined) console.error(`${count} flights written to ${values.out}`);
}

/** The flights of [fromMs, endMs), in the file's order, which is that of time. */
async function* flights(fromMs: number, endMs: number): AsyncGenerator<Flight> {
  const file = await asyncBufferFromFile(PARQUET);
  const metadata = await parquetMetadataAsync(file);
  let rowStart = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = (await parquetReadObjects({ file, metadata, rowStart, rowEnd, compressors })) as Flight[];
    for (const flight of rows) {
      const ms = flight.date.getTime();
      assert(ms >= lastMs, `flights are out of order at ${flight.date.toISOString()}`);
      if (ms >= endMs) return;
      lastMs = ms;
      if (ms >= fromMs) yield flight;
    }
    rowStart = rowEnd;
  }
}

const compressors = { ZSTD: (input: Uint8Array) => new Uint8Array(Bun.zstdDecompressSync(input)) };

function flightLine({ date, origin, destination, delay, distance }: Flight): string {
  const time = date.toISOString().replace('.000Z', 'Z');
  const data = { origin, destination, delay: Number(delay), distance: Number(distance) };
  return `${JSON.stringify({ type: 'flight', time, data })}\n`;
}

/** A gzip header names the system it was made on (byte 9); 255 is "unknown", the same everywhere. */
async function* unmarkGzip(gzip: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let offset = 0;
  for await (const bytes of gzip) {
    if (offset <= 9 && 9 < offset + bytes.length) bytes[9 - offset] = 255;
    offset += bytes.length;
    yield bytes;
  }
}

if (import.meta.main) await main();
