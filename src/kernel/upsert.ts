import type { Fold } from './fold.ts';
import { Inbox } from './inbox.ts';
import type { Kernel } from './instance.ts';

/** The upserts of the batch, its clocks passed (assembly/upsert.ts): a view that holds until the next call. */
export function upsertsOf(kernel: Kernel): Uint8Array<ArrayBuffer> {
  const { exports } = kernel;
  exports.listUpserts();
  return kernel.bytes(exports.upsertsStart(), exports.upsertsLength());
}

/**
 * Gives the upserts of the batch the rows that they take back.
 *
 * @param before what `Fold.complete` has given for them; a view of the kernel's own memory is taken where it stands
 */
export function takeBack(kernel: Kernel, before: Uint8Array): void {
  const isHere = before.buffer === kernel.exports.memory.buffer;
  kernel.exports.takeBackUpserts(isHere ? before.byteOffset : receive(kernel, before), before.length);
}

/** Where bytes from another kernel stand while a batch does. */
const inboxes = new WeakMap<Kernel, Inbox>();

function receive(kernel: Kernel, bytes: Uint8Array): number {
  const inbox = inboxes.get(kernel) ?? new Inbox(kernel);
  inboxes.set(kernel, inbox);
  return inbox.put(bytes);
}

/** Both, where the last rows are at hand. They are then those behind the batch. */
export function completeBatch(kernel: Kernel, fold: Fold): void {
  const upserts = upsertsOf(kernel);
  if (upserts.length > 0) takeBack(kernel, fold.complete(upserts));
}
