/** What waits for the end of a turn of the event loop on its way to a thread, and what does not. */
import { afterEach, expect, test } from 'bun:test';
import { startWorker } from '../../src/cli/alone/crew.ts';
import type { FromShard, ToShard } from '../../src/shard/message.ts';

const { Worker: realWorker } = globalThis;
afterEach(() => {
  globalThis.Worker = realWorker;
});

/** A thread that is told things, and answers the first of them. */
function listening(): ToShard['kind'][][] {
  const heard: ToShard['kind'][][] = [];
  class Listening {
    onmessage: ((event: { data: FromShard[] }) => void) | null = null;
    addEventListener() {}
    postMessage(messages: ToShard[]) {
      heard.push(messages.map(({ kind }) => kind));
      if (heard.length === 1) this.onmessage!({ data: [{ kind: 'opened' }] });
    }
  }
  globalThis.Worker = Listening as unknown as typeof Worker;
  return heard;
}

const turn = () => new Promise(resolve => setImmediate(resolve));

test('shares go at once, with all that was sent before them: whoever decodes may not end its turn for long', async () => {
  const heard = listening();
  const { post } = await startWorker<ToShard, FromShard>({ kind: 'open' } as ToShard);
  const say = (...kinds: ToShard['kind'][]) => {
    for (const kind of kinds) post({ kind } as ToShard);
  };
  heard.length = 0;
  say('answer', 'apply');
  expect(heard).toEqual([]);
  say('gather', 'gather', 'answer');
  expect(heard).toEqual([['answer', 'apply', 'gather'], ['gather']]);
  say('apply');
  await turn();
  expect(heard.slice(2)).toEqual([['answer', 'apply']]);
  say('snapshot', 'settle');
  expect(heard.slice(3)).toEqual([['snapshot'], ['settle']]);
  await turn();
  expect(heard.length).toBe(5);
});
