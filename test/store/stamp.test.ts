import { expect, test } from 'bun:test';
import { appliedAt, nextStamp, NO_STAMP, type Version } from '../../src/store/stamp.ts';
import { Random } from '../sim/random.ts';

interface Stored extends Version {
  sum: number;
}

interface Message {
  row: number;
  add: number;
  appendedMicros: bigint;
}

/** What is left of rows in any order of writes: of each row the one with the greatest stamp, as databases do it. */
class Database {
  readonly rows = new Map<number, Stored>();
  commit = { position: 0, stamp: NO_STAMP };
  /** Writes that were sent, and have not arrived. */
  sent: { row: number; stored: Stored; arrived: () => void }[] = [];

  arrive(index: number): void {
    const [{ row, stored, arrived }] = this.sent.splice(index, 1) as [Database['sent'][number]];
    const there = this.rows.get(row);
    if (there && there.stamp === stored.stamp) expect(stored).toEqual(there);
    if (there && stored.stamp > there.stamp) expect(stored.applied).toBeGreaterThan(there.applied);
    if (!there || stored.stamp > there.stamp) this.rows.set(row, stored);
    arrived();
  }
}

/** Folds the partition, and does not know whether it is still the one who should. */
class Owner {
  #position: number;
  #stamp: bigint;
  readonly #memory = new Map<number, Stored>();
  #dirty = new Set<number>();
  #unanswered = 0;

  constructor(
    private readonly log: Message[],
    private readonly database: Database,
    private readonly epoch: number,
  ) {
    ({ position: this.#position, stamp: this.#stamp } = database.commit);
  }

  get isDone(): boolean {
    return this.#position === this.log.length;
  }

  step(): void {
    const { row, add, appendedMicros } = this.log[this.#position]!;
    const applied = appliedAt(this.epoch, BigInt(this.#position++));
    this.#stamp = nextStamp(this.#stamp, appendedMicros);
    const known = this.#memory.get(row) ?? this.database.rows.get(row);
    // Somebody has been further with this row, and has written it.
    if (known && known.applied >= applied) return;
    this.#memory.set(row, { sum: (known?.sum ?? 0) + add, applied, stamp: 0n });
    this.#dirty.add(row);
  }

  /** Writes what has changed, as of the last position; when all of it has arrived, that is committed, and the next flush may begin. */
  flush(): void {
    if (this.#position === 0 || this.#unanswered > 0) return;
    const version = { applied: appliedAt(this.epoch, BigInt(this.#position - 1)), stamp: this.#stamp };
    const commit = { position: this.#position, stamp: this.#stamp };
    this.#unanswered = this.#dirty.size;
    const arrived = () => {
      if (--this.#unanswered <= 0) this.database.commit = commit;
    };
    for (const row of this.#dirty) {
      const stored = { sum: this.#memory.get(row)!.sum, ...version };
      this.database.sent.push({ row, stored, arrived });
    }
    this.#dirty = new Set();
  }

  /** Rows that are written leave memory; they are read back. */
  evict(): void {
    for (const row of this.#memory.keys())
      if (!this.#dirty.has(row) && this.#unanswered === 0) this.#memory.delete(row);
  }
}

test.each(Array.from({ length: 200 }, (_, i) => i + 1))(
  'owners that do not know of each other leave what one would have: seed %d',
  seed => {
    const random = new Random(seed);
    const [rowCount, epoch] = [1 + random.below(4), random.below(3)];
    let clock = 1_000n;
    const log = Array.from({ length: 60 }, (): Message => {
      // The broker's clock stands still, goes on, jumps, and goes back.
      clock += random.pick([0n, 0n, 1n, 50n, -20n]);
      return { row: random.below(rowCount), add: 1 + random.below(9), appendedMicros: clock };
    });
    const database = new Database();
    const owners = [new Owner(log, database, epoch)];
    for (let n = 0; n < 400; n++) {
      const owner = random.pick(owners);
      if (random.chance(0.6) && !owner.isDone) owner.step();
      else if (random.chance(0.3)) owner.flush();
      else if (random.chance(0.2)) owner.evict();
      else if (random.chance(0.1)) owners.push(new Owner(log, database, epoch));
      else if (random.chance(0.05) && owners.length > 1) owners.splice(owners.indexOf(owner), 1);
      if (random.chance(0.5) && database.sent.length > 0) database.arrive(random.below(database.sent.length));
    }
    const last = new Owner(log, database, epoch);
    while (!last.isDone) last.step();
    last.flush();
    while (database.sent.length > 0) database.arrive(random.below(database.sent.length));
    const wanted = Map.groupBy(log, ({ row }) => row);
    const sums = [...database.rows].map(([row, { sum }]) => [row, sum]);
    expect(Object.fromEntries(sums)).toEqual(
      Object.fromEntries([...wanted].map(([row, messages]) => [row, messages.reduce((sum, { add }) => sum + add, 0)])),
    );
  },
);

test('a position of a later changelog is after all of one before it', () => {
  expect(appliedAt(0, 2n ** 48n - 1n)).toBeLessThan(appliedAt(1, 0n));
  expect(appliedAt(2 ** 15 - 1, 2n ** 48n - 1n)).toBe(2n ** 63n - 1n);
});
