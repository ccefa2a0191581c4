/**
 * How a lookup reads the rows of many keys:
 *
 *   keys -> those that the same node has, up to a hundred -> a statement for each level of tiles -> rows, each with its key
 *
 * A statement costs the node, and us, more than a partition that it reads, so keys share one. Levels do not: each has a table of its own
 * (cql.ts), for its rows leave the disk together, and those of a fine level long before others.
 */
import type cassandra from 'cassandra-driver';
import { Fault } from '../base/fault.ts';
import { Slots } from '../base/slots.ts';
import type { TileRange } from '../plan/window.ts';
import { byteName } from './address.ts';
import type { RemoteRows } from './remote.ts';

/** Keys of one statement: ScyllaDB takes no more, unless it is told to. */
const KEYS_PER_READ_MAX = 100;

/** Rows of one reply. Where there might be more, keys are asked for by halves. */
const ROWS_PER_READ_MAX = 5_000;

/** Rows of one page, where those of a single key are many. */
const PAGE_ROWS = 1_000;

/** Statements that wait for those under way: whoever comes then would wait for seconds. */
const READS_WAITING_MAX = 2_000;

export interface KeyedParts {
  client: cassandra.Client;
  keyspace: string;
  datacenter: string;
  tableOf: (levelMs: number) => string;
  options: { prepare: boolean; isIdempotent: boolean; consistency: cassandra.types.consistencies };
  /** Statements under way at the same time. */
  readsMax: number;
}

interface Keyed {
  key: Buffer;
  tile_start: bigint;
  value: Buffer;
}

export function keyedIn(parts: KeyedParts): Pick<RemoteRows, 'readKeys'> {
  const { client, keyspace, tableOf, options } = parts;
  const slots = new Slots(parts.readsMax);

  /** By key, and the latest tile first. */
  function rowsOf(entity: number, keys: Buffer[], range: TileRange): Promise<Keyed[]> {
    return keys.length === 1 ? rowsOfOne(entity, keys[0]!, range) : rowsOfMany(entity, keys, range);
  }

  function rowsOfOne(entity: number, key: Buffer, { levelMs, fromMs, toMs }: TileRange): Promise<Keyed[]> {
    const query = `SELECT tile_start, value FROM ${tableOf(levelMs)} WHERE entity = ? AND key = ? AND ${RANGE}`;
    return slots.run(async () => {
      const params = [entity, key, startOf(fromMs), startOf(toMs)];
      const result = await client.execute(query, params, { ...options, fetchSize: PAGE_ROWS });
      const rows = await Array.fromAsync(result as unknown as AsyncIterable<Omit<Keyed, 'key'>>);
      return rows.map(({ tile_start, value }) => ({ key, tile_start, value }));
    });
  }

  /** In one page: a node reads the partitions of several one after the other, and those of a single one side by side. */
  async function rowsOfMany(entity: number, keys: Buffer[], range: TileRange): Promise<Keyed[]> {
    const { levelMs, fromMs, toMs } = range;
    const where = `entity = ? AND key IN ? AND ${RANGE} LIMIT ${ROWS_PER_READ_MAX}`;
    const query = `SELECT key, tile_start, value FROM ${tableOf(levelMs)} WHERE ${where}`;
    const params = [entity, keys, startOf(fromMs), startOf(toMs)];
    const routed = { ...options, keyspace, routingKey: routingKey(entity, keys[0]!), fetchSize: ROWS_PER_READ_MAX };
    const { rows } = await slots.run(() => client.execute(query, params, routed));
    if (rows.length < ROWS_PER_READ_MAX) return rows as unknown as Keyed[];
    const half = keys.length >> 1;
    const halves = [keys.slice(0, half), keys.slice(half)].map(some => rowsOf(entity, some, range));
    return (await Promise.all(halves)).flat();
  }

  return {
    async readKeys(entity, keys, ranges, take) {
      if (slots.waitingCount > READS_WAITING_MAX)
        throw new Fault(
          'busy',
          `${slots.waitingCount} reads of rows wait already, wanted ${READS_WAITING_MAX} at most`,
        );
      const indices = new Map(keys.map((key, i) => [byteName(key), i]));
      const asked = together(keys.map(bufferOf), key => ownerOf(parts, entity, key)).map(async some => {
        const found = await Promise.all(ranges.map(range => rowsOf(entity, some, range)));
        for (const [i, rows] of found.entries())
          for (const { key, tile_start, value } of rows.reverse())
            take(indices.get(byteName(key))!, ranges[i]!.levelMs, Number(tile_start), value, 0, value.length);
      });
      await Promise.all(asked);
    },
  };
}

const RANGE = 'tile_start >= ? AND tile_start < ?';

/** A bound of a range, which may be infinite. */
function startOf(ms: number): bigint {
  return BigInt(Math.min(Math.max(ms, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER));
}

/** Keys that one statement asks for: of one owner, and no more than it takes. */
export function together<K>(keys: K[], ownerOf: (key: K) => string): K[][] {
  const groups = Map.groupBy(keys, ownerOf);
  return [...groups.values()].flatMap(group =>
    Array.from({ length: Math.ceil(group.length / KEYS_PER_READ_MAX) }, (_, i) =>
      group.slice(i * KEYS_PER_READ_MAX, (i + 1) * KEYS_PER_READ_MAX),
    ),
  );
}

/** The first node nearby that has a key. Before the driver knows the keyspace, one stands for all. */
function ownerOf({ client, keyspace, datacenter }: KeyedParts, entity: number, key: Buffer): string {
  const replicas = client.getReplicas(keyspace, routingKey(entity, key)) ?? [];
  const owner = replicas.find(host => host.datacenter === datacenter) ?? replicas[0];
  return owner?.address ?? '';
}

/** Of a partition, as nodes hash it: each part with its length before it, and a zero behind. */
export function routingKey(entity: number, key: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + 3 + key.length + 3);
  bytes.writeUInt16BE(4, 0);
  bytes.writeInt32BE(entity, 2);
  bytes.writeUInt16BE(key.length, 7);
  bytes.set(key, 9);
  return bytes;
}

/** A view: the driver takes nothing else for a blob. */
export function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
