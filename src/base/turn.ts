/** Lets everything else that waits on this thread go first: requests that have come in, timers that are due. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
