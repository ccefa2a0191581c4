/** What stands beside a value that is not simply there; the graver, the greater. */
export enum Status {
  NONE,
  /** The value is there, of a window that reaches back before its event type was known. */
  WARMING,
  NOT_FOUND,
  EXPIRED,
  OVERFLOW,
}

/** A column of a frame: see frame.ts for what stands in it. */
@unmanaged
export class Register {
  values: usize;
  nulls: usize;
  statuses: usize;
}
