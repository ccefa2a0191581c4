/** One Cassandra node, for tests and for trying things out: nothing is replicated, and anybody may do anything. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLUSTER_DIR, classPath } from './java.ts';
import type { Security } from './security.ts';
import { freePorts, type Launch } from './server.ts';

const LOGBACK = fileURLToPath(new URL('logback.xml', import.meta.url));

/** What Cassandra does with Java's inner parts, and has to be allowed. */
const EXPORTS = `java.base/jdk.internal.misc java.base/java.lang.ref java.management.rmi/com.sun.jmx.remote.internal.rmi
  java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql jdk.unsupported/sun.misc`;
const OPENS = `java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io
  java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent
  java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math
  java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect
  java.base/jdk.internal.util.jar java.base/sun.nio.ch jdk.management/com.sun.management.internal
  jdk.compiler/com.sun.tools.javac.file`;

function settings(dir: string, port: number, storagePort: number, security: Security | null): string {
  return `cluster_name: tilefold
num_tokens: 1
initial_token: 0
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
authenticator: ${security ? 'PasswordAuthenticator' : 'AllowAllAuthenticator'}
authorizer: AllowAllAuthorizer
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{ seeds: "127.0.0.1:${storagePort}" }]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: ${storagePort}
native_transport_port: ${port}
start_native_transport: true
data_file_directories: ["${dir}/data"]
commitlog_directory: ${dir}/commitlog
cdc_raw_directory: ${dir}/cdc_raw
hints_directory: ${dir}/hints
saved_caches_directory: ${dir}/saved_caches
commitlog_sync: periodic
commitlog_sync_period: 1000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
memtable_heap_space: 128MiB
memtable_offheap_space: 64MiB
memtable_flush_writers: 1
key_cache_size: 16MiB
counter_cache_size: 0MiB
file_cache_size: 64MiB
networking_cache_size: 32MiB
concurrent_reads: 16
concurrent_writes: 16
concurrent_counter_writes: 4
concurrent_compactors: 1
hinted_handoff_enabled: false
auto_snapshot: false
batch_size_warn_threshold: 64KiB
batch_size_fail_threshold: 1024KiB
read_request_timeout: 20s
write_request_timeout: 20s
request_timeout: 20s
range_request_timeout: 20s
auto_bootstrap: false
disk_access_mode: mmap_index_only
${security ? secured(security) : ''}`;
}

function secured({ ca, server }: Security): string {
  return `client_encryption_options:
  enabled: true
  require_client_auth: true
  ssl_context_factory: { class_name: org.apache.cassandra.security.PEMBasedSslContextFactory }
  keystore: ${server}
  truststore: ${ca}
`;
}

/** Writes its settings. */
export function cassandraLaunch(
  java: string,
  dir: string,
  port: number,
  note: (text: string) => void,
  security: Security | null = null,
): Launch {
  const jars = classPath('cassandra', note);
  const temporary = join(dir, 'tmp');
  mkdirSync(temporary, { recursive: true });
  const path = join(dir, 'cassandra.yaml');
  writeFileSync(path, settings(dir, port, freePorts(1)[0]!, security));
  const jamm = readdirSync(join(CLUSTER_DIR, 'jars-cassandra')).find(name => /^jamm-.*\.jar$/.test(name))!;
  const allowed = [
    ...EXPORTS.split(/\s+/).flatMap(name => ['--add-exports', `${name}=ALL-UNNAMED`]),
    ...OPENS.split(/\s+/).flatMap(name => ['--add-opens', `${name}=ALL-UNNAMED`]),
  ];
  const heap = ['-Xms256m', '-Xmx512m', '-Xss512k', '-XX:MaxDirectMemorySize=256m'];
  const machine = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData', '-Djava.awt.headless=true'];
  const properties = {
    'jdk.attach.allowAttachSelf': true,
    'java.io.tmpdir': temporary,
    'java.net.preferIPv4Stack': true,
    'jna.tmpdir': temporary,
    'io.netty.tryReflectionSetAccessible': true,
    'logback.configurationFile': LOGBACK,
    'cassandra.config': `file://${path}`,
    'cassandra.storagedir': dir,
    'cassandra-foreground': 'yes',
    'cassandra.jmx.local.port': 0,
    // A node alone has nobody to wait for.
    'cassandra.skip_wait_for_gossip_to_settle': 0,
    'cassandra.ring_delay_ms': 1,
    'cassandra.superuser_setup_delay_ms': 0,
  };
  const defined = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  const agent = `-javaagent:${join(CLUSTER_DIR, 'jars-cassandra', jamm)}`;
  const words = [...heap, ...machine, agent, ...allowed, ...defined, '-cp', jars];
  const ready = 'Starting listening for CQL clients';
  return {
    name: 'cassandra',
    dir,
    port,
    java,
    words: [...words, 'org.apache.cassandra.service.CassandraDaemon'],
    ready,
  };
}
