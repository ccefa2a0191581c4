/** A worker's entry: it becomes a shard, or the one that writes, as its first message says. */
import { Fold } from '../kernel/fold.ts';
import { loadKernel } from '../kernel/instance.ts';
import { layPlan } from '../kernel/load.ts';
import { failureOf } from '../shard/failure.ts';
import type { FromShard, FromWriter, ToShard, ToWriter } from '../shard/message.ts';
import { ServedShard, ServedWriter } from '../shard/serving.ts';
import { Shard } from '../shard/shard.ts';
import { openDatabase, openRows, REFUSE } from './database.ts';

declare const self: Worker;

type Message = ToShard | ToWriter;

/** What the first message has made of it. */
interface Role {
  hear(message: Message): void;
  close(): void;
}

let role: Role | null = null;
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
  role = message.role === 'shard' ? await openShard(message) : openWriter(message);
  post({ kind: 'opened' });
  const waiting = early!;
  early = null;
  hearAll(role, waiting);
}

/** Lookups that came together are answered together: each message wakes a thread, which takes longer than an answer. */
function hearAll(to: Role, messages: Message[]): void {
  for (const one of messages) hear(to, one);
  flush();
}

function hear(to: Role, message: Message): void {
  try {
    if (message.kind === 'close') {
      to.close();
      post({ kind: 'closed' });
    } else to.hear(message);
  } catch (error) {
    fail(error);
  }
}

async function openShard(message: ToShard & { kind: 'open' }): Promise<Role> {
  const { plan, ids, settings, mark, shards, database, memoryBytes } = message;
  const { store, close } = openRows(database);
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, ids, settings);
  const fold = new Fold(kernel, store.readRow);
  fold.boundBytes = memoryBytes;
  const shard = new Shard({ layout, fold, store, shards }, mark);
  const served = new ServedShard(shard, post);
  return { hear: one => served.hear(one as Parameters<typeof served.hear>[0]), close };
}

function openWriter({ database, keeping }: ToWriter & { kind: 'open' }): Role {
  const { store, meta, close } = openDatabase(database, REFUSE, () => {});
  const served = new ServedWriter(store, meta, keeping, post);
  return { hear: one => served.hear(one as Parameters<typeof served.hear>[0]), close };
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
