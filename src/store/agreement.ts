/** What all processes of a cluster agree on, by lightweight transactions: numbers of names, and decisions (agreed.ts). */
import type cassandra from 'cassandra-driver';
import { Fault } from '../base/fault.ts';
import type { Agreement, Decision } from './agreed.ts';

type Driver = typeof cassandra;

/** A name of the dictionary. With another hash it is another name. */
export interface NumberedName {
  kind: 'entity' | 'aggregate';
  name: string;
  hash: string;
}

/** Numbers stand for names in rows for ever. */
export interface Dictionary {
  /** Numbers of names, in their order: whoever asks first for one that is new decides. */
  numbers(names: NumberedName[]): Promise<number[]>;
  /** Numbers that nothing has had, in their order, for what begins anew though it may have been there before. */
  newNumbers(names: NumberedName[]): Promise<number[]>;
}

/** Not to be sent again by itself: whether it was applied is seen by reading, as of all that has been decided. */
function deciding({ types, policies }: Driver) {
  const { localQuorum, localSerial } = types.consistencies;
  const retry = new policies.retry.FallthroughRetryPolicy();
  return {
    glance: { prepare: true, isIdempotent: true, consistency: localQuorum },
    read: { prepare: true, isIdempotent: true, consistency: localSerial },
    write: { prepare: true, isIdempotent: false, consistency: localQuorum, serialConsistency: localSerial, retry },
  };
}

/** Somebody else may be numbering too: so often the next number is taken already, and then it is tried anew. */
const NUMBERING_TRIES_MAX = 1_000;

export function dictionaryIn(client: cassandra.Client, driver: Driver, keyspace: string): Dictionary {
  const { read, write } = deciding(driver);
  const known = new Map<string, number>();
  const greatest = new Map<string, number>();
  const named = ({ kind, name, hash }: NumberedName) => JSON.stringify([kind, name, hash]);

  async function look(kinds: Iterable<NumberedName['kind']>): Promise<void> {
    for (const kind of kinds) {
      const query = `SELECT id, name, hash FROM ${keyspace}.names WHERE kind = ?`;
      const { rows } = await client.execute(query, [kind], { ...read, fetchSize: 0 });
      for (const { id, name, hash } of rows) known.set(named({ kind, name, hash }), id as number);
      greatest.set(kind, Math.max(0, ...rows.map(({ id }) => id as number)));
    }
  }

  /** Takes the next number; null where somebody else has been faster. */
  async function claim({ kind, name, hash }: NumberedName): Promise<number | null> {
    const id = greatest.get(kind)! + 1;
    const query = `INSERT INTO ${keyspace}.names (kind, id, name, hash) VALUES (?, ?, ?, ?) IF NOT EXISTS`;
    const result = await client.execute(query, [kind, id, name, hash], write);
    await look([kind]);
    return result.wasApplied() ? id : null;
  }

  async function claimed(one: NumberedName, isDone: () => boolean): Promise<number | null> {
    let id: number | null = null;
    for (let n = 0; id === null && !isDone(); n++) {
      if (n === NUMBERING_TRIES_MAX) throw new Fault('busy', `${keyspace}: no number for ${one.kind} ${one.name}`);
      id = await claim(one);
    }
    return id;
  }

  return {
    async numbers(names) {
      await look(new Set(names.map(({ kind }) => kind)));
      for (const one of names) await claimed(one, () => known.has(named(one)));
      return names.map(one => known.get(named(one))!);
    },
    async newNumbers(names) {
      await look(new Set(names.map(({ kind }) => kind)));
      const ids: number[] = [];
      for (const one of names) ids.push((await claimed(one, () => false))!);
      return ids;
    },
  };
}

/** All decisions lie in one partition, whose turn each of them has to name. */
export function agreementIn(client: cassandra.Client, driver: Driver, keyspace: string): Agreement {
  const { glance, read, write } = deciding(driver);
  const [agreed, reached] = [`${keyspace}.agreed`, `${keyspace}.reached`];

  async function turn(options: object): Promise<number> {
    const { rows } = await client.execute(`SELECT turn FROM ${agreed} WHERE cluster = 1 LIMIT 1`, [], options);
    return (rows[0]?.turn as number | null | undefined) ?? 0;
  }

  return {
    turn: () => turn(glance),
    async read() {
      for (;;) {
        const query = `SELECT turn, kind, number, state FROM ${agreed} WHERE cluster = 1`;
        const { rows } = await client.execute(query, [], { ...read, fetchSize: 0 });
        const at = (rows[0]?.turn as number | null | undefined) ?? 0;
        const decisions: Decision[] = [];
        for (const { kind, number, state } of rows) {
          const body = isLive(state) ? await bodyOf(kind, number) : '';
          decisions.push({ kind, number, state, body });
        }
        // What was decided while bodies were read belongs to another turn.
        if ((await turn(read)) === at) return { turn: at, decisions };
      }
    },
    async decide(at, decisions) {
      const [condition, params] = at === 0 ? ['NULL', [1]] : ['?', [1 + at, at]];
      const insert = `INSERT INTO ${agreed} (cluster, kind, number, state, body) VALUES (1, ?, ?, ?, ?)`;
      const statements = [
        { query: `UPDATE ${agreed} SET turn = ? WHERE cluster = 1 IF turn = ${condition}`, params },
        ...decisions.map(({ kind, number, state, body }) => ({ query: insert, params: [kind, number, state, body] })),
      ];
      return (await client.batch(statements, write)).wasApplied();
    },
    async reached(what, number) {
      const query = `SELECT source, note FROM ${reached} WHERE what = ? AND number = ?`;
      const { rows } = await client.execute(query, [what, number], { ...read, fetchSize: 0 });
      return new Map(rows.map(({ source, note }) => [source as number, note as string]));
    },
    async reach(what, number, partition, note) {
      const query = `INSERT INTO ${reached} (what, number, source, note) VALUES (?, ?, ?, ?) IF NOT EXISTS`;
      await client.execute(query, [what, number, partition, note], write);
    },
  };

  async function bodyOf(kind: string, number: number): Promise<string> {
    const query = `SELECT body FROM ${agreed} WHERE cluster = 1 AND kind = ? AND number = ?`;
    const { rows } = await client.execute(query, [kind, number], read);
    return rows[0]!.body as string;
  }
}

function isLive(state: Decision['state']): boolean {
  return state !== 'over' && state !== 'given up';
}
