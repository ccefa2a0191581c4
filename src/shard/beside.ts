import { assert } from '../base/assert.ts';
import type { BesideWriter } from '../ingest/barrier.ts';
import { sealedBuffers } from '../store/sealed.ts';
import type { Wire } from './desk.ts';
import { errorOf } from './failure.ts';
import type { FromWriter, ToWriter } from './message.ts';

/**
 * The writer of a crew, for an engine in one thread.
 *
 * @param onFailure is told what nobody waits for
 */
export function besideWriter(wire: Wire<ToWriter, FromWriter>, onFailure: (error: unknown) => void): BesideWriter {
  let done: PromiseWithResolvers<FromWriter> | null = null;
  wire.listen(message => {
    const asked = done;
    done = null;
    if (message.kind === 'failed' && asked) asked.reject(errorOf(message.failure));
    else if (message.kind === 'failed') onFailure(errorOf(message.failure));
    else asked?.resolve(message);
  });
  const ask = (message: ToWriter, moved: ArrayBufferLike[] = []): Promise<FromWriter> => {
    assert(!done, 'the writer does one thing at a time');
    done = Promise.withResolvers();
    wire.post(message, moved);
    return done.promise;
  };
  return {
    async write(snapshot) {
      const { runs, sealed } = snapshot;
      const moved = [...runs.flatMap(run => run.map(({ buffer }) => buffer)), ...sealed.flatMap(sealedBuffers)];
      const written = await ask({ kind: 'write', ...snapshot }, moved);
      assert(written.kind === 'written', 'the writer answers what it was asked');
      return written;
    },
    async close() {
      await ask({ kind: 'close' });
      await wire.end();
    },
  };
}
