import type { EventType, Plan, Upsert } from './plan.ts';

/**
 * The last row of each key of an event type whose records say only what a row is now: it is kept to be taken back when the
 * next one comes. They lie among the rows of aggregates, under an entity of their own:
 *
 *   (entity, key, lifetime) -> number -> last: the row's text, by position
 *
 * A text of no bytes stands for a row that was deleted.
 */
export interface LastRows {
  /** Of that entity, and of what stands in its rows. */
  name: string;
  event: EventType;
  changelog: Upsert & { time: string | null };
}

/** Those that a plan needs: of event types that something is counted of. */
export function lastRowsOf(plan: Plan): LastRows[] {
  return plan.events.flatMap(event => {
    const { changelog } = event;
    if (changelog?.kind !== 'upsert' || !plan.aggregates.some(one => one.event === event.name)) return [];
    return { name: lastRowsName(event.name), event, changelog };
  });
}

/** No entity that is declared has a name with a blank, and no aggregate. */
const PREFIX = 'last rows of ';

function lastRowsName(event: string): string {
  return `${PREFIX}${event}`;
}

/** Is it the name of an entity that is one? */
export function isLastRows(entity: string): boolean {
  return entity.startsWith(PREFIX);
}
