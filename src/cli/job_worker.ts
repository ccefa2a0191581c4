/** A thread that does jobs of replays, one after the other, as it is told. */
import { failureOf } from '../shard/failure.ts';
import type { Failure } from '../shard/message.ts';
import { doJob } from './job.ts';

declare const self: Worker;

export interface ToJobWorker {
  folder: string;
  number: number;
  engine: string;
  memoryBytes: number;
}

export type FromJobWorker = { number: number; failure: Failure | null };

self.onmessage = ({ data }: MessageEvent<ToJobWorker>) => {
  const { folder, number, ...how } = data;
  const post = (failure: Failure | null) => {
    // The kernel of a job is as large as its rows: the next one has its own.
    Bun.gc(true);
    self.postMessage({ number, failure } satisfies FromJobWorker);
  };
  doJob(folder, number, how).then(
    () => post(null),
    (error: unknown) => post(failureOf(error)),
  );
};
