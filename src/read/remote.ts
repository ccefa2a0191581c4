import { spreadRows } from '../kernel/feature_column.ts';
import type { TileRange } from '../plan/window.ts';
import { byteName } from '../store/address.ts';
import type { RemoteRows } from '../store/remote.ts';
import { answerKeys, type StoredRows, storedOf, storeRanges } from './answer.ts';
import { Explainer, type Explain, type Explanation } from './explain.ts';
import {
  type Answer,
  Asker,
  emptyColumns,
  type EntityAnswer,
  explanationOf,
  type Lookup,
  type LookUp,
  type Question,
  type QuestionPart,
  type ReaderParts,
  withSince,
} from './read.ts';

/** Keys whose rows are in memory at the same time: of a large lookup the others wait. */
const KEYS_AT_ONCE = 512;

/** Nothing of what is read stays. */
const NO_ROOM = { hasRoom: false };

/**
 * The way of a lookup where rows rest elsewhere, and this process has none:
 *
 *   names -> keys -> which tiles -> read those of each key, many keys at a time -> windows -> derived values
 *
 * What is waited for lies before what is computed: that is the same as over rows in memory.
 */
export class RemoteReader implements LookUp {
  readonly #asker: Asker;
  readonly #explainer: Explainer;
  /** Of the key that is being explained. */
  #explained: StoredRows | null = null;

  /** @param parts.layout in a kernel that shares a store, and holds nothing */
  constructor(private readonly parts: ReaderParts & { rows: Pick<RemoteRows, 'readKeys'> }) {
    this.#asker = new Asker(parts);
    const store: StoredRows = { readKey: (...asked) => this.#explained!.readKey(...asked) };
    this.#explainer = new Explainer({ layout: parts.layout, fold: NO_ROOM, store });
  }

  /** @throws Fault as `Asker.ask`, and as the rows say */
  async lookup(request: Lookup): Promise<Answer> {
    const question = this.#asker.ask(request);
    const entities: EntityAnswer[] = [];
    for (const part of question.parts) entities.push(await this.#answer(question, part));
    return { timeMicros: question.timeMicros, position: null, entities };
  }

  /** @throws Fault likewise */
  async explain(request: Explain): Promise<Explanation> {
    const { layout } = this.parts;
    const question = this.#asker.askOne(request);
    const { answer, feature, encoded, timeMicros, isPast } = question;
    const ranges = storeRanges(layout.kernel, answer, [feature], timeMicros, isPast);
    this.#explained = await this.#read(answer.entityId, [encoded], ranges);
    const explained = this.#explainer.explain(answer, feature, encoded, timeMicros, isPast);
    return explanationOf({ ...question, position: null }, explained);
  }

  async #answer({ timeMicros, isPast }: Question, part: QuestionPart): Promise<EntityAnswer> {
    const { kernel } = this.parts.layout;
    const { answer, features, keys, encoded } = part;
    const columns = emptyColumns(features, keys.length);
    for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
      const chunk = encoded.slice(from, from + KEYS_AT_ONCE);
      const store = await this.#read(answer.entityId, chunk, storeRanges(kernel, answer, features, timeMicros, isPast));
      const read = emptyColumns(features, chunk.length);
      const stored = storedOf(store, NO_ROOM, answer);
      answerKeys(kernel, answer, features, chunk, timeMicros, isPast, stored, read);
      const places = chunk.map((_, i) => from + i);
      for (const [i, column] of columns.entries()) spreadRows(read[i]!, places, column);
    }
    // Nobody else was answered since the last of them were: the moment is theirs.
    return { entity: answer.entity, keys, features: withSince(kernel, answer, features, columns) };
  }

  /** Each key once, however often it is asked for. */
  async #read(entity: number, keys: Uint8Array[], ranges: TileRange[]): Promise<StoredRows> {
    const asked = [...new Map(keys.map(key => [byteName(key), key])).values()];
    const rows = asked.map((): ReadRow[] => []);
    await this.parts.rows.readKeys(entity, asked, ranges, (index, levelMs, tileStartMs, bytes, start, end) =>
      rows[index]!.push({ levelMs, tileStartMs, bytes, start, end }),
    );
    const found = new Map(asked.map((key, i) => [byteName(key), rows[i]!]));
    return {
      readKey(_entity, key, wanted, take) {
        const rows = found.get(byteName(key))!;
        for (const { levelMs, fromMs, toMs } of wanted)
          for (const row of rows)
            if (row.levelMs === levelMs && row.tileStartMs >= fromMs && row.tileStartMs < toMs)
              take(levelMs, row.tileStartMs, row.bytes, row.start, row.end);
      },
    };
  }
}

/** Its value is [start, end) of the bytes. */
interface ReadRow {
  levelMs: number;
  tileStartMs: number;
  bytes: Uint8Array;
  start: number;
  end: number;
}
