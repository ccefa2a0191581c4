import { Fault } from '../base/fault.ts';
import { KEY_MAX_BYTES } from '../kernel/key.ts';
import { EVENTS_PER_BODY_MAX } from '../kernel/door.ts';
import { BATCH_MAX_BYTES } from '../source/segment.ts';
import { LINE_MAX_BYTES } from '../source/source.ts';

/**
 * What is refused for its size, by name: a fault that stands on one of these says its name and its value. `event_bytes`
 * and `event_depth` are the kernels' own numbers, which judge events one by one.
 */
export const LIMITS = {
  events_body_bytes: {
    // One append to the event log, with room for the newline that the last line may lack.
    value: BATCH_MAX_BYTES - 1,
    what: 'bytes of a body of events, unpacked',
  },
  enriched_body_bytes: {
    // Its events are judged in one go, and their features are all in one reply.
    value: 4 * 1024 * 1024,
    what: 'bytes of a body of events that are answered with features, unpacked',
  },
  events_per_body: { value: EVENTS_PER_BODY_MAX, what: 'events of one body, rejected ones among them' },
  event_bytes: { value: LINE_MAX_BYTES, what: 'bytes of one event' },
  event_depth: { value: 64, what: 'objects and arrays of an event within one another' },
  lookup_body_bytes: {
    // Room for the keys of the largest lookup, and some.
    value: 8 * 1024 * 1024,
    what: 'bytes of a body of POST /v1/features, unpacked',
  },
  lookup_features: {
    // Each is looked for among all that there are.
    value: 10_000,
    what: 'names of features in one lookup',
  },
  lookup_keys: {
    // A value for each would be the most that is answered.
    value: 250_000,
    what: 'keys of one lookup, over all entities',
  },
  lookup_values: {
    // A ranking request of 2,000 candidates with 100 features each, and some: nobody else is answered meanwhile.
    value: 250_000,
    what: 'values of one lookup: keys times features, a list or a map counting as many as it may have',
  },
  plan_body_bytes: {
    // Thousands of feature sets; all of them are compiled before anything else is done.
    value: 16 * 1024 * 1024,
    what: 'bytes of a body of POST /v1/plan, or of a branch, unpacked',
  },
  key_bytes: { value: KEY_MAX_BYTES, what: 'bytes of one key' },
  feed_page: {
    // So many events of a MiB would be the most that is answered; who wants more asks for the next page.
    value: 1_000,
    what: 'events in one page of the latest events',
  },
  errors_page: {
    // A page that a browser still shows at once; who wants more asks for the next one.
    value: 10_000,
    what: 'errors in one page',
  },
  timeline_body_bytes: {
    // It goes to a file piece by piece; larger ones are better read where they are, by the command line.
    value: 4 * 1024 ** 3,
    what: 'bytes of a file that is saved as a timeline, as it is sent',
  },
  replay_page: {
    // Rows of hundreds of features are some ten MiB then; who wants all of them asks for Arrow.
    value: 10_000,
    what: "events or errors in one page of a replay's results",
  },
  replays_page: {
    // Of each a manifest is read, which names every column.
    value: 100,
    what: 'replays in one page',
  },
  replays_waiting: {
    // They are computed one after the other: a longer queue is a mistake.
    value: 16,
    what: 'replays that are computed or wait for it',
  },
  replay_followers: {
    // Each has files looked for twice a second.
    value: 100,
    what: 'connections on which the progress of replays is followed',
  },
} as const satisfies Record<string, { value: number; what: string }>;

export type LimitName = keyof typeof LIMITS;

/** @param found what was sent, as the beginning of a sentence: `the body is larger` */
export function tooLarge(name: LimitName, found: string): Fault {
  return new Fault('too_large', `${found}; the limit ${name} is ${LIMITS[name].value} ${LIMITS[name].what}`);
}

/** What may be tried again later. @param found as `tooLarge` has it */
export function busyWith(name: LimitName, found: string): Fault {
  return new Fault('busy', tooLarge(name, found).message);
}

/** `name  value  what`, a line each. */
export function limitLines(): string[] {
  const entries = Object.entries(LIMITS).map(([name, { value, what }]) => [name, String(value), what] as const);
  const [names, values] = [0, 1].map(column => Math.max(...entries.map(entry => entry[column]!.length)));
  return entries.map(([name, value, what]) => `${name.padEnd(names!)}  ${value.padStart(values!)}  ${what}`);
}
