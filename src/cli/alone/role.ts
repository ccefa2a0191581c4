import { assert } from '../../base/assert.ts';
import type { Stages } from '../../base/stages.ts';
import { Fold } from '../../kernel/fold.ts';
import { loadKernel, shareKernels } from '../../kernel/instance.ts';
import { layPlan } from '../../kernel/load.ts';
import type { FromShard, FromWriter, ToShard, ToWriter } from '../../shard/message.ts';
import { ServedShard, ServedWriter } from '../../shard/serving.ts';
import { Shard } from '../../shard/shard.ts';
import { openDatabase, openRows, REFUSE } from './database.ts';

/** What a crew's first message makes of whoever gets it, in a thread of its own or not: it hears all that come after. */
export type Role<To extends ToShard | ToWriter> = (message: To) => void;

type Post<From> = (message: From, moved?: ArrayBufferLike[]) => void;

/**
 * A shard with a kernel of its own, which reads rows through a connection of its own.
 *
 * @param stages of its thread
 */
export async function openShard(
  first: ToShard & { kind: 'open' },
  post: Post<FromShard>,
  stages: Stages,
): Promise<Role<ToShard>> {
  const { plan, ids, settings, mark, shards, database, memoryBytes, kernels } = first;
  const { store, close } = openRows(database);
  shareKernels(kernels);
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, ids, settings);
  const fold = new Fold(kernel, store.readRows);
  fold.boundBytes = memoryBytes;
  const served = new ServedShard(new Shard({ layout, fold, store, shards }, mark, stages), post);
  return message => {
    assert(message.kind !== 'open', 'a shard is opened once');
    if (message.kind !== 'close') return served.hear(message);
    close();
    post({ kind: 'closed' });
  };
}

/** The one that writes. */
export function openWriter(first: ToWriter & { kind: 'open' }, post: Post<FromWriter>): Role<ToWriter> {
  const { database, keeping, kernels } = first;
  shareKernels(kernels);
  const { store, meta, close } = openDatabase(database, REFUSE, () => {});
  const served = new ServedWriter(store, meta, keeping, post);
  return message => {
    assert(message.kind !== 'open', 'a writer is opened once');
    if (message.kind !== 'close') return served.hear(message);
    close();
    post({ kind: 'closed' });
  };
}
