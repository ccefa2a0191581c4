import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Addresses, startCluster, stopCluster } from '../../scripts/cluster.ts';
import { makeSecurity, type Security } from '../../scripts/cluster/security.ts';
import { type Access, openKafka, SASL_MECHANISMS } from '../../src/source/kafka.ts';
import { openCassandra } from '../../src/store/cassandra.ts';
import { START_MAX_MS } from './servers.ts';
import { ROOT, startProcess } from './workers.ts';

const KEYSPACE = { name: 'secured', datacenter: 'datacenter1', replicas: 1 };
/** The one that a new Cassandra has. */
const CASSANDRA = { name: 'cassandra', password: 'cassandra' };

/** As little as there can be: each table takes a moment to be made. */
const VIEWS = `events: { view: { user: string } }
entities: { user: string }
---
feature_set: views
description: what a user has seen
owner: tests
entity: user
source: view
windows: [lifetime]
sql: SELECT user, COUNT(*) AS views FROM view GROUP BY user
`;

/** Servers that take nobody without a certificate and a password. */
export function secureSuite(): void {
  describe('servers that want a certificate and a password', () => {
    const dir = mkdtempSync(join(tmpdir(), 'tilefold-secured-'));
    let addresses: Addresses;
    let security: Security;
    let others: Security;
    beforeAll(async () => {
      security = makeSecurity(join(dir, 'ours'));
      others = makeSecurity(join(dir, 'theirs'));
      addresses = await startCluster({ dir, isTied: true, note: console.warn, security });
    }, START_MAX_MS);
    afterAll(async () => {
      await stopCluster(dir);
      rmSync(dir, { recursive: true, force: true });
    });

    const login = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', password = security.user.password) => ({
      ...{ mechanism, name: security.user.name, password },
    });
    const kafka = (access: Partial<Access>) =>
      openKafka([addresses.kafka], { tls: security, login: login('plain'), ...access });
    const cassandra = (more: object) =>
      openCassandra({ hosts: [addresses.cassandra], keyspace: KEYSPACE, user: CASSANDRA, tls: security, ...more });

    test.each([...SASL_MECHANISMS])('Kafka lets in who knows the password, by %s, and nobody else', async mechanism => {
      const broker = await kafka({ login: login(mechanism) });
      expect(await broker.partitionsOf('none')).toBeNull();
      await broker.close();
      const said = `Kafka at ${addresses.kafka} does not let tilefold in: `;
      await expect(kafka({ login: login(mechanism, 'guessed') })).rejects.toThrow(said);
    });

    test('Kafka and a client that do not trust each other are a fault that says so', async () => {
      const said = `Kafka at ${addresses.kafka} and this process do not trust each other: `;
      await expect(kafka({ tls: { ...security, ca: others.ca } })).rejects.toThrow(said);
      await expect(kafka({ tls: { ...security, ca: null } })).rejects.toThrow(said);
      await expect(kafka({ tls: { ...security, client: null } })).rejects.toThrow(said);
    });

    test('Cassandra lets in who knows the password and is signed for, and says what is wrong with others', async () => {
      const store = await cassandra({});
      expect((await store.makeTables([]))[0]).toContain('CREATE KEYSPACE');
      await store.close();
      const where = `Cassandra at ${addresses.cassandra}`;
      const guessed = { ...CASSANDRA, password: 'guessed' };
      await expect(cassandra({ user: guessed })).rejects.toThrow(
        `${where}: Provided username cassandra and/or password`,
      );
      const said = `${where} and this process do not trust each other: `;
      await expect(cassandra({ tls: { ...security, ca: others.ca } })).rejects.toThrow(said);
      await expect(cassandra({ tls: { ...security, client: null } })).rejects.toThrow(said);
    });

    test('processes take certificates from the configuration, and passwords from the environment', async () => {
      const tls = { ca: 'ours/ca.pem', cert: 'ours/client.pem', key: 'ours/client.key' };
      const changelog = { partitions: 1, replicas: 1 };
      const config = {
        definitions: 'features',
        scylla: { hosts: [addresses.cassandra], keyspace: 'wired', replicas: 1, tls },
        kafka: { brokers: [addresses.kafka], tls, sasl: 'scram-sha-512', changelog },
      };
      await Bun.write(join(dir, 'features/view.yaml'), VIEWS);
      await Bun.write(join(dir, 'tilefold.yaml'), JSON.stringify(config));
      const broker = await kafka({});
      await broker.makeTopic({ name: 'events', partitions: 1, replicas: 1, settings: {} });
      await broker.close();
      const env = {
        ...{ TILEFOLD_SCYLLA_USER: CASSANDRA.name, TILEFOLD_SCYLLA_PASSWORD: CASSANDRA.password },
        ...{ TILEFOLD_KAFKA_USER: security.user.name, TILEFOLD_KAFKA_PASSWORD: security.user.password },
      };
      const words = [process.execPath, join(ROOT, 'src/main.ts'), 'cql', '--apply'];
      const made = Bun.spawnSync(words, { cwd: dir, env: { ...process.env, ...env } });
      expect(made.stdout.toString()).toContain('lifetimes');
      const worker = await startProcess(dir, ['work'], 'tilefold works on', env);
      worker.child.kill('SIGTERM');
      expect(await worker.child.exited).toBe(0);
      const nameless = startProcess(dir, ['work'], 'tilefold works on', { ...env, TILEFOLD_KAFKA_PASSWORD: 'guessed' });
      await expect(nameless).rejects.toThrow('does not let tilefold in');
    });
  });
}
