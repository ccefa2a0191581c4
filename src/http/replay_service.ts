import type { RunStatus } from '../replay/state.ts';
import type { Order } from '../replay/stream.ts';
import type { ResultKind } from '../replay/tables.ts';
import type { ResultBytes, ResultFormat, ResultLines } from './result_format.ts';

/** What is to be replayed. */
export interface NewReplay {
  /** Names are `NAME`, or `NAME@VERSION`. */
  timelines: string[];
  /** A branch as `NAME` or `NAME@VERSION`; null for what is in force. */
  branch: string | null;
  /** Names with `*` for any letters; null for all. */
  features: string[] | null;
  startMicros: bigint | null;
  endMicros: bigint | null;
  order: Order;
}

/** A folder of a replay that is damaged, or that another version has made. */
export interface UnreadableRun {
  id: string;
  folder: string;
  reason: string;
}

/** Of replays, the newest first: `next` begins the page after it, null at the end. */
export interface ReplaysPage {
  replays: RunStatus[];
  unreadable: UnreadableRun[];
  next: string | null;
}

export interface ReplayService {
  /** @param page behind the id `after`, at most so many */
  list(page: { after: string | null; limit: number }): Promise<ReplaysPage>;
  /** @throws Fault `not_found` */
  show(id: string): Promise<RunStatus>;
  /** How far it is, to be asked again and again. @throws Fault `not_found` */
  follow(id: string): Promise<() => RunStatus>;
  /** Resolves when it is planned: its state says what becomes of it. @throws Fault, Faults */
  create(replay: NewReplay): Promise<RunStatus>;
  /** @throws Fault `not_found`, `conflict` */
  cancel(id: string): Promise<RunStatus>;
  resume(id: string): Promise<RunStatus>;
  remove(id: string): Promise<void>;
  /** @throws Fault `not_found`, `conflict` where it is not done */
  table(id: string, kind: ResultKind, type: string, format: ResultFormat): Promise<ResultBytes>;
  page(id: string, kind: ResultKind, type: string, page: { after: string | null; limit: number }): Promise<ResultLines>;
}
