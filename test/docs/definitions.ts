import { parseAllDocuments, stringify } from 'yaml';
import { faultLine } from '../../src/base/fault.ts';
import { parseConfig } from '../../src/cli/config.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { SET_SHAPE } from '../../src/compile/shape.ts';
import { SCHEMAS } from '../../src/cli/schema.ts';

type Document = Record<string, unknown>;

/** What parts of definitions on the pages are parts of. */
const DECLARED: Document = {
  events: {
    flight: {
      origin: 'string',
      destination: 'string',
      carrier: 'string?',
      delay: { type: 'int64', optional: true },
      distance: { type: 'int64', default: 0 },
      fare: 'double?',
      cancelled: { type: 'bool', default: false },
      scheduled: 'time?',
      crew: { type: ['member'], optional: true },
      tags: ['string'],
      bags: ['int64?'],
    },
  },
  types: { member: { name: 'string', home: 'place?' }, place: { gates: ['string'] } },
  entities: { origin: 'string', route: ['string', 'string'] },
};

const SET: Document = {
  feature_set: 'origin_delays',
  entity: 'origin',
  source: 'flight',
  windows: ['2h', '1d', 'lifetime'],
  sql: 'SELECT origin, COUNT(*) AS flights, SUM(delay) AS delay_sum, SUM(CASE WHEN delay > 15 THEN 1 ELSE 0 END) AS late\nFROM flight\nGROUP BY origin\n',
};

/** Faults of a configuration, of whole definitions, or of a part of either; a line each. */
export async function faultsOfYaml(text: string): Promise<string[]> {
  const documents = parseAllDocuments(text).map(document => document.toJS() as Document);
  if (documents.some(isConfig)) return faultsOfConfig(text);
  const isSet = (document: Document) => Object.keys(document).some(key => key in SET_SHAPE);
  const declared = documents.filter(
    document => 'events' in document || 'entities' in document || 'types' in document || 'about' in document,
  );
  const whole = documents.map(document => {
    if (isSet(document)) return 'feature_set' in document ? document : { ...SET, ...document };
    return document;
  });
  const names = (section: string) => new Set(declared.flatMap(document => Object.keys(document[section] ?? {})));
  const rest = Object.fromEntries(
    ['events', 'entities', 'types'].map(section => {
      const known = Object.entries(DECLARED[section] as Document).filter(([name]) => !names(section).has(name));
      return [section, Object.fromEntries(known)];
    }),
  );
  return faultsOf([rest, ...whole]);
}

const CONFIG_KEYS = Object.keys(SCHEMAS.config().properties as object);

function isConfig(document: Document): boolean {
  return Object.keys(document).every(key => CONFIG_KEYS.includes(key));
}

function faultsOfConfig(text: string): string[] {
  try {
    parseConfig('tilefold.yaml', text);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** Faults of a SELECT, or of one line of it: an item, or with `where` a condition. */
export async function faultsOfSql(sql: string, kind: 'select' | 'item' | 'where' = 'select'): Promise<string[]> {
  const select =
    kind === 'select'
      ? sql
      : kind === 'item'
        ? `SELECT origin, ${sql}\nFROM flight\nGROUP BY origin\n`
        : `SELECT origin, COUNT(*) AS n\nFROM flight\nWHERE ${sql}\nGROUP BY origin\n`;
  return faultsOf([DECLARED, { ...SET, sql: select }]);
}

/** What lines of topologies on the pages are lines of. */
const TOPOLOGY = `event login
email := $.email as string
ip := $.ip as string
ok := $.ok as bool ? true
event payment
email := $.email as string
merchant_email := $.merchant_email as string?
amount := $.amount as float ? 0.0
phone := $.phone as string?
since := $.since as time?
home := $.home as address?
colours := $.colours as map{string: int}?
type address { street: string, zip: string? }
`;

/** Faults of a topology, or with `lines` of definitions of a payment. */
export async function faultsOfScowl(scowl: string, kind: 'whole' | 'lines' = 'whole'): Promise<string[]> {
  const text = kind === 'whole' ? scowl : `${TOPOLOGY}event payment\n${scowl}`;
  const { faults } = await compileSources([{ file: 'page.scowl', text }], { latenessMs: 3_600_000 });
  return faults.map(faultLine);
}

async function faultsOf(documents: Document[]): Promise<string[]> {
  const text = documents.map(document => stringify(document)).join('---\n');
  const { faults } = await compileSources([{ file: 'page.yaml', text }], { latenessMs: 3_600_000 });
  return faults.map(faultLine);
}
