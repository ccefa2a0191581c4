import { errorOf } from '../shard/failure.ts';
import type { Failure, FromShard, FromWriter, ToShard, ToWriter } from '../shard/message.ts';
import type { Wire } from '../shard/desk.ts';

/** Starts a worker; resolves when it has opened what it needs. */
export async function startWorker<To extends ToShard | ToWriter, From extends FromShard | FromWriter>(
  first: To,
): Promise<Wire<To, From>> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url));
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  worker.addEventListener('close', () => ended.resolve());
  let hear = (message: From) => {
    if (message.kind === 'opened') opened.resolve();
    else if (message.kind === 'failed') opened.reject(errorOf(message.failure));
  };
  worker.onmessage = ({ data }: MessageEvent<From[]>) => {
    for (const message of data) hear(message);
  };
  // An error that the worker could not tell of itself.
  worker.onerror = ({ message }) => {
    const failure: Failure = { code: null, message: `a worker ended: ${message}`, stack: message };
    hear({ kind: 'failed', failure } as From);
  };
  let outbox: To[] = [];
  let outgoing: ArrayBufferLike[] = [];
  const flush = () => {
    worker.postMessage(outbox, outgoing as ArrayBuffer[]);
    outbox = [];
    outgoing = [];
  };
  // What comes up in one turn of the event loop goes together: each message wakes a thread.
  const post = (message: To, moved: ArrayBufferLike[] = []) => {
    if (outbox.push(message) === 1) setImmediate(flush);
    outgoing.push(...moved);
  };
  post(first);
  await opened.promise;
  return {
    post,
    listen(listener) {
      hear = listener;
    },
    async end() {
      worker.terminate();
      await ended.promise;
    },
  };
}
