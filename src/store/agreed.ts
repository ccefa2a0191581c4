/**
 * What all processes of a cluster agree on: decisions, each of which has its place in one order, and what single partitions
 * have done about them. Everybody reads the same, and nobody can decide by what has changed meanwhile.
 */

/** Something that is decided, and what has become of it. */
export interface Decision {
  kind: 'plan' | 'epoch';
  /** From 1 up, each kind for itself. */
  number: number;
  state: 'coming' | 'in force' | 'before' | 'over' | 'given up';
  /** JSON of whoever decides; of those that are over or given up it is not read. */
  body: string;
}

export interface Decided {
  /** How often something was decided; 0 before the first time. */
  turn: number;
  /** By kind and number. */
  decisions: Decision[];
}

/** What a partition can come to. */
export type Milestone = 'begun' | 'made' | 'plan' | 'epoch' | 'drained' | 'backfilling' | 'backfilled';

/** @throws Fault `busy`, of each method, where the database does not answer: what was to be decided may be decided all the same */
export interface Agreement {
  /** Cheap: whoever asks now and then need not read all. */
  turn(): Promise<number>;
  read(): Promise<Decided>;
  /**
   * Records all of them, or nothing where something has been decided since that turn.
   *
   * @returns whether they are recorded
   */
  decide(turn: number, decisions: Decision[]): Promise<boolean>;
  /** Of each partition that has come so far, what was noted. */
  reached(what: Milestone, number: number): Promise<Map<number, string>>;
  /** Notes it once: what was noted before stays. */
  reach(what: Milestone, number: number, partition: number, note: string): Promise<void>;
}
