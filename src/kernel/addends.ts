import { Inbox } from './inbox.ts';
import { loadKernelAtOnce } from './instance.ts';
import { badRow } from './row.ts';

/**
 * Adds up what a store has of rows that were changed and not read (assembly/addends.ts): the sums of a pack. It has a kernel of its own,
 * which is made when it is needed first: most stores have no such rows.
 *
 * @returns to be called with a pack, and whether no older run has more of its rows: the pack as it is then, a view that holds until
 *   the next call. It throws a Fault `corrupt` where a value is no row in canonical form, `unsupported` where one has an aggregate that
 *   this version does not know.
 */
export function adder(): (pack: Uint8Array, isOldest: boolean) => Uint8Array<ArrayBuffer> {
  let inbox: Inbox | null = null;
  return (pack, isOldest) => {
    inbox ??= new Inbox(loadKernelAtOnce());
    const { exports, bytes } = inbox.kernel;
    const outcome = exports.addUp(inbox.put(pack), pack.length, isOldest ? 1 : 0);
    if (outcome !== exports.ROW_OK.value) throw badRow(outcome === exports.ROW_UNKNOWN_CASE.value);
    return bytes(exports.addedStart(), exports.addedLength());
  };
}
