import { Fault, Faults } from '../base/fault.ts';
import type { Engine } from '../ingest/engine.ts';
import { horizonsOf, type Keeping, keepingOf, unitedKeeping } from '../ingest/expiry.ts';
import type { IngestParts } from '../ingest/ingest.ts';
import { Relay } from '../ingest/relay.ts';
import { membersText, readMembers } from '../meta/members.ts';
import { diffPlans } from '../plan/diff.ts';
import { planJson, readPlan } from '../plan/json.ts';
import type { Known } from '../plan/known.ts';
import { ALL_KNOWN } from '../plan/known.ts';
import type { Plan } from '../plan/plan.ts';
import {
  type Beginning,
  type InForce,
  type Moment,
  planOnly,
  type Transition,
  knownOf,
  transition,
} from '../plan/transition.ts';
import type { Explain, Explanation } from '../read/explain.ts';
import type { Answer, Lookup, LookUp } from '../read/read.ts';
import type { EventLog } from '../source/log.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import type { Mark } from '../store/store.ts';
import { Backfill, type BackfillState, type BackfillSteps, beginningOf } from './backfill.ts';
import type { Folding, FoldingParts } from './compose.ts';
import type { Config } from './config.ts';
import { durably, type OpenDatabase, writing } from './database.ts';
import { idsOf, keptBefore, numberNew, rowsFromOf, takeOver } from './recorded.ts';

/** What another plan has changed, by names of stored aggregates. */
export interface Applied extends Omit<Transition, 'members' | 'refusals'> {
  /** The first record that it applies to; null while what is new is computed from the log first. */
  position: number | null;
  /** How long events that came meanwhile have waited for their acknowledgement, in milliseconds; lookups did not. */
  waitedMs: number;
}

export interface LiveParts {
  config: Config;
  log: EventLog;
  database: OpenDatabase;
  /** What folds and answers, from where a store is. */
  open: (parts: Pick<FoldingParts, 'plan' | 'ids' | 'database' | 'keeping'>, isBeside: boolean) => Promise<Folding>;
  /** A database for rows that are computed beside the others; `remove` deletes it once it is closed. */
  side: { open(): OpenDatabase; remove(): void };
  /** Others are served meanwhile. */
  isServing: boolean;
  onFailure: (error: unknown) => void;
  steps?: BackfillSteps | undefined;
}

/** The plan in force and what folds and answers by it, until another one takes over at a position of the log. */
export class Live implements LookUp {
  readonly relay: Relay;
  readonly #parts: LiveParts;
  #inForce: InForce;
  #folding: Folding;
  /** Plans are applied one after the other. */
  #applying: Promise<unknown> = Promise.resolve();
  #backfill: Backfill | null = null;
  /** Resolves when what is computed is in force, or has stopped. */
  #computing: Promise<void> = Promise.resolve();

  private constructor(parts: LiveParts, inForce: InForce, folding: Folding) {
    this.#parts = parts;
    this.#inForce = inForce;
    this.#folding = folding;
    this.relay = new Relay(folding.engine);
  }

  static async open(parts: LiveParts, inForce: InForce): Promise<Live> {
    const { meta } = parts.database;
    if (!meta.backfill()) parts.side.remove();
    const folding = await openFor(parts, inForce);
    return new Live(parts, inForce, folding);
  }

  get plan(): Plan {
    return this.#inForce.plan;
  }

  /** What its aggregates know of the log, by name. */
  get known(): Map<string, Known> {
    return knownOf(this.#inForce.members);
  }

  /** Where something is computed from the log, how far that is. */
  get backfilling(): BackfillState | null {
    return this.#backfill?.state ?? null;
  }

  /** Resolves when nothing is computed from the log any more. */
  backfilled(): Promise<void> {
    return this.#computing;
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
   * With `whole` this returns when computing has begun, which `backfilled` waits for.
   *
   * @throws Faults what is refused, with everything left as it is; Fault `conflict` while something is computed
   */
  apply(next: Plan, beginning: Beginning): Promise<Applied> {
    const applying = this.#applying.then(() => this.#apply(next, beginning));
    this.#applying = applying.catch(() => {});
    return applying;
  }

  async #apply(next: Plan, beginning: Beginning): Promise<Applied> {
    if (this.#parts.database.meta.backfill()) return this.#joinBackfill(next, beginning);
    // Once without holding anything up: most of what is refused is refused here.
    const first = this.#transition(next, beginning);
    if (planJson(next) === planJson(this.plan)) return { ...told(first), position: this.relay.folded, waitedMs: 0 };
    const isNew = [...first.members.values()].some(({ id }) => id === null);
    const isBegun = this.relay.folded > rowsFromOf(this.#parts.database.meta);
    if (beginning === 'whole' && isNew && isBegun) return this.#beginBackfill(next, first);
    let change = first;
    let position = 0;
    const waitedMs = await this.relay.exchange(async () => {
      change = this.#transition(next, beginning);
      const mark = this.#parts.database.store.mark();
      position = mark.position;
      return this.#takeOver(this.#numbered(next, change), change, mark);
    });
    return { ...told(change), position, waitedMs };
  }

  #transition(next: Plan, beginning: Beginning): Transition {
    const change = transition(this.#inForce, next, this.#moment(), beginning);
    const refusals = [...diffPlans(this.plan, next).refusals, ...change.refusals];
    if (refusals.length > 0) throw new Faults(refusals);
    return change;
  }

  #numbered(next: Plan, change: Transition): InForce {
    const { meta, db } = this.#parts.database;
    return writing(db, () => numberNew(meta, next, change));
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
  async #takeOver(inForce: InForce, change: Transition, mark: Mark): Promise<Engine> {
    const { meta, db, store } = this.#parts.database;
    // Clocks of types that the old plan does not declare are lost on the way where it has to go on.
    store.commit([], mark);
    const folding = await openFor(this.#parts, inForce);
    durably(db, () => {
      takeOver(meta, inForce, change, mark.position, BigInt(Date.now()) * 1000n);
      meta.endBackfill();
    });
    this.#inForce = inForce;
    this.#folding = folding;
    return folding.engine;
  }

  // --- what is computed from the log first

  async #beginBackfill(next: Plan, change: Transition): Promise<Applied> {
    const { database, log } = this.#parts;
    const { meta, db } = database;
    const { members } = this.#numbered(next, change);
    durably(db, () =>
      meta.beginBackfill({ json: planJson(next), members: membersText(members), progress: beginningOf(log) }),
    );
    await this.#keepForBackfill();
    this.resume();
    return { ...told(change), position: null, waitedMs: 0 };
  }

  /** The same again waits for it. */
  #joinBackfill(next: Plan, beginning: Beginning): Applied {
    const { json } = this.#parts.database.meta.backfill()!;
    if (beginning !== 'whole' || json !== planJson(next))
      throw new Fault('conflict', 'other definitions are being computed from the log, to come into force then');
    this.resume();
    return { ...told(this.#transition(next, 'whole')), position: null, waitedMs: 0 };
  }

  /** Rows that are merged must not be taken for such as nobody wants. */
  async #keepForBackfill(): Promise<void> {
    await this.relay.exchange(async () => {
      this.#folding = await openFor(this.#parts, this.#inForce);
      return this.#folding.engine;
    });
  }

  /** Goes on with what is to be computed, where something is. */
  resume(): void {
    if (this.#backfill || !this.#parts.database.meta.backfill()) return;
    this.#computing = this.#compute().catch(error => this.#parts.onFailure(error));
  }

  async #compute(): Promise<void> {
    const { database, log, side, isServing, open, steps } = this.#parts;
    const next = inBackfill(database)!;
    const ids = idsOf(next, database.meta);
    const numbers = new Set([...this.#inForce.members.values()].map(({ id }) => id));
    const names = [...next.members].flatMap(([name, { id }]) => (numbers.has(id) ? [] : [name]));
    const plan = planOnly(next.plan, new Set(names));
    const own = side.open();
    const backfill = new Backfill({
      ...{ log, database, engine: this.relay, side: own, isGentle: isServing, steps },
      open: () => open({ plan, ids, database: own, keeping: keepingOf(plan, ids) }, true),
      horizons: () => horizonsOf(keepingFor(this.#parts, this.#inForce), database.store.mark().clocks),
    });
    this.#backfill = backfill;
    try {
      if (!(await backfill.run())) return;
      await this.relay.exchange(old => this.#finish(backfill, old, next, names));
    } finally {
      this.#backfill = null;
      await backfill.close();
    }
    side.remove();
  }

  async #finish(backfill: Backfill, old: Engine, next: InForce, names: string[]): Promise<Engine> {
    const { store } = this.#parts.database;
    const own = await backfill.finish(store.mark().position, old);
    const change = this.#transition(next.plan, 'whole');
    const members = new Map(next.members);
    for (const [name, { id, known }] of change.members) if (id !== null) members.set(name, { id, known });
    // What the log no longer has is not in them.
    const { start } = this.#parts.log;
    for (const { name, event } of start > 0 ? next.plan.aggregates : []) {
      const since = own.clocks.get(event)?.since;
      if (!names.includes(name) || since === undefined) continue;
      members.set(name, { id: members.get(name)!.id, known: { ...ALL_KNOWN, position: start, sinceMicros: since } });
    }
    const mark = store.mark();
    // Types that were not declared have been met by what was computed alone.
    const clocks = new Map([...own.clocks, ...mark.clocks]);
    return this.#takeOver({ plan: next.plan, members }, change, { ...mark, clocks });
  }

  /** Before the engine is closed. */
  async stop(): Promise<void> {
    this.#backfill?.stop();
    await this.#computing;
  }
}

function told({ members, refusals, ...lists }: Transition): Omit<Applied, 'position' | 'waitedMs'> {
  return lists;
}

/** What folds and answers by a plan. */
function openFor(parts: LiveParts, inForce: InForce): Promise<Folding> {
  const { database, open } = parts;
  const ids = idsOf(inForce, database.meta);
  return open({ plan: inForce.plan, ids, database, keeping: keepingFor(parts, inForce) }, false);
}

/** How long rows are kept: as long as the plan wants them, and what is being computed; what none of them wants goes. */
function keepingFor({ database }: LiveParts, inForce: InForce): Keeping[] {
  const { meta } = database;
  const backfill = inBackfill(database);
  const wanted = [inForce, ...(backfill ? [backfill] : [])].map(one => keepingOf(one.plan, idsOf(one, meta)));
  return unitedKeeping([...wanted, keptBefore(meta)]);
}

function inBackfill({ meta }: OpenDatabase): InForce | null {
  const backfill = meta.backfill();
  return backfill && { plan: readPlan(backfill.json), members: readMembers(backfill.members) };
}
