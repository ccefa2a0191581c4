import type { Handler } from 'hono';
import { z } from 'zod';
import { isHeld, type RunStatus } from '../replay/state.ts';
import { busyWith, LIMITS } from './limits.ts';
import type { Operation } from './operation.ts';
import type { ReplayService } from './replay_service.ts';
import { PROGRESS_EXAMPLE, PROGRESS_SHAPE, progressJson } from './replays.ts';

/** How often it is looked how far a replay is: files say so, whichever process works on it. */
const LOOK_EVERY_MS = 500;

/** Proxies give up connections on which nothing is said for half a minute, this server after twice that. */
const SAY_EVERY_MS = 15_000;

export const GET_PROGRESS: Operation = {
  id: 'followReplay',
  summary: 'Follow a replay',
  description:
    'As server-sent events: `progress` at once and then whenever jobs are completed, `end` with the last state when nobody works on it any more. Each has the same JSON as data. A client closes the connection then, lest it be opened again.',
  params: z.object({ id: z.string() }),
  replies: {
    200: {
      description: 'Events, as long as somebody works on it.',
      type: 'text/event-stream',
      content: {
        shape: PROGRESS_SHAPE,
        example: PROGRESS_EXAMPLE,
      },
    },
  },
  problems: [404, 501, 503],
};

/** @param isEnding the server is on its way out: nobody is followed any more */
export function followReplay(service: ReplayService, isEnding: () => boolean): Handler {
  let followed = 0;
  return async c => {
    if (followed >= LIMITS.replay_followers.value)
      throw busyWith('replay_followers', 'as many replays are followed as can be');
    const look = await service.follow(c.req.param('id')!);
    followed++;
    const stream = told(look, isEnding, () => followed--);
    return c.body(stream, 200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  };
}

/** As slowly as it is read: what nobody reads is not looked for either. */
function told(look: () => RunStatus, isEnding: () => boolean, onEnd: () => void): ReadableStream<Uint8Array> {
  let last = '';
  let isOver = false;
  const end = () => {
    if (!isOver) onEnd();
    isOver = true;
  };
  return new ReadableStream({
    async pull(controller) {
      const startMs = performance.now();
      while (!isOver) {
        const status = look();
        const key = keyOf(status);
        if (key !== last || !isHeld(status.state)) {
          last = key;
          controller.enqueue(eventOf(status));
          if (isHeld(status.state)) return;
        }
        if (!isHeld(status.state) || isEnding()) {
          controller.close();
          return end();
        }
        if (performance.now() - startMs > SAY_EVERY_MS) return controller.enqueue(STILL_HERE);
        await Bun.sleep(LOOK_EVERY_MS);
      }
    },
    cancel: end,
  });
}

const ENCODER = new TextEncoder();
const STILL_HERE = ENCODER.encode(': nothing new\n\n');

/** What is worth telling: time alone passes everywhere. */
function keyOf({ state, jobs, failed }: RunStatus): string {
  return `${state} ${jobs.done} ${failed.length}`;
}

function eventOf(status: RunStatus): Uint8Array {
  const name = isHeld(status.state) ? 'progress' : 'end';
  return ENCODER.encode(`event: ${name}\ndata: ${JSON.stringify(progressJson(status, Date.now()))}\n\n`);
}
