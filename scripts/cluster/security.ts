/** Certificates for servers that are to be reached by TLS and a password alone: made anew by OpenSSL, good for a day. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What servers ask for, and clients have to bring. */
export interface Security {
  /** PEM files: who signs, and who clients are. */
  ca: string;
  client: { cert: string; key: string };
  /** Key and certificate of servers in one file, as they want them. */
  server: string;
  /** Of Kafka; Cassandra begins with one that it names itself. */
  user: { name: string; password: string };
}

/** @throws Error where there is no OpenSSL */
export function makeSecurity(dir: string): Security {
  mkdirSync(dir, { recursive: true });
  const path = (name: string) => join(dir, name);
  const openssl = (...words: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(['openssl', ...words], { cwd: dir });
    if (exitCode !== 0) throw new Error(`openssl ${words[0]} exited with ${exitCode}: ${stderr.toString()}`);
  };
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...fresh, '-days', '1', '-subj', '/CN=tests', '-keyout', 'ca.key', '-out', 'ca.pem');
  for (const name of ['server', 'client']) {
    openssl('req', ...fresh, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    writeFileSync(path('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost');
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'names'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
  }
  writeFileSync(path('both.pem'), readFileSync(path('server.key'), 'utf8') + readFileSync(path('server.pem'), 'utf8'));
  return {
    ca: path('ca.pem'),
    client: { cert: path('client.pem'), key: path('client.key') },
    server: path('both.pem'),
    user: { name: 'tilefold', password: crypto.randomUUID() },
  };
}
