/** Connections that nobody else reads: which files they need, and what an error of theirs says. */
import { readFile } from 'node:fs/promises';
import { Fault } from './fault.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  /** Who is believed; null believes whom the system believes. */
  ca: string | null;
  /** Who we are, for a server that asks; null where none does. */
  client: { cert: string; key: string } | null;
}

/** As both drivers hand it to Node. */
export interface TlsOptions {
  ca?: string;
  cert?: string;
  key?: string;
  rejectUnauthorized: true;
}

/** @throws Fault `config` where a file cannot be read */
export async function tlsOptions({ ca, client }: TlsFiles): Promise<TlsOptions> {
  return {
    ...(ca !== null && { ca: await pem(ca) }),
    ...(client && { cert: await pem(client.cert), key: await pem(client.key) }),
    rejectUnauthorized: true,
  };
}

async function pem(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `${path}, which tls names, cannot be read (${error.code})`);
  });
  if (!text.includes('-----BEGIN ')) throw new Fault('config', `${path}, which tls names, has nothing in PEM`);
  return text;
}

/** Whether an error says that the two do not trust each other, or do not both speak TLS: no other try helps. */
export function isUntrusted(error: unknown): boolean {
  const { code = '' } = error as { code?: unknown };
  return /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(SSL|TLS|BORINGSSL)|^EPROTO$/.test(String(code));
}
