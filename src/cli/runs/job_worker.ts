/** A thread that does jobs of replays, a hand at a time, as it is told. */
import { collectGarbage } from '../../base/garbage.ts';
import { type CompiledKernels, shareKernels } from '../../kernel/instance.ts';
import { failureOf } from '../../shard/failure.ts';
import type { Failure } from '../../shard/message.ts';
import { doJobs } from './job.ts';

declare const self: Worker;

export interface ToJobWorker {
  folder: string;
  /** Of jobs that read the same events, or of one. */
  numbers: number[];
  engine: string;
  memoryBytes: number;
  /** As the first thread has compiled them. */
  kernels: CompiledKernels;
}

/** Of each job one, and null once it is ready for more. */
export type FromJobWorker = { number: number; failure: Failure | null } | null;

self.onmessage = ({ data }: MessageEvent<ToJobWorker>) => {
  const { folder, numbers, kernels, ...how } = data;
  shareKernels(kernels);
  const told = new Set<number>();
  const tell = (number: number, error: unknown) => {
    told.add(number);
    self.postMessage({ number, failure: error === null ? null : failureOf(error) } satisfies FromJobWorker);
  };
  doJobs(folder, numbers, how, tell)
    .catch((error: unknown) => {
      for (const number of numbers) if (!told.has(number)) tell(number, error);
    })
    .then(() => {
      // The kernel of a job is as large as its rows: the next one has its own.
      collectGarbage();
      self.postMessage(null satisfies FromJobWorker);
    });
};
