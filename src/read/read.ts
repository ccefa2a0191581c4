import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean, orWhichThereAre } from '../base/name.ts';
import { floorDiv, formatMicros, MICROS_PER_MS } from '../base/time.ts';
import type { Fold } from '../kernel/fold.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { KeyInput } from '../kernel/key.ts';
import { askedKeyBytes } from '../kernel/key.ts';
import type { AnswerFeature, AnswerLayout, Layout } from '../kernel/layout.ts';
import { type ReadLayout, readsOf, typeIndex } from '../kernel/layout.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { makeColumn } from '../kernel/feature_column.ts';
import { WARMING } from '../kernel/window.ts';
import { firstMomentMs, floorTile, isTiled, keptLevels, type TiledWindow } from '../plan/window.ts';
import { answerKeys, type StoredRows, storedOf } from './answer.ts';
import { type Explain, type ExplainedFeature, Explainer, type Explanation } from './explain.ts';

export interface Lookup {
  /** `set:name`, or `set:*` for all of a set. */
  features: string[];
  entities: Record<string, KeyInput[]>;
  /** Microseconds since 1970 UTC; null reads now. */
  at: bigint | null;
}

export interface Answer {
  timeMicros: bigint;
  /** Of the last record that the answer contains, -1 when there is none; null for a past moment, which has no position. */
  position: number | null;
  entities: EntityAnswer[];
}

/** Answers lookups: in this thread at once, with workers when they have. */
export interface LookUp {
  lookup(request: Lookup): Answer | Promise<Answer>;
  /** Why a lookup answers what it does. */
  explain(request: Explain): Explanation | Promise<Explanation>;
}

export interface EntityAnswer {
  entity: string;
  keys: KeyInput[];
  features: AnswerColumn[];
}

export interface AnswerColumn extends FeatureColumn {
  /**
   * Where some value is WARMING: since when the events are known that its windows count, of several event types the
   * latest, microseconds since 1970 UTC; else null.
   */
  sinceMicros: bigint | null;
}

export interface ReaderParts {
  layout: Layout;
  /** Of the last record folded; -1 when there is none. */
  position: () => number;
  nowMicros: () => bigint;
}

/** A lookup that has been checked: what to answer, and as of when. */
export interface Question {
  timeMicros: bigint;
  isPast: boolean;
  position: number | null;
  parts: QuestionPart[];
}

/** Of one entity. */
export interface QuestionPart {
  answer: AnswerLayout;
  features: AnswerFeature[];
  keys: KeyInput[];
  /** Canonical key bytes, one for each of `keys`. */
  encoded: Uint8Array[];
}

/** Of one feature and one key. */
export interface OneQuestion extends Omit<Question, 'parts'> {
  answer: AnswerLayout;
  feature: AnswerFeature;
  key: KeyInput;
  encoded: Uint8Array;
}

/** From a request to what has to be answered: names, moment, keys. */
export class Asker {
  constructor(private readonly parts: ReaderParts) {}

  /**
   * @throws Fault `not_found` for a feature or an entity that the plan does not have, `request` for keys of the wrong
   *   shape or features without keys, `expired` where tiles that the moment needs are no longer kept
   */
  ask(request: Lookup): Question {
    const isPast = request.at !== null;
    const now = this.parts.nowMicros();
    if (request.at !== null && request.at > now)
      throw new Fault('request', `at: ${formatMicros(request.at)} is later than now, ${formatMicros(now)}`);
    const timeMicros = request.at ?? now;
    for (const entity of Object.keys(request.entities)) this.#answerOf(entity);
    const wanted = this.#resolve(request.features, isPast);
    const missing = [...wanted.keys()].filter(answer => !Object.hasOwn(request.entities, answer.entity));
    if (missing.length > 0)
      throw new Fault('request', `these features are of ${missing.map(a => a.entity).join(', ')}: no keys are given`);
    const parts = Object.entries(request.entities).map(([entity, keys]): QuestionPart => {
      const answer = this.#answerOf(entity);
      const features = wanted.get(answer) ?? [];
      if (isPast) for (const feature of features) this.#refuseExpired(answer, feature, timeMicros);
      return { answer, features, keys, encoded: this.#encode(entity, keys) };
    });
    return { timeMicros, isPast, position: isPast ? null : this.parts.position(), parts };
  }

  /** What a lookup of one feature of one key would ask. @throws Fault as `ask` */
  askOne({ feature, key, at }: Explain): OneQuestion {
    if (feature.endsWith(':*')) throw new Fault('request', `${feature}: one feature is explained at a time`);
    const [[answer]] = this.#expand(feature) as [[AnswerLayout, AnswerFeature]];
    const { parts, ...moment } = this.ask({ features: [feature], entities: { [answer.entity]: [key] }, at });
    const { features, encoded } = parts[0]!;
    return { ...moment, answer, feature: features[0]!, key, encoded: encoded[0]! };
  }

  #encode(name: string, keys: KeyInput[]): Uint8Array[] {
    const entity = this.parts.layout.plan.entities.find(e => e.name === name);
    assert(entity, 'an answer is laid out for an entity of the plan');
    return keys.map(key => askedKeyBytes(entity, key));
  }

  /** Feature names -> what lies in the kernel for them, in the order asked for. `set:*` leaves out, for a past moment, what has no past. */
  #resolve(names: string[], isPast: boolean): Map<AnswerLayout, AnswerFeature[]> {
    const wanted = new Map<AnswerLayout, Set<AnswerFeature>>();
    for (const name of names) {
      const found = this.#expand(name);
      for (const [answer, feature] of found) {
        if (isPast && readsLifetime(answer, feature)) {
          if (name.endsWith(':*')) continue;
          throw new Fault(
            'request',
            `${feature.feature.name} reads a lifetime: of a past moment only windows are kept`,
          );
        }
        if (!wanted.has(answer)) wanted.set(answer, new Set());
        wanted.get(answer)!.add(feature);
      }
    }
    return new Map([...wanted].map(([answer, features]) => [answer, [...features]]));
  }

  #expand(name: string): [AnswerLayout, AnswerFeature][] {
    const found: [AnswerLayout, AnswerFeature][] = [];
    for (const answer of this.parts.layout.lookups.values())
      for (const feature of answer.features.values())
        if (feature.feature.name === name || name === `${feature.feature.set}:*`) found.push([answer, feature]);
    if (found.length === 0) throw new Fault('not_found', `no feature ${name}${didYouMean(name, this.#names(name))}`);
    return found;
  }

  /** What a name could have been: features for a feature, sets for a star. */
  *#names(asked: string): Iterable<string> {
    for (const answer of this.parts.layout.lookups.values())
      for (const { feature } of answer.features.values())
        yield asked.endsWith(':*') ? `${feature.set}:*` : feature.name;
  }

  #answerOf(entity: string): AnswerLayout {
    const { lookups } = this.parts.layout;
    const answer = lookups.get(entity);
    if (!answer) throw new Fault('not_found', `no entity ${entity}${orWhichThereAre(entity, [...lookups.keys()])}`);
    return answer;
  }

  /** A past moment can be answered while the first tile of each window is kept, by its event type's clock. */
  #refuseExpired(answer: AnswerLayout, feature: AnswerFeature, timeMicros: bigint): void {
    const { exports } = this.parts.layout.kernel;
    exports.coverAt(answer.index, timeMicros, 1);
    let earliestMs = Number.NEGATIVE_INFINITY;
    for (const read of readsOf(answer, feature)) {
      const keptMs = this.#keptFrom(answer, read);
      if (exports.windowStart(answer.index, read.window) >= keptMs) continue;
      const { offsetMs } = answer.members[read.member]!.aggregate.tiles;
      earliestMs = Math.max(earliestMs, firstMomentMs(tiled(read), keptMs, offsetMs));
    }
    if (earliestMs === Number.NEGATIVE_INFINITY) return;
    const earliest = formatMicros(BigInt(earliestMs) * MICROS_PER_MS);
    throw new Fault(
      'expired',
      `${feature.feature.name} can be answered from ${earliest} on: earlier tiles have expired`,
    );
  }

  /** The first start of a tile that is still there, of those that a read begins with. */
  #keptFrom(answer: AnswerLayout, read: ReadLayout): number {
    const { layout } = this.parts;
    const { aggregate } = answer.members[read.member]!;
    const clock = layout.kernel.exports.seenClock(typeIndex(layout, aggregate.event));
    if (clock === layout.kernel.exports.CLOCK_NONE.value) return Number.NEGATIVE_INFINITY;
    const { resolutionMs } = tiled(read);
    const level = keptLevels(aggregate, layout.plan).find(({ levelMs }) => levelMs === resolutionMs);
    assert(level, 'a window is read at a level that is kept');
    const overMs = Number(floorDiv(clock, MICROS_PER_MS)) - level.ttlMs;
    return floorTile(overMs, resolutionMs, aggregate.tiles.offsetMs) + resolutionMs;
  }
}

function tiled({ read: { window } }: ReadLayout): TiledWindow {
  assert(isTiled(window), 'only what is read from tiles has a past');
  return window;
}

/** The way of a lookup in this thread: names -> keys -> (store's rows, memory's rows) -> windows -> derived values. */
export class Reader {
  readonly #asker: Asker;
  readonly #explainer: Explainer;

  constructor(private readonly parts: ReaderParts & { fold: Fold; store: StoredRows }) {
    this.#asker = new Asker(parts);
    this.#explainer = new Explainer(parts);
  }

  /** @throws Fault as `Asker.ask` */
  lookup(request: Lookup): Answer {
    const { layout, fold, store } = this.parts;
    const { timeMicros, isPast, position, parts } = this.#asker.ask(request);
    const entities = parts.map(({ answer, features, keys, encoded }) => {
      const columns = emptyColumns(features, keys.length);
      answerKeys(layout.kernel, answer, features, encoded, timeMicros, isPast, storedOf(store, fold, answer), columns);
      return { entity: answer.entity, keys, features: withSince(layout.kernel, answer, features, columns) };
    });
    return { timeMicros, position, entities };
  }

  /** @throws Fault as `Asker.ask` */
  explain(request: Explain): Explanation {
    const question = this.#asker.askOne(request);
    const { answer, feature, encoded, timeMicros, isPast } = question;
    return explanationOf(question, this.#explainer.explain(answer, feature, encoded, timeMicros, isPast));
  }
}

export function explanationOf(question: OneQuestion, explained: ExplainedFeature): Explanation {
  const { answer, key, timeMicros, position } = question;
  return { entity: answer.entity, key, timeMicros, position, ...explained };
}

export function emptyColumns(features: AnswerFeature[], count: number): FeatureColumn[] {
  return features.map(({ feature, type }) => makeColumn({ name: feature.name, type }, count));
}

/** The cover of the kernel's answer is that of the columns' moment. */
export function withSince(
  kernel: Kernel,
  answer: AnswerLayout,
  features: AnswerFeature[],
  columns: FeatureColumn[],
): AnswerColumn[] {
  return columns.map((column, i) => ({ ...column, sinceMicros: sinceOf(kernel, answer, features[i]!, column) }));
}

function sinceOf(kernel: Kernel, answer: AnswerLayout, feature: AnswerFeature, column: FeatureColumn): bigint | null {
  if (!column.statuses.includes(WARMING)) return null;
  const { exports } = kernel;
  let latest = exports.CLOCK_NONE.value;
  for (const { member, window } of feature.cells) {
    const since = exports.warmingSince(answer.index, member, window);
    if (since > latest) latest = since;
  }
  assert(latest !== exports.CLOCK_NONE.value, `${column.name} is WARMING, and so is something that it reads`);
  return latest;
}

function readsLifetime(answer: AnswerLayout, feature: AnswerFeature): boolean {
  return feature.cells.some(cell => answer.windows[cell.window]!.lengthMs === 0);
}
