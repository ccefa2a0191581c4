import { z } from 'zod';
import {
  ABOUT_SHAPE,
  ANY_NAME,
  ENTITY_SPEC,
  EVENT_SPEC,
  PLAIN_NAME,
  SET_REQUIRED,
  SET_SHAPE,
  type SetKey,
  TYPE_SPEC,
} from './shape.ts';

/** What an editor shows of a key, beside what its value looks like. */
const NOTES: Record<SetKey | 'types' | 'events' | 'entities' | 'about', string> = {
  types: 'User-defined types by name: each a mapping of fields to their types.',
  events:
    'Event types by name: each a mapping of inputs to their types. An input is read from the member of data that bears its name, or from its path. changelog says how events take rows back.',
  entities:
    'What lookups are keyed by: the type of the key, or a list of types where several columns name one together.',
  about: 'Descriptions and owners of event types and of entities, for people: under events and entities, by name.',
  feature_set: 'The name of the set: its features are called name:alias_window.',
  description: 'What the features say, for people.',
  owner: 'Whom to ask about them.',
  version:
    'Raised by whoever means to change types, units or steps of windows under names that there are; 1 where it is left out.',
  entity: 'The entity that the features are of.',
  key: 'The columns that hold its key, where they are called otherwise than in GROUP BY.',
  source: 'The event type that the set reads.',
  windows: 'Spans of time that every aggregate is kept for: 2h, 5d@1m (in steps of a minute), lifetime.',
  tiles: 'Lengths of the tiles that windows are made of, by default 1m, 30m and 1d. Tiles begin at UTC midnight.',
  tile_offset: 'Shifts where tiles begin, for days that are not those of UTC.',
  dialect: 'The dialect that sql and derive are written in: DuckDB by default, or what tilefold.yaml says.',
  sql: 'One SELECT with a GROUP BY over the source.',
  derive: 'Features computed from others of the set: names to expressions over alias_window.',
  describe: 'What items and derived features say, for people, by their names.',
  units: 'What items and derived features are counted in, by their names.',
};

type Json = Record<string, unknown>;

/** The JSON Schema of a file of definitions: what editors complete and check while one is written. */
export function definitionsSchema(): Json {
  const types = z.record(PLAIN_NAME, z.record(ANY_NAME, TYPE_SPEC)).nullable();
  const declarations = {
    types,
    events: z.record(ANY_NAME, EVENT_SPEC).nullable(),
    entities: z.record(PLAIN_NAME, ENTITY_SPEC).nullable(),
    about: ABOUT_SHAPE.nullable(),
  };
  const schema = schemaOf(z.strictObject({ ...declarations, ...SET_SHAPE }).partial(), 'tilefold definitions', NOTES);
  // A document with any key of a feature set is one.
  const dependentRequired = Object.fromEntries(Object.keys(SET_SHAPE).map(key => [key, SET_REQUIRED]));
  return { ...schema, dependentRequired };
}

/**
 * A shape of YAML as JSON Schema, as it may be written.
 *
 * @param notes by path, such as `log.dir`; they stand before what the value looks like
 */
export function schemaOf(shape: z.ZodType, title: string, notes: Record<string, string>): Json {
  const { $schema, ...schema } = z.toJSONSchema(shape, {
    io: 'input',
    // Whole numbers of YAML are read as bigint, and JSON Schema knows no other whole numbers.
    unrepresentable: ({ zodSchema }) => (zodSchema instanceof z.ZodBigInt ? { type: 'integer' } : 'throw'),
  });
  for (const [path, note] of Object.entries(notes)) annotate(schema as Json, path.split('.'), note);
  return { $schema, title, ...schema };
}

function annotate(schema: Json, path: string[], note: string): void {
  const properties = schema.properties as Record<string, Json>;
  const [name, ...rest] = path;
  const property = properties[name!]!;
  if (rest.length > 0) annotate(property, rest, note);
  else property.description = property.description === undefined ? note : `${note} Wanted: ${property.description}.`;
}
