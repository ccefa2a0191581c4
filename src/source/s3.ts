import { Fault } from '../base/fault.ts';
import { type Bucket, missing } from './bucket.ts';

export interface S3Settings {
  bucket: string;
  /** Of a service that is not Amazon's: `http://127.0.0.1:9000`. */
  endpoint?: string | undefined;
  region?: string | undefined;
  /** Before the name of every object; it may hold slashes. */
  prefix: string;
}

/** A request that is not answered by then never will be. A part of an object is a request of its own. */
const DEADLINE_MS = 60_000;

/** An object of up to one part is written in one request; S3 wants parts of 5 MiB at least, and 10,000 at most. */
const PART_BYTES = 16 << 20;
/** Of an object's parts on their way at once: they are what it costs in memory. */
const PARTS_AT_ONCE = 2;

/** What a list gives at once, by the protocol. */
const LIST_MAX = 1_000;

/** No object is longer by the protocol; it bounds what is believed of an answer. */
const LISTS_MAX = 10_000;

/** Of an object that is there already. Two that are being made at a time are told apart by trying again. */
const PRECONDITION_FAILED = 412;

/** What no further try will change: somebody has to look at the configuration. */
const REFUSALS = new Set([
  'NoSuchBucket',
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ERR_S3_MISSING_CREDENTIALS',
  'ERR_S3_INVALID_ENDPOINT',
]);

/**
 * A bucket of S3, or of whatever speaks its protocol. Credentials are those of the environment, as every tool for S3
 * takes them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; and so are AWS_REGION and AWS_ENDPOINT_URL
 * where the settings leave them out.
 *
 * Its calls throw Fault `config` where the service refuses them for good, and Error where another try may help.
 */
export function s3Bucket(settings: S3Settings, environment: Record<string, string | undefined> = process.env): Bucket {
  const { bucket, prefix } = settings;
  const options = {
    accessKeyId: environment.AWS_ACCESS_KEY_ID,
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY,
    sessionToken: environment.AWS_SESSION_TOKEN,
    endpoint: settings.endpoint ?? environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL,
    region: settings.region ?? environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION,
  };
  const known = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const client = new Bun.S3Client({ bucket, ...known });
  const name = `s3://${bucket}/${prefix}`;
  const asked = <T>(work: Promise<T>) => answered(name, work);
  const read = (object: string, offset: number, length: number) => {
    const part = client.file(prefix + object).slice(offset, offset + length);
    return asked(part.bytes());
  };
  return {
    name,
    async list() {
      const objects: { name: string; bytes: number }[] = [];
      let token: string | undefined;
      for (let lists = 0; lists < LISTS_MAX; lists++) {
        const page = await asked(
          client.list({ prefix, maxKeys: LIST_MAX, ...(token === undefined ? {} : { continuationToken: token }) }),
        );
        for (const { key, size = 0 } of page.contents ?? [])
          objects.push({ name: key.slice(prefix.length), bytes: size });
        token = page.isTruncated ? page.nextContinuationToken : undefined;
        if (token === undefined) break;
      }
      return objects.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async size(object) {
      try {
        return (await asked(client.stat(prefix + object))).size;
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return null;
        // Its answer had no body, and so no reason: reading a byte is refused with one.
        await read(object, 0, 1);
        throw error;
      }
    },
    read,
    async write(object, bytes, chunks) {
      const file = client.file(prefix + object);
      if (bytes <= PART_BYTES) {
        await asked(file.write(await gathered(bytes, chunks)));
        return;
      }
      const writer = file.writer({ partSize: PART_BYTES, queueSize: PARTS_AT_ONCE, retry: 0 });
      try {
        for await (const chunk of chunks) {
          writer.write(chunk);
          await asked(Promise.resolve(writer.flush()));
        }
        await asked(Promise.resolve(writer.end()));
      } catch (error) {
        // Parts that nobody completes are no object.
        await Promise.resolve(writer.end(error as Error)).catch(() => {});
        throw error;
      }
    },
    make: (object, bytes) => asked(putNew(client.presign(prefix + object, { method: 'PUT' }), bytes)),
  };
}

/** The client cannot say it: a signed request of its own, for a name that no object may have yet. */
async function putNew(url: string, bytes: Uint8Array): Promise<boolean> {
  const reply = await fetch(url, { method: 'PUT', body: Buffer.from(bytes), headers: { 'If-None-Match': '*' } });
  const text = await reply.text();
  if (reply.ok) return true;
  if (reply.status === PRECONDITION_FAILED) return false;
  const tag = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  const message = tag('Message') ?? `the answer was ${reply.status}`;
  throw Object.assign(new Error(message), { code: tag('Code') ?? String(reply.status) });
}

async function gathered(bytes: number, chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  let filled = 0;
  for await (const chunk of chunks) {
    whole.set(chunk, filled);
    filled += chunk.length;
  }
  return whole.subarray(0, filled);
}

/** What an answer is, with an end to waiting for it. */
async function answered<T>(name: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS);
  try {
    return await Promise.race([work, late.promise]);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'NoSuchKey') throw missing((error as Error).message);
    if (REFUSALS.has(code)) throw new Fault('config', `${name} cannot be used: ${code}: ${(error as Error).message}`);
    if (code === '') throw error;
    throw new Error(`${code}: ${(error as Error).message}`);
  } finally {
    clearTimeout(timer);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
