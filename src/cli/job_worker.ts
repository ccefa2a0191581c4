/** A thread that does jobs of replays, one after the other, as it is told. */
import { type CompiledKernels, shareKernels } from '../kernel/instance.ts';
import { failureOf } from '../shard/failure.ts';
import type { Failure } from '../shard/message.ts';
import { doJob } from './job.ts';

declare const self: Worker;

export interface ToJobWorker {
  folder: string;
  number: number;
  engine: string;
  memoryBytes: number;
  /** As the first thread has compiled them. */
  kernels: CompiledKernels;
}

export type FromJobWorker = { number: number; failure: Failure | null };

self.onmessage = ({ data }: MessageEvent<ToJobWorker>) => {
  const { folder, number, kernels, ...how } = data;
  shareKernels(kernels);
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
