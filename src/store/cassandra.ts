import type cassandra from 'cassandra-driver';
import { Fault } from '../base/fault.ts';
import { isUntrusted, type TlsFiles, tlsOptions } from '../base/tls.ts';
import { agreementIn, type Dictionary, dictionaryIn } from './agreement.ts';
import type { Agreement } from './agreed.ts';
import { entityAt, keyAt, levelAt, tileStartAt } from './address.ts';
import {
  agreementStatements,
  type Keyspace,
  keyspaceStatement,
  type KeptTable,
  lengthenStatement,
  tableName,
  tableStatement,
  ttlSeconds,
} from './cql.ts';
import { bufferOf, keyedIn } from './keyed.ts';
import { PackWalk } from './pack.ts';
import type { RemoteRows, TakeVersioned } from './remote.ts';
import type { Version } from './stamp.ts';
import type { Row } from './store.ts';

/** Where a cluster is, and what of it is ours. */
export interface ClusterSettings {
  /** `host` or `host:port`. */
  hosts: string[];
  keyspace: Keyspace;
  user: { name: string; password: string } | null;
  /** Connections are plain where it is left out. */
  tls?: TlsFiles | null;
}

/** How a kind of process works with rows. */
export interface Role {
  /** How many replicas have to answer a read. Rows are written at LOCAL_QUORUM. */
  consistency: 'local_quorum' | 'local_one';
  /** Statements that read and are under way at the same time, of the whole process. */
  readsMax: number;
  /** A replica that has not answered after so long is not waited for alone; null waits. */
  speculativeMs: number | null;
  /** A node that has not answered a statement by then is given up for it. */
  timeoutMs: number;
}

/** Of a connection that is opened, and of statements that nobody waits for: a busy node answers late. */
const TIMEOUT_MS = 20_000;

/** Reads few rows, and has to see what was acknowledged, whoever wrote it. */
export const FOLDING: Role = { consistency: 'local_quorum', readsMax: 64, speculativeMs: null, timeoutMs: TIMEOUT_MS };

/** Statements under way: enough to keep a few nodes busy, and few enough that none waits for long behind the others. */
const WRITES_MAX = 128;

/** Replicas that are asked beside the first one. */
const SPECULATIVE_MAX = 1;

/** Of one batch: below what a database warns of. A larger row goes alone, and not as a batch. */
const BATCH_BYTES = 4 << 10;

/** Tiles that one statement asks for. */
const TILES_PER_READ_MAX = 100;

/** Rows of one page, where they are many. */
const PAGE_ROWS = 1_000;

/** A statement that nobody has answered is tried so often more: all of them may come twice. */
const RETRIES_MAX = 3;

const RECONNECT_EVERY_MS = 1_000;

type Driver = typeof cassandra;
type Info = cassandra.policies.retry.OperationInfo;

/** How rows are read and written: by a majority of the replicas nearby, so that whoever reads sees what was acknowledged. */
function optionsOf({ types }: Driver, consistency: Role['consistency']) {
  const { localQuorum, localOne } = types.consistencies;
  return { prepare: true, isIdempotent: true, consistency: consistency === 'local_one' ? localOne : localQuorum };
}
type Options = ReturnType<typeof optionsOf>;

/** Every statement of rows says what they are then, and which write stays: it may be sent again. */
function retrying({ policies }: Driver): cassandra.policies.retry.RetryPolicy {
  const policy = new policies.retry.RetryPolicy();
  const same = undefined as unknown as cassandra.types.consistencies;
  const again = ({ nbRetry }: Info) => (nbRetry < RETRIES_MAX ? policy.retryResult(same) : policy.rethrowResult());
  return Object.assign(policy, { onReadTimeout: again, onWriteTimeout: again, onUnavailable: again });
}

function speculating({ policies: { speculativeExecution } }: Driver, { speculativeMs }: Role) {
  if (speculativeMs === null) return new speculativeExecution.NoSpeculativeExecutionPolicy();
  return new speculativeExecution.ConstantSpeculativeExecutionPolicy(speculativeMs, SPECULATIVE_MAX);
}

/** Rows in Cassandra or ScyllaDB; its tables are made by `makeTables`. */
export interface Cassandra extends RemoteRows, Dictionary {
  agreement: Agreement;
  /** Makes the keyspace and the tables that are not there, and lengthens what is kept for too short; returns the statements that changed something. */
  makeTables(tables: KeptTable[]): Promise<string[]>;
  close(): Promise<void>;
}

/**
 * Connects to a cluster.
 *
 * @throws Fault `busy` where no node answers, `config` where it refuses; then and later
 */
export async function openCassandra(settings: ClusterSettings, role: Role = FOLDING): Promise<Cassandra> {
  const { hosts, keyspace, user, tls } = settings;
  // Whoever works with a folder alone need not wait for it.
  const { default: driver } = await import('cassandra-driver');
  const client = new driver.Client({
    contactPoints: hosts,
    localDataCenter: keyspace.datacenter,
    ...(user ? { credentials: { username: user.name, password: user.password } } : {}),
    ...(tls ? { sslOptions: await tlsOptions(tls) } : {}),
    encoding: { useBigIntAsLong: true },
    socketOptions: { connectTimeout: TIMEOUT_MS, readTimeout: role.timeoutMs },
    policies: {
      retry: retrying(driver),
      speculativeExecution: speculating(driver, role),
      // The driver would wait longer and longer for a node that is away, ten minutes at last.
      reconnection: new driver.policies.reconnection.ConstantReconnectionPolicy(RECONNECT_EVERY_MS),
    },
  });
  const reached = <T>(work: Promise<T>) =>
    work.catch((error: Error) => Promise.reject(faultOf(driver, error, settings)));
  try {
    await reached(client.connect());
  } catch (error) {
    await client.shutdown();
    throw error;
  }
  const [reading, writing] = [optionsOf(driver, role.consistency), optionsOf(driver, 'local_quorum')];
  const rows = rowsIn(client, keyspace.name, role.readsMax, { reading, writing });
  const { readKeys } = keyedIn({
    ...{ client, keyspace: keyspace.name, datacenter: keyspace.datacenter, readsMax: role.readsMax, options: reading },
    tableOf: levelMs => `${keyspace.name}.${tableName(levelMs)}`,
  });
  const agreement = agreementIn(client, driver, keyspace.name);
  return {
    readRows: (wanted, take) => reached(rows.readRows(wanted, take)),
    writeRows: (run, version) => reached(rows.writeRows(run, version)),
    readKeys: (...asked) => reached(readKeys(...asked)),
    scan: levelMs => rows.scan(levelMs),
    numbers: names => reached(dictionaryIn(client, driver, keyspace.name).numbers(names)),
    newNumbers: names => reached(dictionaryIn(client, driver, keyspace.name).newNumbers(names)),
    agreement: {
      turn: () => reached(agreement.turn()),
      read: () => reached(agreement.read()),
      decide: (turn, decisions) => reached(agreement.decide(turn, decisions)),
      reached: (what, number) => reached(agreement.reached(what, number)),
      reach: (what, number, partition, note) => reached(agreement.reach(what, number, partition, note)),
    },
    makeTables: tables => reached(makeTables(client, keyspace, tables)),
    close: () => client.shutdown(),
  };
}

function rowsIn(
  client: cassandra.Client,
  keyspace: string,
  readsMax: number,
  { reading, writing }: { reading: Options; writing: Options },
): Omit<RemoteRows, 'readKeys'> {
  const statements = new Map<number, Statements>();
  const of = (levelMs: number): Statements => {
    if (!statements.has(levelMs)) statements.set(levelMs, statementsOf(`${keyspace}.${tableName(levelMs)}`));
    return statements.get(levelMs)!;
  };

  async function readRows(wanted: Uint8Array, take: TakeVersioned): Promise<void> {
    const found: (Found | undefined)[] = [];
    await inFlight(readsMax, readsOf(wanted), async ({ entity, key, levelMs, starts, indices }) => {
      const { rows } = await client.execute(of(levelMs).pick, [entity, key, starts], reading);
      for (const row of rows) found[indices[starts.indexOf(row.tile_start)]!] = row as unknown as Found;
    });
    for (const [index, row] of found.entries())
      if (row) take(index, row.value, 0, row.value.length, { applied: row.applied, stamp: row.stamp });
  }

  function writeRows(run: Uint8Array[], { applied, stamp }: Version): Promise<void> {
    const statement = ({ entity, key, levelMs, tileStart, value }: Written) => ({
      query: of(levelMs).insert,
      params: [entity, key, tileStart, value, applied, stamp],
    });
    return inFlight(WRITES_MAX, batchesOf(run), async rows => {
      const [first, ...more] = rows.map(statement);
      if (more.length === 0) await client.execute(first!.query, first!.params, writing);
      else await client.batch([first!, ...more], { ...writing, logged: false });
    });
  }

  async function* scan(levelMs: number): AsyncGenerator<Row & Version> {
    const result = await client.execute(of(levelMs).scan, [], { ...reading, fetchSize: PAGE_ROWS });
    for await (const { entity, key, tile_start, value, applied, stamp } of result as unknown as AsyncIterable<Scanned>)
      yield { entity, key, levelMs, tileStartMs: Number(tile_start), value, applied, stamp };
  }

  return { readRows, writeRows, scan };
}

interface Found {
  tile_start: bigint;
  value: Buffer;
  applied: bigint;
  stamp: bigint;
}

interface Scanned extends Found {
  entity: number;
  key: Buffer;
}

interface Statements {
  pick: string;
  insert: string;
  scan: string;
}

function statementsOf(table: string): Statements {
  const found = 'tile_start, value, applied, WRITETIME(value) AS stamp';
  return {
    pick: `SELECT ${found} FROM ${table} WHERE entity = ? AND key = ? AND tile_start IN ?`,
    insert: `INSERT INTO ${table} (entity, key, tile_start, value, applied) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?`,
    scan: `SELECT entity, key, ${found} FROM ${table}`,
  };
}

/** Rows that one statement reads: tiles of a level of a key. */
interface Asked {
  entity: number;
  key: Buffer;
  levelMs: number;
  starts: bigint[];
  /** Of each, among all that are wanted. */
  indices: number[];
}

function* readsOf(wanted: Uint8Array): Generator<Asked> {
  let asked = null as Asked | null;
  const walk = new PackWalk().open(wanted);
  for (let index = 0; walk.next(); index++) {
    const { address, length } = walk;
    const [entity, levelMs, key] = [entityAt(address), levelAt(address, length), bufferOf(keyAt(address, length))];
    const isSame = asked?.entity === entity && asked.levelMs === levelMs && asked.key.equals(key);
    if (asked && (!isSame || asked.starts.length === TILES_PER_READ_MAX)) {
      yield asked;
      asked = null;
    }
    asked ??= { entity, key, levelMs, starts: [], indices: [] };
    asked.starts.push(BigInt(tileStartAt(address, length)));
    asked.indices.push(index);
  }
  if (asked) yield asked;
}

interface Written {
  entity: number;
  key: Buffer;
  levelMs: number;
  tileStart: bigint;
  value: Buffer;
}

/** Rows of one key: whatever tables they are of, they lie on the same nodes. */
function* batchesOf(run: Iterable<Uint8Array>): Generator<Written[]> {
  let rows: Written[] = [];
  let size = 0;
  const walk = new PackWalk();
  for (const part of run) {
    for (walk.open(part); walk.next(); ) {
      const { address, length } = walk;
      const [entity, key, value] = [entityAt(address), bufferOf(keyAt(address, length)), bufferOf(walk.value())];
      const [first] = rows;
      if (first && (first.entity !== entity || !first.key.equals(key) || size + value.length > BATCH_BYTES)) {
        yield rows;
        [rows, size] = [[], 0];
      }
      const [levelMs, tileStart] = [levelAt(address, length), BigInt(tileStartAt(address, length))];
      rows.push({ entity, key, levelMs, tileStart, value });
      size += value.length;
    }
  }
  if (rows.length > 0) yield rows;
}

/** Works on items, so many at a time. The first failure is thrown when nothing is under way any more. */
async function inFlight<T>(countMax: number, items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failure: unknown = null;
  const worker = async () => {
    for (let next = rest.next(); !next.done && failure === null; next = rest.next())
      await work(next.value).catch((error: unknown) => {
        failure ??= error;
      });
  };
  await Promise.all(Array.from({ length: countMax }, worker));
  if (failure !== null) throw failure;
}

/** One after the other: nodes agree on each before the next one comes. */
async function makeTables(client: cassandra.Client, keyspace: Keyspace, tables: KeptTable[]): Promise<string[]> {
  const kept = await keptSeconds(client, keyspace.name);
  const made: string[] = [];
  const make = async (statement: string) => {
    await client.execute(statement);
    made.push(statement);
  };
  if (kept === null) await make(keyspaceStatement(keyspace));
  for (const statement of agreementStatements(keyspace.name))
    if (!kept?.has(/\.(\w+) /.exec(statement)![1]!)) await make(statement);
  for (const table of tables) {
    const [found, wanted] = [kept?.get(tableName(table.levelMs)), ttlSeconds(table)];
    if (found === undefined) await make(tableStatement(keyspace.name, table));
    else if (found !== 0 && (wanted === 0 || wanted > found)) await make(lengthenStatement(keyspace.name, table));
  }
  return made;
}

/** How long each table of a keyspace keeps rows, 0 for ever; null where there is no such keyspace. */
async function keptSeconds(client: cassandra.Client, keyspace: string): Promise<Map<string, number> | null> {
  const options = { prepare: true };
  const known = await client.execute(
    'SELECT * FROM system_schema.keyspaces WHERE keyspace_name = ?',
    [keyspace],
    options,
  );
  if (known.rowLength === 0) return null;
  const query = 'SELECT table_name, default_time_to_live FROM system_schema.tables WHERE keyspace_name = ?';
  const { rows } = await client.execute(query, [keyspace], options);
  return new Map(rows.map(row => [row.table_name as string, row.default_time_to_live as number]));
}

/** What the driver and the database say, as a fault of whoever has to do something about it. */
function faultOf({ errors, types }: Driver, error: Error, { hosts, keyspace }: ClusterSettings): Error {
  const where = `Cassandra at ${hosts.join(', ')}`;
  if (error instanceof errors.NoHostAvailableError) {
    const inner = Object.values(error.innerErrors as Record<string, Error | string>)[0];
    if (inner instanceof errors.AuthenticationError) return new Fault('config', `${where}: ${inner.message}`);
    const why = inner instanceof Error ? inner.message : (inner ?? error.message);
    if (isUntrusted(inner ?? error))
      return new Fault('config', `${where} and this process do not trust each other: ${why}`);
    return new Fault('busy', `${where} does not answer: ${why}`);
  }
  if (error instanceof errors.ResponseError) {
    const isMissing = /unconfigured table|[Kk]eyspace .* does not exist/.test(error.message);
    if (isMissing) {
      const found = `${where} has no tables for these definitions in ${keyspace.name} (${error.message})`;
      return new Fault('config', `${found}: \`tilefold cql --apply\` makes them`);
    }
    const { responseErrorCodes: codes } = types;
    const isRefused = [codes.unauthorized, codes.badCredentials, codes.invalid, codes.syntaxError].includes(error.code);
    return new Fault(isRefused ? 'config' : 'busy', `${where}: ${error.message}`);
  }
  if (error instanceof errors.OperationTimedOutError || error instanceof errors.BusyConnectionError)
    return new Fault('busy', `${where}: ${error.message}`);
  return error;
}
