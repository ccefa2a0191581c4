import type { Stages } from '../../base/stages.ts';
import { errorOf, failureOf } from '../../shard/failure.ts';
import type { Failure, FromShard, FromWriter, ToShard, ToWriter } from '../../shard/message.ts';
import type { Wire } from '../../shard/desk.ts';
import { openShard } from './role.ts';

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
    if (outbox.length === 0) return;
    worker.postMessage(outbox, outgoing as ArrayBuffer[]);
    outbox = [];
    outgoing = [];
  };
  // What comes up in one turn of the event loop goes together: each message wakes a thread.
  const post = (message: To, moved: ArrayBufferLike[] = []) => {
    outbox.push(message);
    outgoing.push(...moved);
    if (AT_ONCE.has(message.kind)) flush();
    else if (outbox.length === 1) setImmediate(flush);
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

/**
 * A shard in this thread. It is spoken to as one in a worker is, so folding and answers are the same; chunks are decoded and
 * folded in turns of their own, between which requests are taken. A lookup waits for what was sent before it and no longer:
 * no thread has to be woken.
 */
export async function startHere(first: ToShard & { kind: 'open' }, stages: Stages): Promise<Wire<ToShard, FromShard>> {
  let listener: ((message: FromShard) => void) | null = null;
  const role = await openShard(first, message => listener!(message), stages);
  const inbox: ToShard[] = [];
  let isDraining = false;
  const drain = () => {
    isDraining = false;
    while (inbox.length > 0) {
      const message = inbox.shift()!;
      try {
        role(message);
      } catch (error) {
        inbox.length = 0;
        listener!({ kind: 'failed', failure: failureOf(error) });
        return;
      }
      if (TAKES_LONG.has(message.kind)) break;
    }
    if (inbox.length > 0) drainSoon();
  };
  const drainSoon = () => {
    if (isDraining) return;
    isDraining = true;
    // Never at once: whoever sends is in the midst of something.
    if (TAKES_LONG.has(inbox[0]!.kind)) setImmediate(drain);
    else queueMicrotask(drain);
  };
  return {
    post(message) {
      inbox.push(message);
      drainSoon();
    },
    listen(hear) {
      listener = hear;
    },
    async end() {
      inbox.length = 0;
    },
  };
}

/**
 * What there is much to do for, and seldom: it does not wait for the turn's end. While this thread decodes what nobody waits for no turn
 * ends, and nobody else would have anything to do.
 */
const AT_ONCE = new Set<(ToShard | ToWriter)['kind']>(['gather', 'snapshot', 'settle', 'write']);

/** What a turn of the event loop is for. */
const TAKES_LONG = new Set<ToShard['kind']>(['decode', 'clocks', 'before', 'gather', 'apply', 'snapshot', 'settle']);
