import { Fault } from '../base/fault.ts';
import { LIMITS, type LimitName, tooLarge } from './limits.ts';

/** What `Content-Encoding` may say, and what the runtime calls it. */
const ENCODINGS = new Map<string, string>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['zstd', 'zstd'],
  ['br', 'brotli'],
]);

/** For replies that say what could have been sent. */
export const ENCODINGS_READ = 'gzip, deflate, zstd, br';

/**
 * A request's body, unpacked, and never more of it than the limit says: a small body that would unpack to a large one
 * is left where it passes the limit.
 *
 * @throws Fault `too_large` as soon as the body is known to be longer, `media_type` for an encoding that is not known
 *   here, `request` where the body breaks off, or is not in the encoding that it says
 */
export async function readBody(request: Request, limit: LimitName): Promise<Uint8Array> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  const format = ENCODINGS.get(encoding);
  if (format === undefined && encoding !== 'identity')
    throw new Fault('media_type', `content-encoding is ${encoding}, wanted none or one of ${ENCODINGS_READ}`);
  const maxBytes = LIMITS[limit].value;
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(limit, 'the body is larger');
  const isBounded = format === undefined && request.headers.has('content-length');
  try {
    // The server reads no more than the length that was said.
    if (isBounded) return new Uint8Array(await request.arrayBuffer());
    if (!request.body) return new Uint8Array(0);
    return await gather(format === undefined ? request.body : unpack(request.body, format), limit);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const what = format === undefined ? 'whole' : `${encoding}, as its content-encoding says`;
    throw new Fault('request', `the body is not ${what}: ${(error as Error).message}`);
  }
}

function unpack(body: ReadableStream<Uint8Array>, format: string): ReadableStream<Uint8Array> {
  const unpacker = new DecompressionStream(format as CompressionFormat);
  return body.pipeThrough(unpacker as ReadableWritablePair<Uint8Array, Uint8Array>);
}

async function gather(stream: ReadableStream<Uint8Array>, limit: LimitName): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the stream, and with it whatever unpacks it.
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > LIMITS[limit].value) throw tooLarge(limit, 'the body is larger');
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0]!;
  const bytes = new Uint8Array(size);
  let filled = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, filled);
    filled += chunk.byteLength;
  }
  return bytes;
}
