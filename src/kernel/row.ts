import { Fault } from '../base/fault.ts';

/** What is wrong with a row or a change that cannot be merged. */
export function badRow(isUnknown: boolean): Fault {
  return isUnknown
    ? new Fault('unsupported', 'a row holds an aggregate that this version does not know: use a newer tilefold')
    : new Fault('corrupt', 'a row or a change is not in canonical form');
}
