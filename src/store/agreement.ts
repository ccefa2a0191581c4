/** What all processes of a cluster agree on, by lightweight transactions: numbers of names, and the definitions that rows are of. */
import type cassandra from 'cassandra-driver';
import { Fault } from '../base/fault.ts';

type Driver = typeof cassandra;

/** A name of the dictionary. With another hash it is another name. */
export interface NumberedName {
  kind: 'entity' | 'aggregate';
  name: string;
  hash: string;
}

/** Not to be sent again by itself: whether it was applied is seen by reading, as of all that has been decided. */
function deciding({ types, policies }: Driver) {
  const { localQuorum, localSerial } = types.consistencies;
  const retry = new policies.retry.FallthroughRetryPolicy();
  return {
    read: { prepare: true, isIdempotent: true, consistency: localSerial },
    write: { prepare: true, isIdempotent: false, consistency: localQuorum, serialConsistency: localSerial, retry },
  };
}

/** Somebody else may be numbering too: so often the next number is taken already, and then it is tried anew. */
const NUMBERING_TRIES_MAX = 1_000;

/** Numbers of names, in their order. */
export async function numbers(
  client: cassandra.Client,
  driver: Driver,
  keyspace: string,
  names: NumberedName[],
): Promise<number[]> {
  const { read, write } = deciding(driver);
  const known = new Map<string, number>();
  const greatest = new Map<string, number>();
  const named = ({ kind, name, hash }: NumberedName) => JSON.stringify([kind, name, hash]);
  const look = async (kind: NumberedName['kind']) => {
    const query = `SELECT id, name, hash FROM ${keyspace}.names WHERE kind = ?`;
    const { rows } = await client.execute(query, [kind], { ...read, fetchSize: 0 });
    for (const { id, name, hash } of rows) known.set(named({ kind, name, hash }), id as number);
    greatest.set(kind, Math.max(0, ...rows.map(({ id }) => id as number)));
  };
  for (const kind of new Set(names.map(one => one.kind))) await look(kind);
  for (const one of names) {
    for (let n = 0; !known.has(named(one)); n++) {
      if (n === NUMBERING_TRIES_MAX) throw new Fault('busy', `${keyspace}: no number for ${one.kind} ${one.name}`);
      const query = `INSERT INTO ${keyspace}.names (kind, id, name, hash) VALUES (?, ?, ?, ?) IF NOT EXISTS`;
      await client.execute(query, [one.kind, greatest.get(one.kind)! + 1, one.name, one.hash], write);
      await look(one.kind);
    }
  }
  return names.map(one => known.get(named(one))!);
}

/** Whoever only reads finds it there. */
export async function agreedHash(
  client: cassandra.Client,
  driver: Driver,
  keyspace: string,
  hash: string,
): Promise<string> {
  const { read, write } = deciding(driver);
  const known = async () => {
    const { rows } = await client.execute(`SELECT hash FROM ${keyspace}.plans WHERE number = 1`, [], read);
    return rows[0]?.hash as string | undefined;
  };
  const found = await known();
  if (found !== undefined) return found;
  await client.execute(`INSERT INTO ${keyspace}.plans (number, hash) VALUES (1, ?) IF NOT EXISTS`, [hash], write);
  return (await known())!;
}
