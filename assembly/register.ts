/** A column of a frame: see expression.ts for what stands in it. */
@unmanaged
export class Register {
  values: usize;
  nulls: usize;
  statuses: usize;
}
