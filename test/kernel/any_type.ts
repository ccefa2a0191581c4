/** Types that a seed decides, with texts that mostly are of them. */
import type { EventType } from '../../src/plan/plan.ts';
import {
  BOOL,
  DOUBLE,
  type Field,
  INT64,
  isScalar,
  OPTIONAL,
  REQUIRED,
  type Slot,
  STRING,
  TIME,
  type Type,
  type Value,
} from '../../src/plan/value.ts';
import type { Random } from '../sim/random.ts';
import { eventType } from './columns.ts';
import { type JsonText, NUMBERS, TIMES } from './json_text.ts';

export class AnyType {
  constructor(
    private readonly rng: Random,
    private readonly json: JsonText,
    /** How often a value is of another type than it should be, or spelled as one of another. */
    private readonly odd = 0.012,
  ) {}

  event(name: string): EventType {
    return eventType(name, this.fields(3, 1 + this.rng.below(4)));
  }

  fields(depth: number, count: number): Field[] {
    const { rng } = this;
    return Array.from({ length: count }, (_, i) => {
      // Names of any length, some the beginning of others; paths that part late, and two fields on one path.
      const name = rng.chance(0.3) ? 'x'.repeat(i + 6) : `${'abc'[i] ?? 'ä'}${i}`;
      const path = rng.chance(0.25) ? ['o', ...(rng.chance(0.3) ? ['p'] : []), name] : [rng.chance(0.1) ? 'o' : name];
      return { name: `${name}_${i}`, path, ...this.slot(depth) };
    });
  }

  slot(depth: number): Slot {
    const type = this.type(depth);
    const fallback = isScalar(type) && this.rng.chance(0.2) ? DEFAULTS[type.kind]! : null;
    if (fallback !== null) return { type, presence: { kind: 'default', value: fallback } };
    return { type, presence: this.rng.chance(0.75) ? OPTIONAL : REQUIRED };
  }

  type(depth: number): Type {
    const { rng } = this;
    if (depth > 0 && rng.chance(0.35)) return { kind: 'list', of: this.slot(depth - 1) };
    if (depth > 0 && rng.chance(0.15)) return { kind: 'map', key: STRING, of: this.slot(depth - 1) };
    if (depth > 0 && rng.chance(0.4))
      return { kind: 'struct', name: null, fields: this.fields(depth - 1, 1 + rng.below(4)) };
    return rng.pick([BOOL, INT64, DOUBLE, STRING, TIME]);
  }

  /** JSON that is of a type unless it is not. */
  text({ type, presence }: Slot): string {
    const { rng, json } = this;
    if (rng.chance(this.odd)) return this.#other();
    if (rng.chance(presence.kind === 'required' ? this.odd / 3 : 0.15)) return 'null';
    switch (type.kind) {
      case 'bool':
        return rng.pick(['true', 'false']);
      case 'int64':
        return rng.chance(0.02) ? rng.pick(NUMBERS) : rng.pick(NUMBERS.slice(0, 6));
      case 'double':
        return rng.pick(NUMBERS);
      case 'string':
        return json.spell(json.text());
      case 'time':
        return rng.chance(0.5) ? json.spell(rng.pick(TIMES.slice(0, 5))) : '1234567890123';
      case 'list':
        return json.array(Array.from({ length: rng.below(rng.chance(0.05) ? 40 : 4) }, () => this.text(type.of)));
      case 'struct':
        return this.object(type.fields);
      case 'map': {
        const keys = Array.from({ length: rng.below(rng.chance(0.05) ? 40 : 4) }, () =>
          rng.chance(0.6) ? rng.pick(['a', 'b', 'ab', '', 'é', '7', '10', '__proto__']) : json.text(),
        );
        return json.object(keys.map(key => [key, this.text(type.of)]));
      }
    }
  }

  /** Anything, and often what a conversion makes something of. */
  #other(): string {
    const { rng, json } = this;
    if (rng.chance(0.4)) return json.value(2);
    const texts = ['null', 'true', 'false', 'NULL', '5', '2001-03-05', '2001-02-30', ...NUMBERS, ...TIMES];
    return rng.chance(0.8) ? json.spell(rng.pick(texts)) : rng.pick(['true', '5.6', '-0.5', '0', ...NUMBERS]);
  }

  /** An object with members at the ends of the fields' paths, some twice. */
  object(fields: Field[]): string {
    const { rng, json } = this;
    const kept = fields.filter(({ presence }) => presence.kind === 'required' || rng.chance(0.8));
    const members = kept.flatMap(field => Array.from({ length: rng.chance(0.06) ? 2 : 1 }, () => this.member(field)));
    const below = kept.filter(({ path }) => path.length > 1).map(field => ({ ...field, path: field.path.slice(1) }));
    if (below.length > 0 && rng.chance(0.97)) members.push(['o', this.object(below)]);
    if (rng.chance(0.2)) members.push([rng.pick(['a0', 'o', 'x', json.text()]), json.value(2)]);
    return json.object(json.shuffled(members));
  }

  private member(field: Field): [string, string] {
    return [
      field.path[0]!,
      field.path.length > 1 ? this.object([{ ...field, path: field.path.slice(1) }]) : this.text(field),
    ];
  }
}

const DEFAULTS: Partial<Record<Type['kind'], Value>> = {
  bool: true,
  int64: -7n,
  double: 0.5,
  string: 'größe',
  time: 1_000_000n,
};
