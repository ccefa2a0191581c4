/** Random logs for random definitions: out of order, late, far ahead, twice, with nulls, wrong values and broken lines. */
import type { ScalarKind } from '../../src/plan/value.ts';
import { JsonText } from '../kernel/json_text.ts';
import type { Random } from '../sim/random.ts';
import { type Definitions, type EventSpec, type InputSpec, OP } from './definitions.ts';
import { type InputKind, TILES_DEFAULT_MS } from './menu.ts';

/** Before a leap day, and so long ago that nothing far ahead of it is ahead of the wall. */
const START_MS = Date.UTC(2004, 1, 28, 21, 40);

/** How wild a log is; of a tame one DuckDB can say what it comes to. */
export type Temper = 'tame' | 'wild';

/** Lines of NDJSON, without their newlines. */
export function randomLines(of: Definitions, count: number, temper: Temper, random: Random): string[] {
  const wild = temper === 'wild';
  const stepMs = stepOf(of, random);
  const values = new Map(of.types.map(type => [type, new Values(type, temper, random)]));
  const lines: string[] = [];
  // How long a late event lags, at most: within lateness, about at its edge, or far beyond.
  const lags = [3 * stepMs, of.latenessMs + 2 * stepMs, 400 * stepMs];
  let clockMs = START_MS + random.below(86_400_000);
  while (lines.length < count) {
    clockMs += random.chance(0.03) ? random.below(60 * stepMs) : random.below(2 * stepMs);
    const lagMs = random.chance(0.3) ? random.below(random.pick(wild ? lags : lags.slice(0, 1)) + 1) : 0;
    const aheadMs = wild && random.chance(0.01) ? random.below(4_000) * 86_400_000 : 0;
    const type = random.pick(of.types);
    const data = values.get(type)!.data(clockMs - lagMs);
    lines.push(recordText(type.name, clockMs - lagMs + aheadMs, data, temper, random));
    if (type.changelog && random.chance(0.4)) lines.push(undone(random.pick(lines.slice(-30)), random));
    if (random.chance(0.03)) lines.push(random.pick(lines.slice(-20)));
    if (wild && random.chance(0.02)) lines.push(brokenLine(lines.at(-1)!, clockMs, random));
  }
  return lines;
}

/** Another word on a row of a changelog that was there before. */
function undone(line: string, random: Random): string {
  return line.replace(/"op":"[^"]*"/, `"${OP}":"${random.pick(OPS)}"`);
}

const OPS = ['+I', '-D', '-U', '+U'];

/** Long enough that some tiles are over at the end, and short enough that most windows hold several events. */
function stepOf({ sets }: Definitions, random: Random): number {
  const { tilesMs } = random.pick(sets);
  const tileMs = random.pick(tilesMs ?? TILES_DEFAULT_MS);
  return Math.max(1, Math.floor(tileMs / random.pick([0.4, 1, 3, 20, 200])));
}

function recordText(type: string, ms: number, data: string, temper: Temper, random: Random): string {
  const time = timeText(ms, temper, random);
  if (temper === 'tame') return `{"type":"${type}","time":${time},"data":${data}}`;
  if (random.chance(0.02)) return `{"type":"${type}","time":${time},"data":${random.pick(['null', '[]', '7', '"x"'])}}`;
  if (random.chance(0.02)) return `{"type":"other","time":${time},"data":${data}}`;
  if (random.chance(0.05)) return `{"_time":${time},"_type":"${type}",${data.slice(1)}`.replace(/,\}$/, '}');
  if (random.chance(0.1)) return `{"data":${data},"time":${time},"id":"x","type":"${type}"}`;
  return `{"type":"${type}","time":${time},"data":${data}}`;
}

function timeText(ms: number, temper: Temper, random: Random): string {
  const iso = new Date(ms).toISOString().slice(0, -1);
  if (temper === 'wild' && random.chance(0.1)) return String(ms);
  if (temper === 'wild' && random.chance(0.1)) return `"${iso}${random.pick(['1', '999', '500001'])}Z"`;
  if (temper === 'wild' && random.chance(0.1)) return `"${new Date(ms + 19_800_000).toISOString().slice(0, -1)}+05:30"`;
  return `"${iso}Z"`;
}

function brokenLine(line: string, ms: number, random: Random): string {
  const time = `"${new Date(ms).toISOString()}"`;
  return random.pick([
    line.slice(0, random.below(line.length)),
    `${line}]`,
    '',
    '7',
    `{"type":"event0","data":{}}`,
    `{"type":"event0","time":"yesterday"}`,
    `{"time":${time}}`,
    `{"type":7,"time":${time}}`,
  ]);
}

/** Values of one type's inputs as JSON texts. */
class Values {
  /** What the inputs of keys may be. */
  readonly #pools: Map<InputSpec, string[]>;
  readonly #json: JsonText;
  /** Of Debezium's changes, those that were added. */
  readonly #rows: string[] = [];

  constructor(
    private readonly type: EventSpec,
    private readonly temper: Temper,
    private readonly random: Random,
  ) {
    this.#json = new JsonText(random);
    const keys = type.inputs.filter(({ isKey }) => isKey);
    this.#pools = new Map(
      keys.map(input => [input, Array.from({ length: 1 + random.below(4) }, () => this.#value(input.kind, KEYS))]),
    );
  }

  /** What an event says: a row, or how Debezium puts it. */
  data(ms: number): string {
    const { changelog } = this.type;
    return changelog && changelog.op === null ? this.#change(ms) : this.#row(ms);
  }

  /** Rows that were there are taken back, mostly. */
  #change(ms: number): string {
    const { random } = this;
    const op = random.pick(random.chance(0.01) ? ['t', 'x'] : ['c', 'c', 'r', 'u', 'u', 'd']);
    const [takes, adds] = [op === 'u' || op === 'd', op !== 'd'];
    const known = this.#rows.length > 0 && random.chance(0.8) ? random.pick(this.#rows.slice(-10)) : this.#row(ms);
    const added = this.#row(ms);
    if (adds) this.#rows.push(added);
    return `{"before":${takes ? known : 'null'},"after":${adds ? added : 'null'},"op":"${op}"}`;
  }

  /** An object of all inputs, in any order; a changelog's row is about as old as its event, or older. */
  #row(ms: number): string {
    const { random, temper, type } = this;
    const members: Members = new Map();
    const inputs = random.chance(0.2) ? this.#json.shuffled(type.inputs) : type.inputs;
    for (const input of inputs) {
      const text = this.#said(input, ms) ?? this.#input(input);
      if (text !== null) put(members, input.path ?? [input.name], text);
    }
    if (temper === 'wild' && random.chance(0.05)) members.set('more', random.pick(['1', '{"a":[{}]}', '"}"']));
    return objectText(members);
  }

  /** What a changelog says of its rows; null of other inputs. */
  #said({ name }: InputSpec, ms: number): string | null {
    const { random, temper, type } = this;
    if (!type.changelog || (temper === 'wild' && random.chance(0.02))) return null;
    if (name === type.changelog.op) return `"${random.chance(0.6) ? '+I' : random.pick(OPS)}"`;
    if (name !== type.changelog.time) return null;
    const ago = random.chance(0.5) ? 0 : random.below(random.pick([60_000, 3_600_000, 400_000_000]));
    return `"${new Date(ms - ago).toISOString()}"`;
  }

  /** Null where it is left out. */
  #input(input: InputSpec): string | null {
    const { random, temper } = this;
    const isMissing = input.presence !== 'required' || (temper === 'wild' && random.chance(0.1));
    if (isMissing && random.chance(0.2)) return random.chance(0.5) ? 'null' : null;
    if (temper === 'wild' && random.chance(0.006)) return random.pick(['"5"', '5.5', 'true', '[]', '{}', '1e19']);
    const pool = this.#pools.get(input);
    return pool ? random.pick(pool) : this.#value(input.kind, this.temper === 'wild' ? WILD : TAME);
  }

  #value(kind: InputKind, pools: Pools): string {
    const { random } = this;
    const some = (of: InputKind) => Array.from({ length: random.below(4) }, () => this.#value(of, pools));
    const member = (name: string, of: InputKind) =>
      random.chance(0.7) ? [`"${name}":${this.#value(of, pools)}`] : random.chance(0.5) ? [`"${name}":null`] : [];
    switch (kind) {
      case 'ints':
        return `[${some('int64').map(one => (random.chance(0.2) ? 'null' : one))}]`;
      case 'doubles':
        return `[${some('double')}]`;
      case 'texts':
        return `[${some('string')}]`;
      case 'items':
        return `[${some('string').map(sku => `{${[`"sku":${sku}`, ...member('n', 'int64'), ...member('price', 'double')]}}`)}]`;
      case 'place':
        return `{${[...member('city', 'string'), `"seen":{${member('at', 'time')}}`]}}`;
      case 'string':
        return this.#text(random.pick(pools.string));
      case 'time':
        return random.pick(pools.time);
      default:
        return random.chance(0.03) ? random.pick(pools[kind]) : plain(kind, random);
    }
  }

  #text(text: string): string {
    return this.temper === 'wild' && this.random.chance(0.3) ? this.#json.spell(text) : JSON.stringify(text);
  }
}

/** Members by name; what is no text is an object within. */
type Members = Map<string, string | Members>;

function put(members: Members, [name, ...rest]: string[], text: string): void {
  if (rest.length === 0) return void members.set(name!, text);
  const within = members.get(name!) ?? new Map();
  members.set(name!, within);
  if (typeof within !== 'string') put(within, rest, text);
}

function objectText(members: Members): string {
  const texts = [...members].map(
    ([name, of]) => `${JSON.stringify(name)}:${typeof of === 'string' ? of : objectText(of)}`,
  );
  return `{${texts.join()}}`;
}

/** Small, and often the same; doubles that binary has no digits for. */
function plain(kind: 'bool' | 'int64' | 'double', random: Random): string {
  if (kind === 'bool') return String(random.chance(0.5));
  if (kind === 'int64') return String(random.below(random.pick([5, 5, 1000])) - 2);
  return String((random.below(200) - 60) / random.pick([4, 10, 100]));
}

type Pools = Record<ScalarKind, readonly string[]>;

const TAME: Pools = {
  bool: ['true'],
  int64: ['1000000', '-40'],
  double: ['1e9', '-0.125'],
  string: ['a', 'b', 'ab', '', 'größe', '東京', 'Az'],
  time: ['"2024-02-28T23:00:00Z"', '"1969-12-31T23:59:59.5Z"', '"2024-03-01T00:00:00.000001Z"'],
};

const WILD: Pools = {
  bool: ['true', 'false'],
  int64: [
    ...['9223372036854775807', '-9223372036854775808', '9007199254740993', '-9007199254740993', '1e2', '3.0', '-0'],
    ...['9223372036854775807.000', '4611686018427387904'],
  ],
  double: ['-0.0', '1e400', '-1e400', '1.7976931348623157e308', '5e-324', '1e-300', '9007199254740993', '1e22'],
  string: [
    ...['a', 'b', 'ab', 'A', '', ' a', 'größe', '東京', '\u{1f600}', '\ud800', 'q"\\/\n', '\u0000', '\ufeffx', '12'],
    'long '.repeat(210),
  ],
  time: [
    ...['"2024-02-29T12:00:00.123456Z"', '"1969-12-31T23:59:59.999999Z"', '"0000-01-01T00:00:00Z"', '1709164800000'],
    ...['"9999-12-31T23:59:59.999999Z"', '-1', '"2024-02-29T00:00:00-08:00"'],
  ],
};

const KEYS: Pools = {
  bool: ['true', 'false'],
  int64: ['1', '2', '-9223372036854775808', '9223372036854775807', '10'],
  double: ['0'],
  string: ['a', 'b', 'ab', '', '東京', '\ud800', 'a\u0000', 'größe'],
  time: ['"2024-02-29T12:00:00.123456Z"', '"1969-12-31T23:59:59.999999Z"', '0'],
};
