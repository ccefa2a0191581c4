/** Makes a failing case small: fewer events, sets, features and windows, simpler values; each step still fails. */
import type { Case } from './case.ts';
import type { Definitions, Item, SetSpec } from './definitions.ts';

/** Does a candidate still fail, in the way that is looked for? One that no longer compiles does not. */
export type Fails = (candidate: Case) => Promise<boolean>;

/**
 * Pass by pass, until none makes it smaller, or so many candidates were tried.
 *
 * @returns the smallest that was found, and how many candidates that took
 */
export async function shrink(from: Case, fails: Fails, triesMax: number): Promise<{ smallest: Case; tries: number }> {
  let smallest = from;
  let tries = 0;
  const attempt = async (candidate: Case) => {
    if (tries >= triesMax || sizeOf(candidate) >= sizeOf(smallest)) return false;
    tries++;
    if (!(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (let before = Infinity; sizeOf(smallest) < before && tries < triesMax; ) {
    before = sizeOf(smallest);
    await fewerLines(() => smallest, attempt);
    for (const simpler of SIMPLER) await oneByOne(() => simpler(smallest), attempt);
    await simplerLines(() => smallest, attempt);
  }
  return { smallest, tries };
}

type Attempt = (candidate: Case) => Promise<boolean>;

function sizeOf(of: Case): number {
  return JSON.stringify([of.definitions, of.lines, of.clock, of.arrivalsMs]).length;
}

/** Stretches of lines, from halves down to one by one. */
async function fewerLines(current: () => Case, attempt: Attempt): Promise<void> {
  for (let length = Math.ceil(current().lines.length / 2); length >= 1; length = Math.floor(length / 2))
    for (let from = 0; from < current().lines.length; ) {
      const keep = (_: unknown, i: number) => i < from || i >= from + length;
      const { lines, arrivalsMs } = current();
      const left = { lines: lines.filter(keep), arrivalsMs: arrivalsMs?.filter(keep) ?? null };
      if (left.lines.length === 0 || !(await attempt({ ...current(), ...left }))) from += length;
    }
}

/** Each of the candidates once; where one is taken, what is left of the others is made of it. */
async function oneByOne(candidates: () => Case[], attempt: Attempt): Promise<void> {
  for (let at = 0; ; ) {
    const candidate = candidates()[at];
    if (!candidate) return;
    if (!(await attempt(candidate))) at++;
  }
}

function withDefinitions(of: Case, change: Partial<Definitions>): Case {
  return { ...of, definitions: { ...of.definitions, ...change } };
}

/** Every list without one of its elements. */
function without<T>(list: readonly T[]): T[][] {
  return list.map((_, i) => list.filter((_one, k) => k !== i));
}

/** Every way in which one set is simpler. */
function withSet(of: Case, simpler: (set: SetSpec) => Partial<SetSpec>[]): Case[] {
  const { sets } = of.definitions;
  return sets.flatMap((set, i) =>
    simpler(set).map(change =>
      withDefinitions(of, { sets: sets.map((one, k) => (k === i ? { ...one, ...change } : one)) }),
    ),
  );
}

const SIMPLER: ((of: Case) => Case[])[] = [
  of => (of.definitions.sets.length > 1 ? without(of.definitions.sets).map(sets => withDefinitions(of, { sets })) : []),
  of => withSet(of, ({ derives }) => without(derives).map(left => ({ derives: left }))),
  of => withSet(of, ({ items }) => (items.length > 1 ? without(items).map(left => ({ items: left })) : [])),
  of =>
    withSet(of, ({ items }) =>
      items.flatMap((item, i) => simplerItems(item).map(one => ({ items: items.with(i, one) }))),
    ),
  of => withSet(of, ({ windows }) => (windows.length > 1 ? without(windows).map(left => ({ windows: left })) : [])),
  of => withSet(of, ({ where }) => (where ? [{ where: null }] : [])),
  of => withSet(of, ({ tileOffsetMs }) => (tileOffsetMs > 0 ? [{ tileOffsetMs: 0 }] : [])),
  of =>
    withSet(of, ({ tilesMs }) =>
      tilesMs && tilesMs.length > 1 ? without(tilesMs).map(left => ({ tilesMs: left })) : [],
    ),
  of => withSet(of, ({ keys, groupBy }) => (keys.join() === groupBy.join() ? [] : [{ groupBy: keys }])),
  of => without(of.definitions.entities).map(entities => withDefinitions(of, { entities })),
  of => without(of.definitions.types).map(types => withDefinitions(of, { types })),
  of =>
    of.definitions.types.flatMap((type, i) =>
      without(type.inputs).map(inputs =>
        withDefinitions(of, { types: of.definitions.types.map((one, k) => (k === i ? { ...type, inputs } : one)) }),
      ),
    ),
  of => (of.arrivalsMs ? [{ ...of, arrivalsMs: null, clock: { ...of.clock, kind: 'event' } }] : []),
];

function simplerItems(item: Item): Item[] {
  return item.simpler.filter(sql => sql.length < item.sql.length).map(sql => ({ ...item, sql }));
}

/** Members of an event's data left out, and their values made plain. */
async function simplerLines(current: () => Case, attempt: Attempt): Promise<void> {
  for (let i = 0; i < current().lines.length; i++)
    await oneByOne(
      () => simplerTexts(current().lines[i]!).map(text => ({ ...current(), lines: current().lines.with(i, text) })),
      attempt,
    );
}

const PLAIN = [0, 1, 'a', false];

function simplerTexts(line: string): string[] {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return [];
  }
  const { data } = record as { data?: Record<string, unknown> };
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return [];
  // Text is cut out of text: numbers that JSON.parse would round stay what they are.
  return Object.keys(data).flatMap(name => {
    const left = Object.fromEntries(Object.entries(data).filter(([other]) => other !== name));
    const plain = PLAIN.map(value => ({ ...data, [name]: value }));
    return [left, ...plain].map(simpler => JSON.stringify({ ...(record as object), data: simpler }));
  });
}
