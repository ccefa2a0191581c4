import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Addresses, startCluster, stopCluster, VARIABLES } from '../../scripts/cluster.ts';
import { findJava } from '../../scripts/cluster/java.ts';
import { findServer, stopServer } from '../../scripts/cluster/server.ts';

/** Jars may have to be fetched first. */
export const START_MAX_MS = 600_000;

/** Whether there can be servers; says aloud what is skipped, and why. @throws Error under CI=true where there can be none */
export function hasServers(what: string): boolean {
  return Object.values(VARIABLES).every(name => process.env[name]) || hasJava(what);
}

/** Whether there can be servers of our own, as `hasServers`. */
export function hasJava(what: string): boolean {
  const found = findJava();
  if (!('missing' in found)) return true;
  const reason = `${what}: ${found.missing}; ${Object.values(VARIABLES).join(' and ')} name servers that run elsewhere`;
  if (process.env.CI === 'true') throw new Error(reason);
  console.warn(`SKIPPED ${reason}`);
  return false;
}

export interface Servers extends Addresses {
  /** Stops one and starts it again, where it was; null where somebody else runs them. */
  restart: ((name: keyof Addresses) => Promise<void>) | null;
  stop(): Promise<void>;
}

/** Those that the environment names, or new ones in a folder of their own that end with this process. */
export async function startServers(): Promise<Servers> {
  const [kafka, cassandra] = [process.env[VARIABLES.kafka], process.env[VARIABLES.cassandra]];
  if (kafka && cassandra) return { kafka, cassandra, restart: null, stop: async () => {} };
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-cluster-'));
  const settings = { dir, isTied: true, note: console.warn };
  const addresses = await startCluster(settings);
  return {
    ...addresses,
    async restart(name) {
      const folder = join(dir, name);
      await stopServer(findServer(folder)!, folder);
      await startCluster({ ...settings, ports: { [name]: Number(addresses[name].split(':')[1]) } });
    },
    async stop() {
      await stopCluster(dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
