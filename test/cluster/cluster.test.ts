/** Everything that needs servers is in this file, so that a run of all tests starts them once. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { archiveSuite } from './archive.suite.ts';
import { cassandraSuite } from './cassandra.suite.ts';
import { serveSuite } from './serve.suite.ts';
import { faultSuite } from './fault.suite.ts';
import { secureSuite } from './secure.suite.ts';
import { sourcesSuite } from './sources.suite.ts';
import { upgradeSuite } from './upgrade.suite.ts';
import { workSuite } from './work.suite.ts';
import { hasJava, hasServers, type Servers, START_MAX_MS, startServers } from './servers.ts';

describe.skipIf(!hasServers('Kafka and Cassandra'))('the cluster', () => {
  let servers: Servers;
  beforeAll(async () => {
    servers = await startServers();
  }, START_MAX_MS);
  afterAll(() => servers?.stop());

  test('listens where it says', async () => {
    for (const address of [servers.kafka, servers.cassandra]) {
      const [hostname, port] = address.split(':');
      const socket = await Bun.connect({ hostname: hostname!, port: Number(port), socket: { data() {} } });
      expect(socket.readyState).toBeGreaterThan(0);
      socket.end();
    }
  });

  cassandraSuite(() => servers);
  serveSuite(() => servers);
  workSuite(() => servers);
  faultSuite(() => servers);
  archiveSuite(() => servers);
  sourcesSuite(() => servers);
  upgradeSuite(() => servers);
});

describe.skipIf(!hasJava('servers with certificates'))('the cluster, secured', () => secureSuite());
