import { Faults } from '../base/fault.ts';
import type { IngestParts } from '../ingest/ingest.ts';
import { Relay } from '../ingest/relay.ts';
import { diffPlans } from '../plan/diff.ts';
import { planJson } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import { type Beginning, type InForce, type Moment, type Transition, transition } from '../plan/transition.ts';
import type { Explain, Explanation } from '../read/explain.ts';
import type { Answer, Lookup, LookUp } from '../read/read.ts';
import type { EventLog } from '../source/log.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import type { Folding } from './compose.ts';
import type { Config } from './config.ts';
import { durably, type OpenDatabase } from './database.ts';
import { numberNew, takeOver } from './recorded.ts';

/** What another plan has changed, by names of stored aggregates. */
export interface Applied extends Omit<Transition, 'members' | 'refusals'> {
  /** The first record that it applies to. */
  position: number;
  /** How long events that came meanwhile have waited for their acknowledgement, in milliseconds; lookups did not. */
  waitedMs: number;
}

export interface LiveParts {
  config: Config;
  log: EventLog;
  database: OpenDatabase;
  /** What folds and answers by a plan, from where the store is. */
  open: (inForce: InForce) => Promise<Folding>;
}

/** The plan in force and what folds and answers by it, until another one takes over at a position of the log. */
export class Live implements LookUp {
  readonly relay: Relay;
  readonly #parts: LiveParts;
  #inForce: InForce;
  #folding: Folding;
  /** Plans are applied one after the other. */
  #applying: Promise<unknown> = Promise.resolve();

  constructor(parts: LiveParts, inForce: InForce, folding: Folding) {
    this.#parts = parts;
    this.#inForce = inForce;
    this.#folding = folding;
    this.relay = new Relay(folding.engine);
  }

  get plan(): Plan {
    return this.#inForce.plan;
  }

  /** Bodies are judged in the kernel of this thread, which goes with its plan. */
  withDoor(parts: Omit<IngestParts, 'door'>): IngestParts {
    const door = () => this.#folding.door;
    return {
      ...parts,
      get door() {
        return door();
      },
    };
  }

  lookup(request: Lookup): Answer | Promise<Answer> {
    return this.#folding.reader.lookup(request);
  }

  explain(request: Explain): Explanation | Promise<Explanation> {
    return this.#folding.reader.explain(request);
  }

  sizes(): ReturnType<Folding['sizes']> {
    return this.#folding.sizes();
  }

  /**
   * Brings another plan into force at the log's end as it is then. Events go on being accepted, and are folded when it is
   * there; lookups are answered by the old one until then. Whatever dies on the way, one of the two is in force.
   *
   * @throws Faults what is refused, with everything left as it is
   */
  apply(next: Plan, beginning: Beginning): Promise<Applied> {
    const applying = this.#applying.then(() => this.#apply(next, beginning));
    this.#applying = applying.catch(() => {});
    return applying;
  }

  async #apply(next: Plan, beginning: Beginning): Promise<Applied> {
    // Once without holding anything up: most of what is refused is refused here.
    const first = this.#transition(next, beginning);
    if (planJson(next) === planJson(this.plan)) return { ...told(first), position: this.relay.folded, waitedMs: 0 };
    let change = first;
    let position = 0;
    const waitedMs = await this.relay.exchange(async () => {
      change = this.#transition(next, beginning);
      ({ position } = this.#parts.database.store.mark());
      return this.#takeOver(next, change, position);
    });
    return { ...told(change), position, waitedMs };
  }

  #transition(next: Plan, beginning: Beginning): Transition {
    const change = transition(this.#inForce, next, this.#moment(), beginning);
    const refusals = [...diffPlans(this.plan, next).refusals, ...change.refusals];
    if (refusals.length > 0) throw new Faults(refusals);
    return change;
  }

  #moment(): Moment {
    const { config, log, database } = this.#parts;
    const { position, clocks } = database.store.mark();
    const isWall = config.log.clock.kind === 'wall';
    const arrival = log.lastArrivalMicros ?? 0n;
    const nowMicros = isWall ? arrival : (this.relay.greatestClock() ?? arrival);
    return { position, clocks, nowMicros, aheadMs: isWall ? AHEAD_MAX_MS : 0 };
  }

  /** What cannot be opened is not recorded; what is recorded is opened by whoever comes next. */
  async #takeOver(next: Plan, change: Transition, position: number) {
    const { database, open } = this.#parts;
    const inForce = numberNew(database.meta, next, change);
    const folding = await open(inForce);
    durably(database.db, () => takeOver(database.meta, inForce, change, position, BigInt(Date.now()) * 1000n));
    this.#inForce = inForce;
    this.#folding = folding;
    return folding.engine;
  }
}

function told({ members, refusals, ...lists }: Transition): Omit<Applied, 'position' | 'waitedMs'> {
  return lists;
}
