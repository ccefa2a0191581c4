import { Fault } from '../base/fault.ts';

/**
 * A request's body, never more of it than `maxBytes`.
 *
 * @throws Fault `too_large` as soon as the body is known to be longer
 */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get('content-length') ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (!request.body) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
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

function tooLarge(maxBytes: number): Fault {
  return new Fault('too_large', `the body is larger than ${maxBytes} bytes; send it in several requests`);
}
