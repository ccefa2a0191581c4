/**
 * Crashes lose nothing and count nothing twice: the whole engine, killed in any operation of the disk and around any
 * commit, with and without a power cut. What was acknowledged is in the log once and in order, and rows, lookups and
 * errors are those of a run that never crashed over the log as it stands.
 *
 * The same stories must come out wrong when a promise that this rests on is broken.
 */
import { describe, expect, test } from 'bun:test';
import type { EventLog } from '../../src/source/log.ts';
import type { Store } from '../../src/store/store.ts';
import { planOf } from '../compile/marked.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { MOMENTS } from './database.ts';
import { smallWeek, tame, wild } from './flights.ts';
import type { Keys } from './judge.ts';
import { Random } from './random.ts';
import { randomTopology, randomTopologyLines } from './topologies.ts';
import { type Death, makeStory, type Mistake, type Story, survive } from './lives.ts';
import { definitionsOf, SHOPS, UPSERTS, upsertLines } from './upserts.ts';

/** `bun scripts/long.ts crash` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 1000 : 14;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

/** Every mistake shows within so many; most do in the first few. */
const MISTAKE_SEEDS = 60;

/** About what opening the short story's log takes. */
const RECOVERY_OPERATIONS = 24;

const plan = flightsPlan();
const small = await smallWeek(6, 22);
const short = await smallWeek(4, 20);
const stories: [string, Story][] = [
  ['tame flights', await makeStory(plan, tame(small), 'event')],
  ['perturbed flights', await makeStory(plan, wild(small, 20010305), 'event')],
  ['perturbed flights by the wall clock', await makeStory(plan, wild(small, 20010306), 'wall')],
];

const shops: Keys = new Map([['shop', [...SHOPS, 'nowhere'].map(shop => [shop])]]);
const rng = new Random(7);
// None is too late for its tiles: the oracle keeps no account of those that only exact windows read.
stories.push([
  'a topology',
  await makeStory(randomTopology(rng, 8), tame(randomTopologyLines(rng, 120, 1)), 'event', () => new Map()),
]);
// Rows of all types are known, those of two are counted.
const upserts = await planOf(definitionsOf(UPSERTS, ['worded', 'wrapped']));
stories.push(['upserts', await makeStory(upserts, upsertLines(120, new Random(8)), 'event', () => shops)]);

test.each(stories)(
  '%s: any deaths, after one another',
  async (name, story) => {
    let deaths = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      deaths += (await told(name, seed, [], survive(story, seed))).deaths;
      if (LONG && seed % 100 === 0) console.log(`${name}: ${seed} of ${SEEDS} seeds, ${deaths} deaths`);
    }
    expect(deaths).toBeGreaterThan(2 * SEEDS);
  },
  TIMEOUT_MS,
);

test(
  'every operation and every moment of a commit is a place to die, and every operation of the recovery after it',
  async () => {
    const story = await makeStory(plan, wild(short, 7), 'event');
    for (let seed = 1; seed <= (LONG ? 30 : 1); seed++) {
      const { operations, commits } = await survive(story, seed, {}, [{ kind: 'none' }]);
      expect(operations).toBeGreaterThan(30);
      expect(commits).toBeGreaterThan(2);
      const places: Death[][] = [];
      for (let n = 0; n < operations; n++) places.push([{ kind: 'operation', n }]);
      for (let n = 0; n < commits; n++) for (const moment of MOMENTS) places.push([{ kind: 'commit', n, moment }]);
      // The second process dies while it recovers from the death of the first.
      for (let n = 0; n < RECOVERY_OPERATIONS; n++)
        places.push([
          { kind: 'operation', n: operations - 1 },
          { kind: 'operation', n },
        ]);
      for (const deaths of places) await told('short story', seed, deaths, survive(story, seed, {}, deaths));
      if (LONG) console.log(`seed ${seed}: ${places.length} places`);
    }
  },
  TIMEOUT_MS,
);

describe('found out is', () => {
  const mistakes: [string, Mistake, RegExp][] = [
    ['a disk whose sync does nothing', { lie: 'sync' }, /ndjson: |the log has (only )?\d+/],
    ['a disk whose sync of folders does nothing', { lie: 'syncFolder' }, /ndjson follows|the log has (only )?\d+/],
    ['an ingest that acknowledges what is not durable yet', { wrapLog: tooEarly }, /the log has (only )?\d+/],
    ['a barrier that writes the position ahead of its rows', { wrapStore: positionFirst }, /the rows of the first/],
    ['a barrier that writes rows ahead of their position', { wrapStore: positionLast }, /the rows of the first/],
    ['a barrier that writes errors and what was too late on their own', { wrapStore: apart }, /errors are of|late is/],
  ];
  test.each(mistakes)(
    '%s',
    async (_, mistake, symptom) => {
      const failure = await firstFailure(mistake);
      expect(failure).toMatch(symptom);
    },
    TIMEOUT_MS,
  );
});

async function firstFailure(mistake: Mistake): Promise<string | null> {
  const story = stories[1]![1];
  for (let seed = 1; seed <= MISTAKE_SEEDS; seed++) {
    const failure = await told('perturbed flights', seed, [], survive(story, seed, mistake)).then(
      () => null,
      (error: Error) => error.message,
    );
    if (failure !== null) return failure;
  }
  return null;
}

async function told<T>(name: string, seed: number, deaths: Death[], run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    const first = deaths.length > 0 ? `, first deaths ${JSON.stringify(deaths)}` : '';
    throw new Error(`${name}, seed ${seed}${first}: ${(error as Error).message}`, { cause: error });
  }
}

/** Answers before the disk does. */
function tooEarly(log: EventLog): EventLog {
  let end = log.end;
  const append: EventLog['append'] = async (lines, count, arrivalMicros) => {
    const position = end;
    end += count;
    log.append(lines, count, arrivalMicros).catch(() => {});
    return position;
  };
  return new Proxy(log, {
    get(target, name) {
      if (name === 'append') return append;
      const member = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function positionFirst(store: Store): Store {
  return {
    ...store,
    commit(rows, mark, alongside) {
      store.commit([], mark);
      store.commit(rows, mark, alongside);
    },
  };
}

/** Rows folded twice: they already have what is folded again from the position before. */
function positionLast(store: Store): Store {
  return {
    ...store,
    commit(rows, mark, alongside) {
      store.commit(rows, store.mark());
      store.commit([], mark, alongside);
    },
  };
}

function apart(store: Store): Store {
  return {
    ...store,
    commit(rows, mark, alongside) {
      store.commit([], store.mark(), alongside);
      store.commit(rows, mark);
    },
  };
}
