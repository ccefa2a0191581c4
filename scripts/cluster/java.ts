/** Finds Java and Maven, and has Maven fetch the jars of servers. */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Where jars and servers lie: ignored by git, and kept from run to run. */
export const CLUSTER_DIR = fileURLToPath(new URL('../../.cache/cluster', import.meta.url));

/** What both servers run on: Cassandra 5 takes nothing newer, Kafka 4 nothing older. */
const JAVA_VERSION = 17;

/** The path of Java; a sentence on what is missing where there is none that fits. */
export function findJava(servers = 'Kafka and Cassandra'): { java: string } | { missing: string } {
  const home = process.env.JAVA_HOME;
  const java = home ? join(home, 'bin/java') : Bun.which('java');
  const wanted = `${servers} need Java ${JAVA_VERSION} (JAVA_HOME, or \`java\` on the path)`;
  if (!java || !existsSync(java)) return { missing: `${wanted}, and there is none` };
  const told = Bun.spawnSync([java, '-version']).stderr.toString();
  const version = /version "(\d+)/.exec(told)?.[1];
  if (Number(version) === JAVA_VERSION) return { java };
  return { missing: `${wanted}, and ${java} is version ${version ?? 'unknown'}` };
}

/** The class path of a server, fetched first where that has not been done: a minute or two, once. */
export function classPath(
  server: 'kafka' | 'cassandra' | 'flink',
  note: (text: string) => void,
  xml = join(HERE, `${server}.xml`),
): string {
  const folder = join(CLUSTER_DIR, `jars-${server}`);
  if (!existsSync(folder)) fetchJars(server, xml, folder, note);
  const jars = readdirSync(folder).filter(name => name.endsWith('.jar'));
  return jars.map(name => join(folder, name)).join(':');
}

/** @throws Error where there is no Maven, or where it cannot fetch them */
function fetchJars(server: string, xml: string, folder: string, note: (text: string) => void): void {
  const maven = Bun.which('mvn');
  if (!maven) throw new Error(`the jars of ${server} are fetched with Maven (\`mvn\` on the path), and there is none`);
  note(`fetching the jars of ${server} from Maven Central`);
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  const words = ['-q', '-B', '-f', xml, 'dependency:copy-dependencies'];
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [maven, ...words, '-DincludeScope=runtime', `-DoutputDirectory=${part}`],
    { cwd: HERE, stdin: 'ignore' },
  );
  if (exitCode !== 0) throw new Error(`mvn exited with ${exitCode}:\n${stdout.toString()}${stderr.toString()}`);
  // Killed on the way, the next one begins anew.
  renameSync(part, folder);
}
