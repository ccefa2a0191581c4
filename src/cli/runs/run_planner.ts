/** A thread that plans one replay: what it takes of the cache is read to its last byte, while a server goes on. */
import { failureOf } from '../../shard/failure.ts';
import type { Failure } from '../../shard/message.ts';
import type { Config } from '../config.ts';
import { type RunRequest, Runs } from './runs.ts';

declare const self: Worker;

export interface ToPlanner {
  config: Config;
  request: RunRequest;
}

export interface Planned {
  id: string;
  /** Names of columns that the cache had, damaged. */
  damaged: string[];
}

export type FromPlanner = (Planned & { failure: null }) | { failure: Failure };

self.onmessage = ({ data: { config, request } }: MessageEvent<ToPlanner>) => {
  Runs.open(config)
    .then(runs => runs.plan(request, null))
    .then(
      ({ manifest, damaged }) => self.postMessage({ id: manifest.id, damaged, failure: null } satisfies FromPlanner),
      (error: unknown) => self.postMessage({ failure: failureOf(error) } satisfies FromPlanner),
    );
};
