/** A worker's entry: it becomes a shard, or the one that writes, as its first message says. */
import { Stages } from '../../base/stages.ts';
import { failureOf } from '../../shard/failure.ts';
import type { FromShard, FromWriter, ToShard, ToWriter } from '../../shard/message.ts';
import { openShard, openWriter, type Role } from './role.ts';

declare const self: Worker;

type Message = ToShard | ToWriter;

/** What the first message has made of it. */
let role: AnyRole | null = null;
/** Messages that come while it is being opened. */
let early: Message[] | null = null;

// Before anything is awaited: a message that nobody listens to is lost.
self.onmessage = ({ data }: MessageEvent<Message[]>) => {
  if (early) early.push(...data);
  else if (role) hearAll(role, data);
  else {
    early = data.slice(1);
    open(data[0]!).catch(fail);
  }
};

async function open(message: Message): Promise<void> {
  if (message.kind !== 'open') throw new Error(`a worker is opened first, not told to ${message.kind}`);
  role = message.role === 'shard' ? await openShard(message, post, new Stages()) : openWriter(message, post);
  post({ kind: 'opened' });
  const waiting = early!;
  early = null;
  hearAll(role, waiting);
}

type AnyRole = Role<ToShard> | Role<ToWriter>;

/** Lookups that came together are answered together: each message wakes a thread, which takes longer than an answer. */
function hearAll(hear: AnyRole, messages: Message[]): void {
  try {
    // One crew speaks to it, and in the words of its role.
    for (const one of messages) (hear as (message: Message) => void)(one);
  } catch (error) {
    fail(error);
  }
  flush();
}

let outbox: (FromShard | FromWriter)[] = [];
let outgoing: ArrayBufferLike[] = [];

/** Answers wait for those beside them; what others wait for goes at once. */
function post(message: FromShard | FromWriter, moved: ArrayBufferLike[] = []): void {
  outbox.push(message);
  outgoing.push(...moved);
  if (message.kind !== 'answered') flush();
}

function flush(): void {
  if (outbox.length === 0) return;
  self.postMessage(outbox, outgoing as ArrayBuffer[]);
  outbox = [];
  outgoing = [];
}

/** The crew ends the process. */
function fail(error: unknown): void {
  post({ kind: 'failed', failure: failureOf(error) });
}
