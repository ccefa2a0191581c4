/** Structs, lists of them and maps in files, as pyarrow and Polars read them. */
import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { ArrowFrame } from '../../src/cli/frame/arrow.ts';
import type { Frame, FrameBatch } from '../../src/cli/frame/frame.ts';
import { ParquetFrame } from '../../src/cli/frame/parquet.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, STRING, TIME, type Type } from '../../src/plan/value.ts';
import { Random } from '../sim/random.ts';

const optional = (type: Type) => ({ type, presence: OPTIONAL });
const field = (name: string, type: Type) => ({ name, path: [name], ...optional(type) });
const struct = (...fields: ReturnType<typeof field>[]): Type => ({ kind: 'struct', name: null, fields });
const list = (of: Type): Type => ({ kind: 'list', of: optional(of) });
const map = (of: Type): Type => ({ kind: 'map', key: STRING, of: optional(of) });

const place = struct(field('zip', STRING), field('floor', INT64), field('since', TIME), field('lifts', list(BOOL)));
const COLUMNS: Record<string, Type> = {
  place,
  trips: list(struct(field('to', place), field('km', DOUBLE))),
  matrix: list(list(INT64)),
  scores: map(DOUBLE),
  homes: map(place),
};

const seed = 11;

/** A value as JSON has it; no map is empty, for pairs of none look like a list of nothing. */
function randomJson(type: Type, random: Random, depth = 0): unknown {
  if (depth > 0 && random.chance(0.2)) return null;
  const some = (least: number) => Array.from({ length: least + random.below(3) });
  switch (type.kind) {
    case 'int64':
      return random.below(1 << 30) - (1 << 29);
    case 'double':
      return random.below(1000) / 7;
    case 'bool':
      return random.chance(0.5);
    case 'string':
      return random.pick(['', 'é', '"quoted"', 'x'.repeat(40)]);
    case 'time':
      return random.pick(['2001-03-05T00:00:00Z', '1969-12-31T23:59:59.000001Z']);
    case 'list':
      return some(0).map(() => randomJson(type.of.type, random, depth + 1));
    case 'struct':
      return Object.fromEntries(type.fields.map(({ name, type: of }) => [name, randomJson(of, random, depth + 1)]));
    case 'map':
      return Object.fromEntries(some(1).map((_, i) => [`k${i}`, randomJson(type.of.type, random, depth + 1)]));
  }
}

test('pyarrow and Polars read what was written', async () => {
  const python = pythonOrSkip('nested columns in files');
  if (python === null) return;
  const random = new Random(seed);
  const rows = Array.from({ length: 50 }, () =>
    Object.fromEntries(
      Object.entries(COLUMNS).map(([name, type]) => [name, random.chance(0.1) ? null : randomJson(type, random)]),
    ),
  );
  const shapes = Object.entries(COLUMNS).map(([name, type]) => ({ name, type, isRequired: false }));
  const batches = [rows.slice(0, 20), rows.slice(20)].map(
    (some): FrameBatch => ({
      count: some.length,
      columns: shapes.map(({ name, type }) => ({
        ...{ name, type },
        values: some.map(row => JSON.stringify(row[name])),
        nulls: Uint8Array.from(some, row => Number(row[name] === null)),
      })),
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-nested-'));
  try {
    const frames: [string, Frame][] = [
      [join(folder, 'a.arrow'), new ArrowFrame(shapes)],
      [join(folder, 'a.parquet'), new ParquetFrame(shapes)],
    ];
    for (const [path, frame] of frames)
      await writeFile(
        path,
        Buffer.concat([...batches.flatMap(batch => frame.batch(batch).map(b => b.slice())), ...frame.end()]),
      );
    const out = runPython(python, ['scripts/python/check_nested.py', ...frames.map(([path]) => path)]);
    const read = JSON.parse(new TextDecoder().decode(out)) as Record<string, unknown[]>;
    expect(Object.keys(read)).toHaveLength(4);
    for (const [reader, found] of Object.entries(read)) expect({ reader, found }).toEqual({ reader, found: rows });
  } finally {
    await rm(folder, { recursive: true });
  }
});
