/** Puts together what runs over servers elsewhere, as compose.ts does what runs over a folder. */
import { Fault } from '../base/fault.ts';
import { type Cassandra, type ClusterSettings, openCassandra } from '../store/cassandra.ts';
import type { Config } from './config.ts';

/** Where rows are. @throws Fault `config` where the configuration does not say */
export function scyllaOf({ scylla }: Config, path: string): ClusterSettings {
  if (!scylla) throw new Fault('config', `${path} has no section scylla, which says where rows are to be`);
  const { TILEFOLD_SCYLLA_USER: name, TILEFOLD_SCYLLA_PASSWORD: password = '' } = process.env;
  return { ...scylla, user: name === undefined ? null : { name, password } };
}

/** @throws Fault as `openCassandra` */
export async function openRemote(settings: ClusterSettings): Promise<Cassandra & AsyncDisposable> {
  const remote = await openCassandra(settings);
  return { ...remote, [Symbol.asyncDispose]: () => remote.close() };
}
