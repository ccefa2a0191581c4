/** Mistakes in the source that tests must notice: mutants.ts puts them in one at a time. */
export interface Mutant {
  name: string;
  /** What goes wrong with it. */
  why: string;
  file: string;
  from: string;
  to: string;
  /** The suite that has the input which shows it, where it takes a rare one: no other is tried. */
  suite?: string;
}
