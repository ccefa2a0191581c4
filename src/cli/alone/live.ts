import { Fault, Faults } from '../../base/fault.ts';
import { type Engine, nowOf } from '../../ingest/engine.ts';
import { horizonsOf, type Keeping, keepingOf, unitedKeeping } from '../../ingest/expiry.ts';
import type { IngestParts } from '../../ingest/ingest.ts';
import { Relay } from '../../ingest/relay.ts';
import { membersText, readMembers } from '../../meta/members.ts';
import type { Backfilled } from '../../meta/meta.ts';
import { planBeside, warmFrom } from '../../plan/beside.ts';
import { diffPlans } from '../../plan/diff.ts';
import { planJson, readPlan } from '../../plan/json.ts';
import type { Known } from '../../plan/known.ts';
import { ALL_KNOWN } from '../../plan/known.ts';
import type { Plan } from '../../plan/plan.ts';
import {
  type Beginning,
  type InForce,
  type Moment,
  planOnly,
  type Start,
  type Transition,
  knownOf,
  transition,
} from '../../plan/transition.ts';
import { lastRowsOf } from '../../plan/upsert.ts';
import type { Explain, Explanation } from '../../read/explain.ts';
import type { Answer, Lookup, LookUp } from '../../read/read.ts';
import type { EventLog } from '../../source/log.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import type { Mark } from '../../store/store.ts';
import { Backfill, type BackfillState, type BackfillSteps, beginningOf, isUnmerged, restingState } from './backfill.ts';
import type { Folding, FoldingParts } from './engine.ts';
import type { Config } from '../config.ts';
import { durably, type OpenDatabase, writing } from './database.ts';
import { idsOf, keptBefore, lastRowsBefore, numberNew, rowsFromOf, takeOver } from './recorded.ts';
import { takeOut } from './take_out.ts';

/** What another plan has changed, by names of stored aggregates. */
export interface Applied extends Omit<Transition, 'members' | 'refusals'> {
  /** The first record that it applies to; null while what is new is computed from the log first, or waits. */
  position: number | null;
  /** From when on what is new is whole and takes over, where it waits for that; null where it does not. */
  untilMicros: bigint | null;
  /** How long events that came meanwhile have waited for their acknowledgement, in milliseconds; lookups did not. */
  waitedMs: number;
}

export interface LiveParts {
  config: Config;
  log: EventLog;
  database: OpenDatabase;
  /** What folds and answers, from where a store is. */
  open: (
    parts: Pick<FoldingParts, 'plan' | 'ids' | 'database' | 'keeping' | 'behind'>,
    isBeside: boolean,
  ) => Promise<Folding>;
  /** A database for rows that are computed beside the others; `remove` deletes it once it is closed. */
  side: { open(): OpenDatabase; remove(): void };
  /** Others are served meanwhile. */
  isServing: boolean;
  /** The wall. */
  nowMicros: () => bigint;
  onFailure: (error: unknown) => void;
  steps?: BackfillSteps | undefined;
}

/** The plan in force and what folds and answers by it, until another one takes over at a position of the log. */
export class Live implements LookUp {
  readonly relay: Relay;
  readonly #parts: LiveParts;
  #inForce: InForce;
  /** What was in force before another plan began to wait beside it; null where none does. */
  #before: InForce | null;
  #folding: Folding;
  /** Plans are applied one after the other. */
  #applying: Promise<unknown> = Promise.resolve();
  #backfill: Backfill | null = null;
  #isStopped = false;
  /** Resolves when what is computed is in force, or has stopped. */
  #computing: Promise<void> = Promise.resolve();

  private constructor(parts: LiveParts, inForce: InForce, folding: Folding) {
    this.#parts = parts;
    this.#inForce = inForce;
    this.#before = beforeOf(parts.database.meta.backfill());
    this.#folding = folding;
    this.relay = new Relay(folding.engine);
  }

  static async open(parts: LiveParts, inForce: InForce): Promise<Live> {
    const { meta, store } = parts.database;
    const coming = meta.backfill();
    if (coming?.isAborted) {
      await takeOut(store, numbersOf(coming, inForce));
      endBackfill(parts);
    }
    if (!isComputed(meta.backfill())) parts.side.remove();
    const folding = await openFor(parts, inForce);
    return new Live(parts, inForce, folding);
  }

  /** That anybody sees: while another one waits, the plan that it is made beside. */
  get plan(): Plan {
    return (this.#before ?? this.#inForce).plan;
  }

  /** What its aggregates know of the log, by name. */
  get known(): Map<string, Known> {
    return knownOf(this.#inForce.members);
  }

  /** What waits for its windows, and for when; null where nothing does. */
  get waiting(): { json: string; untilMicros: bigint } | null {
    const coming = this.#recorded;
    if (!coming || coming.until === null || coming.isAborted) return null;
    return { json: coming.json, untilMicros: BigInt(coming.until) };
  }

  /** What is to come into force. */
  get coming(): { plan: Plan; untilMicros: bigint | null } | null {
    const coming = this.#recorded;
    if (!coming || coming.isAborted) return null;
    return { plan: readPlan(coming.json), untilMicros: coming.until === null ? null : BigInt(coming.until) };
  }

  /** Where something is computed from the log, how far that is. */
  get backfilling(): BackfillState | null {
    if (this.#backfill) return this.#backfill.state;
    const coming = this.#recorded;
    return isComputed(coming) ? restingState(coming.progress, this.#parts.log) : null;
  }

  /** Who asks when all is closed, to tell where the time went, hears of nothing more. */
  get #recorded() {
    return this.#isStopped ? null : this.#parts.database.meta.backfill();
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
   * With `whole` this returns when computing has begun, which `backfilled` waits for; with `when-warm` when what is new is
   * made beside what is in force: `settle` lets it take over.
   *
   * @throws Faults what is refused, with everything left as it is; Fault `conflict` while something else is to come
   */
  apply(next: Plan, start: Start): Promise<Applied> {
    return this.#inTurn(() => this.#apply(next, start));
  }

  /**
   * Gives up what is being computed or waits: the plan that was in force before stays, and rows hold nothing of the other
   * one. What has taken over already stays too. Killed anywhere, whoever comes next has it given up, or as it was.
   *
   * @returns whether there was anything
   */
  abort(): Promise<boolean> {
    return this.#inTurn(() => this.#abort());
  }

  /** Lets what waits for its windows take over, where these are whole by now. */
  settle(): Promise<void> {
    return this.#inTurn(() => this.#settle());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#applying.then(work);
    this.#applying = working.catch(() => {});
    return working;
  }

  async #apply(next: Plan, start: Start): Promise<Applied> {
    const coming = this.#parts.database.meta.backfill();
    if (coming) return this.#join(coming, next, start);
    const beginning = start === 'when-warm' ? 'since-now' : start;
    // Once without holding anything up: most of what is refused is refused here.
    const first = this.#transition(next, beginning);
    if (planJson(next) === planJson(this.#inForce.plan))
      return { ...told(first), position: this.relay.folded, untilMicros: null, waitedMs: 0 };
    const isNew = [...first.members.values()].some(({ id }) => id === null);
    const isBegun = this.relay.folded > rowsFromOf(this.#parts.database.meta);
    if (beginning === 'whole' && isNew && isBegun) return this.#beginBackfill(next, first);
    if (start === 'when-warm' && isBegun) return this.#beginWaiting(next, first);
    let change = first;
    let position = 0;
    const waitedMs = await this.relay.exchange(async () => {
      change = this.#transition(next, beginning);
      const mark = this.#parts.database.store.mark();
      position = mark.position;
      return this.#takeOver(this.#numbered(next, change), change, mark);
    });
    return { ...told(change), position, untilMicros: null, waitedMs };
  }

  #transition(next: Plan, beginning: Beginning, from = this.#inForce): Transition {
    const change = transition(from, next, this.#moment(), beginning);
    const refusals = [...diffPlans(from.plan, next).refusals, ...change.refusals];
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

  /**
   * What cannot be opened is not recorded; what is recorded is opened by whoever comes next.
   *
   * @param alongside recorded with it: by default that nothing is to come any more
   */
  async #takeOver(
    inForce: InForce,
    change: Pick<Transition, 'renamed'>,
    mark: Mark,
    alongside = () => this.#parts.database.meta.endBackfill(),
  ): Promise<Engine> {
    const { meta, db, store } = this.#parts.database;
    // Clocks of types that the old plan does not declare are lost on the way where it has to go on.
    store.commit([], mark);
    const folding = await openFor(this.#parts, inForce);
    durably(db, () => {
      takeOver(meta, inForce, change, mark.position, this.#parts.nowMicros());
      alongside();
    });
    this.#inForce = inForce;
    this.#before = beforeOf(meta.backfill());
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
    return { ...told(change), position: null, untilMicros: null, waitedMs: 0 };
  }

  /** The same again waits for it. */
  #join({ json, until }: Backfilled, next: Plan, start: Start): Applied {
    if (start !== (until === null ? 'whole' : 'when-warm') || json !== planJson(next)) {
      const what = until === null ? 'are being computed from the log' : 'wait until their windows are whole';
      throw new Fault('conflict', `other definitions ${what}, to come into force then: --abort gives them up`);
    }
    this.resume();
    const untilMicros = until === null ? null : BigInt(until);
    const beginning = until === null ? 'whole' : 'since-now';
    const change = this.#transition(next, beginning, this.#before ?? this.#inForce);
    return { ...told(change), position: null, untilMicros, waitedMs: 0 };
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
    if (this.#backfill || !isComputed(this.#parts.database.meta.backfill())) return;
    this.#computing = this.#compute().catch(error => this.#parts.onFailure(error));
  }

  async #compute(): Promise<void> {
    const { database, log, side, isServing, open, steps } = this.#parts;
    const next = inBackfill(database)!;
    const ids = idsOf(next, database.meta);
    const { plan: current, members } = this.#inForce;
    const numbers = new Set(current.aggregates.map(({ name }) => members.get(name)!.id));
    const names = next.plan.aggregates.flatMap(({ name }) => (numbers.has(next.members.get(name)!.id) ? [] : [name]));
    const plan = planOnly(next.plan, new Set(names));
    const own = side.open();
    const backfill = new Backfill({
      ...{ log, database, engine: this.relay, side: own, isGentle: isServing, steps },
      lastRows: lastRowsOf(plan).map(({ name }) => ids.entities.get(name)!),
      open: () => {
        const behind = database.store.readRows;
        return open({ plan, ids, database: own, keeping: keepingOf(plan, ids), behind }, true);
      },
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

  // --- what waits until its windows are whole

  /** What is in force with what another plan begins, and from when on all of that is whole: null where it begins nothing. */
  #besideOf(next: Plan): { change: Transition; plan: Plan; until: bigint | null } {
    const { plan, refusals } = planBeside(this.#inForce.plan, next);
    const change = transition(this.#inForce, plan, this.#moment(), 'warm');
    if (refusals.length + change.refusals.length > 0) throw new Faults([...refusals, ...change.refusals]);
    return { change, plan, until: warmFrom(plan, change, this.#inForce.members) };
  }

  async #beginWaiting(next: Plan, first: Transition): Promise<Applied> {
    const { store, meta } = this.#parts.database;
    const before = this.#inForce;
    this.#besideOf(next);
    let until: bigint | null = null;
    let position: number | null = null;
    const waitedMs = await this.relay.exchange(async () => {
      // Clocks are known when all is folded.
      const beside = this.#besideOf(next);
      until = beside.until;
      if (until === null) {
        const change = this.#transition(next, 'since-now');
        position = store.mark().position;
        return this.#takeOver(this.#numbered(next, change), change, store.mark());
      }
      const inForce = this.#numbered(beside.plan, beside.change);
      return this.#takeOver(inForce, beside.change, store.mark(), () =>
        meta.beginBackfill({
          ...{ json: planJson(next), members: membersText(inForce.members), progress: '', until: String(until) },
          ...{ before: planJson(before.plan), beforeMembers: membersText(before.members) },
        }),
      );
    });
    return { ...told(first), position, untilMicros: until, waitedMs };
  }

  async #settle(): Promise<void> {
    const { waiting } = this;
    const { config, nowMicros, database } = this.#parts;
    if (!waiting || nowOf(this.relay, config.log.clock, nowMicros) < waiting.untilMicros) return;
    const next = readPlan(waiting.json);
    await this.relay.exchange(async () => {
      const change = this.#transition(next, 'since-now');
      return this.#takeOver(this.#numbered(next, change), change, database.store.mark());
    });
  }

  // --- what is given up

  async #abort(): Promise<boolean> {
    const { database, log, isServing } = this.#parts;
    const { meta, db, store } = database;
    // It may be so near its end that it takes over.
    await this.#stopComputing();
    const coming = meta.backfill();
    if (!coming) return false;
    if (coming.before === null) durably(db, () => meta.abortBackfill());
    else await this.#goBack(coming);
    const numbers = numbersOf(coming, this.#inForce);
    const isClean = coming.before === null && isUnmerged(coming.progress, log);
    // Beside whatever goes on, so that little is left for the time in which events wait.
    if (!isClean) await takeOut(store, numbers, isServing ? () => Bun.sleep(1) : undefined);
    await this.relay.exchange(async () => {
      const folding = await openFor(this.#parts, this.#inForce);
      if (!isClean) await takeOut(store, numbers);
      endBackfill(this.#parts);
      this.#folding = folding;
      return folding.engine;
    });
    this.#parts.side.remove();
    return true;
  }

  /** Rows have all that the plan before wants, and its members are as they were: it has been folded all the time. */
  async #goBack({ before, beforeMembers }: Backfilled): Promise<void> {
    const { meta, store } = this.#parts.database;
    const inForce = { plan: readPlan(before!), members: readMembers(beforeMembers!) };
    await this.relay.exchange(() => this.#takeOver(inForce, { renamed: [] }, store.mark(), () => meta.abortBackfill()));
  }

  /** What is done stays done. */
  async #stopComputing(): Promise<void> {
    this.#backfill?.stop();
    await this.#computing;
  }

  /** Before the engine is closed. */
  async stop(): Promise<void> {
    await this.#applying;
    await this.#stopComputing();
    this.#isStopped = true;
  }
}

function told({ members, refusals, ...lists }: Transition): Omit<Applied, 'position' | 'untilMicros' | 'waitedMs'> {
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
  const plans = [inForce, ...(backfill ? [backfill] : [])];
  const wanted = plans.map(one => keepingOf(one.plan, idsOf(one, meta)));
  return unitedKeeping([...wanted, keptBefore(meta), lastRowsBefore(meta, plans)]);
}

function inBackfill({ meta }: OpenDatabase): InForce | null {
  const backfill = meta.backfill();
  return isComputed(backfill) ? { plan: readPlan(backfill.json), members: readMembers(backfill.members) } : null;
}

/** What is to come is being computed from the log. */
export function isComputed(coming: Backfilled | null): coming is Backfilled {
  return coming !== null && coming.until === null && !coming.isAborted;
}

function beforeOf(coming: Backfilled | null): InForce | null {
  if (!coming || coming.before === null || coming.isAborted) return null;
  return { plan: readPlan(coming.before), members: readMembers(coming.beforeMembers!) };
}

/** Numbers that rows know of what was given up alone. */
function numbersOf({ members }: Backfilled, inForce: InForce): Set<number> {
  const stay = new Set([...inForce.members.values()].map(({ id }) => id));
  return new Set([...readMembers(members).values()].flatMap(({ id }) => (stay.has(id) ? [] : [id])));
}

function endBackfill({ database }: LiveParts): void {
  durably(database.db, () => database.meta.endBackfill());
}
