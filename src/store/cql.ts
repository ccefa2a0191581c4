/** What rows need of a cluster of Cassandra or ScyllaDB: its statements, as text. */
import { Fault } from '../base/fault.ts';
import { formatDuration } from '../base/time.ts';
import type { Plan } from '../plan/plan.ts';
import { keptLevels, LIFETIME_LEVEL_MS } from '../plan/window.ts';

/** A level of tiles, and how long after it was written for the last time a row of it may still be asked for. */
export interface KeptTable {
  levelMs: number;
  /** Infinity for ever. */
  ttlMs: number;
}

/** What a database takes for a time to live: 20 years. */
const TTL_MAX_SECONDS = 630_720_000;

/** An event may be so far ahead of the clock that its tile is kept by. */
export const AHEAD_MS = 600_000;

/** Rows that are written at one time expire at one time: so many files hold those of a level. */
const FILES_PER_TTL = 24;

/** All levels that rows of a plan are of, each once, the lifetime first. */
export function keptTables(plan: Plan): KeptTable[] {
  const ttls = new Map<number, number>();
  for (const aggregate of plan.aggregates)
    for (const { levelMs, ttlMs } of keptLevels(aggregate, plan))
      ttls.set(levelMs, Math.max(ttlMs, ttls.get(levelMs) ?? 0));
  return [...ttls].map(([levelMs, ttlMs]) => ({ levelMs, ttlMs })).sort((a, b) => a.levelMs - b.levelMs);
}

/** The table of a level: `tiles_1m`; lifetimes lie apart. */
export function tableName(levelMs: number): string {
  return levelMs === LIFETIME_LEVEL_MS ? 'lifetimes' : `tiles_${formatDuration(levelMs)}`;
}

/** Seconds. @throws Fault `unsupported` where a database takes no time to live as long as that */
export function ttlSeconds({ levelMs, ttlMs }: KeptTable): number {
  if (ttlMs === Infinity) return 0;
  const seconds = Math.ceil((ttlMs + AHEAD_MS) / 1000);
  if (seconds <= TTL_MAX_SECONDS) return seconds;
  const most = formatDuration(TTL_MAX_SECONDS * 1000);
  const found = `tiles of ${formatDuration(levelMs)} are kept for ${formatDuration(ttlMs)}`;
  throw new Fault('unsupported', `${found}; in a cluster rows are kept for ${most} at most, or for ever`);
}

/**
 * How long files with nothing but expired rows stay: as long as databases keep writes for a node that is away, by their defaults. Theirs is ten
 * days, for rows that are deleted, which none of ours is: a node that has not heard of a row's last write has it expire earlier.
 */
const GRACE_SECONDS = 10_800;

export interface Keyspace {
  name: string;
  datacenter: string;
  replicas: number;
}

export function keyspaceStatement({ name, datacenter, replicas }: Keyspace): string {
  const replication = `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${replicas}}`;
  return `CREATE KEYSPACE IF NOT EXISTS ${name} WITH replication = ${replication}`;
}

/** One table for each level: a row is a tile, and the tiles of a key lie together, the latest first. */
export function tableStatement(keyspace: string, table: KeptTable): string {
  const columns = 'entity int, key blob, tile_start bigint, value blob, applied bigint';
  const order = 'CLUSTERING ORDER BY (tile_start DESC)';
  const head = `CREATE TABLE IF NOT EXISTS ${keyspace}.${tableName(table.levelMs)}`;
  const options = [order, ...optionsOf(table)].join(' AND ');
  return `${head} (${columns}, PRIMARY KEY ((entity, key), tile_start)) WITH ${options}`;
}

/** What all processes have to agree on, by lightweight transactions: numbers of names, decisions, and who has come how far with them. */
export function agreementStatements(keyspace: string): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${keyspace}.names (kind text, id int, name text, hash text, PRIMARY KEY (kind, id))`,
    `CREATE TABLE IF NOT EXISTS ${keyspace}.agreed (cluster int, turn int static, kind text, number int, state text, body text, PRIMARY KEY (cluster, kind, number))`,
    `CREATE TABLE IF NOT EXISTS ${keyspace}.reached (what text, number int, source int, note text, PRIMARY KEY ((what, number), source))`,
  ];
}

/** Of a table that is there with a shorter time to live. */
export function lengthenStatement(keyspace: string, table: KeptTable): string {
  return `ALTER TABLE ${keyspace}.${tableName(table.levelMs)} WITH ${optionsOf(table).join(' AND ')}`;
}

function optionsOf(table: KeptTable): string[] {
  const seconds = ttlSeconds(table);
  if (seconds === 0) return ['default_time_to_live = 0'];
  const minutes = Math.max(1, Math.ceil(seconds / 60 / FILES_PER_TTL));
  const compaction = `{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'MINUTES', 'compaction_window_size': ${minutes}}`;
  return [`default_time_to_live = ${seconds}`, `gc_grace_seconds = ${GRACE_SECONDS}`, `compaction = ${compaction}`];
}

/**
 * ScyllaDB shares out its work by these: a unit of folding for five of lookups, where both want more than there is. Roles of
 * these names have to be there, and the processes of each kind log in as theirs.
 */
export const SERVICE_LEVELS = [
  'CREATE SERVICE LEVEL IF NOT EXISTS tilefold_fold WITH SHARES = 200',
  'CREATE SERVICE LEVEL IF NOT EXISTS tilefold_serve WITH SHARES = 1000',
  'ATTACH SERVICE LEVEL tilefold_fold TO tilefold_fold',
  'ATTACH SERVICE LEVEL tilefold_serve TO tilefold_serve',
];
