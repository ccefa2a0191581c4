import type { Fault, Position } from '../../base/fault.ts';
import type { Read } from '../../plan/expression.ts';
import type { Aggregate, EventType } from '../../plan/plan.ts';
import type { Field } from '../../plan/value.ts';
import type { Declared } from '../declare.ts';
import type { Place } from '../place.ts';
import type { Bound } from './bound.ts';
import type { TypeStatement } from './slot.ts';
import type { Statement } from './tree.ts';

/** A name and what it is, as it is written under an event. */
export interface Definition {
  event: string;
  name: string;
  statement: Statement & { kind: 'input' | 'feature' };
  at: Position;
  place: Place;
  /** What stands behind `:=`, and the comment behind that. */
  text: string;
  about: string | null;
  /** Null where it is faulty, undefined as long as nobody has asked. */
  bound: Bound | null | undefined;
}

/** An event type in the making. */
export interface Topic {
  name: string;
  at: Position;
  /** As YAML declares it, where it does. */
  declared: EventType | null;
  definitions: Map<string, Definition>;
  inputs: Field[];
  /** Columns that no author has written. */
  hidden: EventType['columns'];
  /** Names whose statements are faulty. */
  lost: Set<string>;
}

/** An aggregate, and what the writers call its keys, in as many ways as they do. */
export interface Written {
  aggregate: Aggregate;
  keyNames: string[][];
}

export interface EntityStatement {
  statement: Statement & { kind: 'entity' };
  place: Place;
}

/** Everything that is being compiled. */
export interface Desk {
  topics: Map<string, Topic>;
  types: TypeStatement[];
  entities: EntityStatement[];
  aggregates: Written[];
  /** Of all of them: aggregates that mean the same become one. */
  reads: Read[];
  declared: Declared;
  faults: Fault[];
}
