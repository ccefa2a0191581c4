import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import cassandra from 'cassandra-driver';
import { freePorts } from '../../scripts/cluster/server.ts';
import { type Cassandra, openCassandra } from '../../src/store/cassandra.ts';
import { runOf } from '../../src/store/batch.ts';
import { AHEAD_MS, type KeptTable } from '../../src/store/cql.ts';
import { routingKey } from '../../src/store/keyed.ts';
import type { Version } from '../../src/store/stamp.ts';
import { byAddress } from '../../src/store/sqlite.ts';
import type { Row, RowAddress } from '../../src/store/store.ts';
import { Random } from '../sim/random.ts';
import type { Servers } from './servers.ts';

const ROOT = join(import.meta.dir, '../..');

const LEVELS = [0, 1_000, 60_000];
const TABLES: KeptTable[] = LEVELS.map(levelMs => ({ levelMs, ttlMs: levelMs === 0 ? Infinity : 86_400_000 }));

/** Of a run of the tests: servers may be those of somebody else. */
function ownName(): string {
  return `t${Date.now().toString(36)}${process.pid}`;
}

function settingsOf(address: string, name: string) {
  return { hosts: [address], keyspace: { name, datacenter: 'datacenter1', replicas: 1 }, user: null };
}

/** What a database of rows does, on a real one. */
export function cassandraSuite(servers: () => Servers): void {
  describe('rows in Cassandra', () => {
    const name = ownName();
    let store: Cassandra;
    beforeAll(async () => {
      store = await openCassandra(settingsOf(servers().cassandra, name));
      await store.makeTables(TABLES);
    });
    afterAll(() => store?.close());

    const write = (rows: Row[], version: Version) =>
      store.writeRows(
        [...runOf(rows)].map(part => part.slice()),
        version,
      );

    test('tables are made once, and kept for longer where that is wanted', async () => {
      expect(await store.makeTables(TABLES)).toEqual([]);
      const [, second] = TABLES;
      expect(await store.makeTables([{ ...second!, ttlMs: 1 }])).toEqual([]);
      const [longer] = await store.makeTables([{ ...second!, ttlMs: 2 * 86_400_000 }]);
      expect(longer).toContain(`ALTER TABLE ${name}.tiles_1s WITH default_time_to_live = 173400 AND gc_grace_seconds`);
      expect(await store.makeTables(TABLES)).toEqual([]);
    });

    test('random writes leave the row with the greatest stamp, whatever comes last, read in every way', async () => {
      const random = new Random(7);
      const model = new Map<string, Row & Version>();
      for (let n = 0; n < 25; n++) {
        const stamp = BigInt(1 + random.below(1_000)) * 2_000_000n + BigInt(n);
        const version = { applied: stamp * 3n, stamp };
        const rows = Array.from({ length: random.below(120) }, () => randomRow(random, random.pick([20, 20, 9_000])));
        const last = [...new Map(rows.map(row => [nameOf(row), row])).values()];
        await write(last, version);
        for (const row of last)
          if ((model.get(nameOf(row))?.stamp ?? 0n) < stamp) model.set(nameOf(row), { ...row, ...version });
      }
      const all = [...model.values()].sort(byAddress);
      expect(all.length).toBeGreaterThan(400);
      const scanned: (Row & Version)[] = [];
      for (const level of LEVELS) for await (const row of store.scan(level)) scanned.push(row);
      expect(scanned.sort(byAddress).map(plain)).toEqual(all.map(plain));

      const asked = [
        ...new Map(
          [...all, ...Array.from({ length: 300 }, () => randomRow(random, 0))].map(row => [nameOf(row), row]),
        ).values(),
      ].sort(byAddress);
      const wanted = Buffer.concat([...runOf(asked.map(row => ({ ...row, value: new Uint8Array(0) })))]);
      const found: unknown[] = [];
      await store.readRows(wanted, (index, bytes, start, end, version) =>
        found.push(plain({ ...asked[index]!, value: bytes.subarray(start, end), ...version })),
      );
      expect(found).toEqual(all.map(plain));

      for (let n = 0; n < 60; n++) {
        const { entity, tileStartMs } = randomRow(random, 0);
        const toMs = random.chance(0.2) ? Number.POSITIVE_INFINITY : tileStartMs + random.below(20) * 60_000;
        const fromMs = random.chance(0.2) ? Number.NEGATIVE_INFINITY : tileStartMs;
        const many = Array.from({ length: 1 + random.below(3) * 40 }, () => randomRow(random, 0).key);
        const keys = [...new Map(many.map(key => [Buffer.from(key).toString('hex'), key])).values()];
        const read = keys.map((): unknown[] => []);
        const ranges = LEVELS.map(levelMs => ({ levelMs, fromMs, toMs }));
        await store.readKeys(entity, keys, ranges, (index, levelMs, start, bytes, from, to) =>
          read[index]!.push([levelMs, start, Buffer.from(bytes.subarray(from, to)).toString('hex')]),
        );
        const isIn = (row: Row) => row.entity === entity && row.tileStartMs >= fromMs && row.tileStartMs < toMs;
        const among = all.filter(isIn);
        for (const [i, key] of keys.entries()) {
          const its = among.filter(row => Buffer.compare(row.key, key) === 0);
          expect(read[i]).toEqual(its.map(row => [row.levelMs, row.tileStartMs, plain(row)[4]]));
        }
      }
    });

    test('of more rows than one reply has none is left out, and none comes twice', async () => {
      const keys = Array.from({ length: 5 }, (_, i) => Buffer.from(`busy ${i}`));
      const [level, tiles] = [1_000, 1_700];
      const rows = keys.slice(0, 4).flatMap(key =>
        Array.from({ length: tiles }, (_, i) => ({
          ...{ entity: 7, key, levelMs: level, tileStartMs: i * level, value: Buffer.from('x') },
        })),
      );
      await write(rows, { applied: 1n, stamp: BigInt(Date.now()) * 1000n });
      const starts = keys.map((): number[] => []);
      const range = { levelMs: level, fromMs: 0, toMs: Number.POSITIVE_INFINITY };
      await store.readKeys(7, keys, [range], (index, _level, start) => starts[index]!.push(start));
      const every = Array.from({ length: tiles }, (_, i) => i * level);
      expect(starts).toEqual([every, every, every, every, []]);
    });

    test('keys are hashed as the database hashes them', async () => {
      const key = Buffer.from([0, 1, 0xff]);
      const row = { entity: 4, key, levelMs: 0, tileStartMs: 0, value: new Uint8Array(1) };
      await write([row], { applied: 1n, stamp: 1n });
      const client = new cassandra.Client({ contactPoints: [servers().cassandra], localDataCenter: 'datacenter1' });
      await client.connect();
      const query = `SELECT token(entity, key) AS place FROM ${name}.lifetimes WHERE entity = 4 AND key = 0x0001ff`;
      const { rows } = await client.execute(query);
      const { metadata } = client as unknown as { metadata: { newToken(key: Buffer): { getValue(): unknown } } };
      expect(String(metadata.newToken(routingKey(4, key)).getValue())).toBe(String(rows[0]!.place));
      await client.shutdown();
    });

    test('a value larger than a batch may be is a row as any other', async () => {
      const row = {
        entity: 9,
        key: Buffer.from('large'),
        levelMs: 0,
        tileStartMs: 0,
        value: new Uint8Array(300_000).fill(7),
      };
      const other = { ...row, tileStartMs: 1, value: new Uint8Array(300_000).fill(8) };
      await write([row, other], { applied: 1n, stamp: 1n });
      const sizes: number[] = [];
      const range = { levelMs: 0, fromMs: 0, toMs: 2 };
      await store.readKeys(9, [row.key], [range], (_index, _level, _start, _bytes, from, to) => sizes.push(to - from));
      expect(sizes).toEqual([300_000, 300_000]);
    });

    test('a row leaves its table in time, and what an owner of before sends then does not bring it back', async () => {
      const short = { levelMs: 5_000, ttlMs: 1_000 - AHEAD_MS };
      await store.makeTables([short]);
      const row = { entity: 1, key: Buffer.from('k'), levelMs: 5_000, tileStartMs: 0, value: Buffer.from('x') };
      const stamp = BigInt(Date.now()) * 1000n;
      const isThere = async () => {
        let count = 0;
        await store.readKeys(1, [row.key], [{ levelMs: 5_000, fromMs: 0, toMs: 1 }], () => count++);
        return count === 1;
      };
      await write([row], { applied: 5n, stamp });
      expect(await isThere()).toBe(true);
      for (let n = 0; n < 200 && (await isThere()); n++) await Bun.sleep(50);
      await write([row], { applied: 4n, stamp: stamp - 1n });
      expect(await isThere()).toBe(false);
    });

    test('names have one number, whoever asks first, and however many at a time', async () => {
      const names = Array.from({ length: 12 }, (_, i) => ({ kind: 'aggregate' as const, name: `n${i}`, hash: 'h' }));
      const askers = [names, names.toReversed(), names.slice(3)].map(async asked => {
        const numbers = await store.numbers(asked);
        return new Map(asked.map(({ name }, i) => [name, numbers[i]!]));
      });
      const [all, ...others] = await Promise.all(askers);
      expect([...all!.values()].sort((a, b) => a - b)).toEqual(names.map((_, i) => i + 1));
      for (const other of others) for (const [name, number] of other) expect(number).toBe(all!.get(name)!);
      const [other] = await store.numbers([{ ...names[0]!, hash: 'of another definition' }]);
      expect(other).toBe(13);
      // What begins anew has a number of its own, though it may have been there before.
      const anew = await Promise.all([names.slice(0, 1), names.slice(0, 1)].map(store.newNumbers));
      expect(anew.flat().sort()).toEqual([14, 15]);
    });

    test('of many who decide at once by the same turn one does, and all read the same', async () => {
      const { agreement } = store;
      const plan = (number: number, body: string) => ({
        kind: 'plan' as const,
        number,
        state: 'coming' as const,
        body,
      });
      expect([await agreement.turn(), await agreement.read()]).toEqual([0, { turn: 0, decisions: [] }]);
      let winners: string[] = [];
      for (let turn = 0; turn < 3; turn++) {
        const askers = Array.from({ length: 6 }, (_, i) => `${turn}.${i}`);
        const decided = await Promise.all(askers.map(body => agreement.decide(turn, [plan(turn + 1, body)])));
        winners = [...winners, ...askers.filter((_, i) => decided[i])];
        expect(winners.length).toBe(turn + 1);
        expect(await agreement.turn()).toBe(turn + 1);
      }
      const { turn, decisions } = await agreement.read();
      expect(turn).toBe(3);
      expect(decisions.map(({ body }) => body)).toEqual(winners);
      await agreement.decide(3, [{ ...plan(1, 'long'), state: 'over' }]);
      expect((await agreement.read()).decisions[0]).toEqual({ ...plan(1, ''), state: 'over' });
      await Promise.all(['a', 'b', 'c'].map(note => agreement.reach('plan', 1, 7, note)));
      const first = await agreement.reached('plan', 1);
      await agreement.reach('plan', 1, 7, 'later');
      expect(await agreement.reached('plan', 1)).toEqual(first);
      expect([...first.keys()]).toEqual([7]);
    });

    test('faults say what is to be done', async () => {
      await using other = await disposable(settingsOf(servers().cassandra, `${name}_none`));
      const wanted = [...runOf([{ ...randomRow(new Random(1), 1), levelMs: 0 }])][0]!.slice();
      const read = other.store.readRows(wanted, () => {});
      await expect(read).rejects.toThrow('`tilefold cql --apply` makes them');
      const nobody = openCassandra(settingsOf(`127.0.0.1:${freePorts(1)[0]}`, name));
      await expect(nobody).rejects.toThrow('does not answer');
    });

    test('tilefold cql prints the tables of definitions, makes them, and has nothing to do then', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'tilefold-cql-'));
      const scylla = { hosts: [servers().cassandra], keyspace: `${name}_cli`, replicas: 1 };
      await Bun.write(
        join(dir, 'tilefold.yaml'),
        JSON.stringify({ definitions: join(ROOT, 'examples/flights'), scylla }),
      );
      const cql = (...words: string[]) => {
        const ran = Bun.spawnSync([process.execPath, join(ROOT, 'src/main.ts'), 'cql', ...words], { cwd: dir });
        expect(ran.stderr.toString()).toBe('');
        return ran.stdout.toString();
      };
      const printed = JSON.parse(cql('--json')) as string[];
      expect(printed.map(text => text.split(' (')[0])).toEqual([
        `CREATE KEYSPACE IF NOT EXISTS ${name}_cli WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}`,
        ...['names', 'agreed', 'reached', 'lifetimes', 'tiles_1m', 'tiles_30m', 'tiles_1d'].map(
          table => `CREATE TABLE IF NOT EXISTS ${name}_cli.${table}`,
        ),
      ]);
      expect(JSON.parse(cql('--apply', '--json'))).toEqual(printed);
      expect(cql('--apply')).toBe('');
    });
  });
}

async function disposable(settings: ReturnType<typeof settingsOf>) {
  const store = await openCassandra(settings);
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

function randomRow(random: Random, valueMax: number): Row {
  return {
    entity: 1 + random.below(3),
    key: Uint8Array.from({ length: random.below(3) }, () => random.pick([0, 1, 0x7f, 0x80, 0xff])),
    levelMs: random.pick(LEVELS),
    tileStartMs: (random.below(40) - 20) * 60_000,
    value: new Uint8Array(random.below(valueMax)).fill(random.below(256)),
  };
}

function nameOf({ entity, key, levelMs, tileStartMs }: RowAddress): string {
  return [entity, Buffer.from(key).toString('hex'), levelMs, tileStartMs].join(' ');
}

function plain({ entity, key, levelMs, tileStartMs, value, applied, stamp }: Row & Version) {
  const [keyText, text] = [Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')];
  return [entity, keyText, levelMs, tileStartMs, text, applied, stamp];
}
