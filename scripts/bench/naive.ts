/**
 * naive.ts REPLY [PORT]: what one would write in an afternoon. A Map in memory has the values of each key, ready; a
 * request is parsed, and its reply put together by JSON.stringify. Nothing is folded, kept or checked. What it knows are
 * the values of the keys of one reply of ours, which it is to answer with the same bytes.
 */
type Value = number | string | boolean | null;

interface Reply {
  time: string;
  position: number | null;
  entities: Record<
    string,
    { keys: string[]; features: Record<string, { values: Value[]; statuses?: (string | null)[] }> }
  >;
}

interface Request {
  features: string[];
  entities: Record<string, string[]>;
}

interface Known {
  values: Record<string, Value>;
  statuses: Record<string, string | null>;
}

const { time, position, entities }: Reply = await Bun.file(process.argv[2]!).json();
const known = new Map<string, Known>();
const namesOf = new Map<string, string[]>();
for (const [entity, { keys, features }] of Object.entries(entities)) {
  for (const name of Object.keys(features)) {
    const star = `${name.split(':')[0]}:*`;
    namesOf.set(name, [name]);
    namesOf.set(star, [...(namesOf.get(star) ?? []), name]);
  }
  for (const [i, key] of keys.entries()) {
    const each = Object.entries(features);
    const values = Object.fromEntries(each.map(([name, column]) => [name, column.values[i]!]));
    const statuses = Object.fromEntries(each.map(([name, column]) => [name, column.statuses?.[i] ?? null]));
    known.set(`${entity} ${key}`, { values, statuses });
  }
}

function lookUp(entity: string, keys: string[], names: string[]) {
  const found = keys.map(key => known.get(`${entity} ${key}`));
  const features: Reply['entities'][string]['features'] = {};
  for (const name of names) {
    const values = found.map(each => each?.values[name] ?? null);
    const statuses = found.map(each => (each ? each.statuses[name]! : 'NOT_FOUND'));
    features[name] = statuses.some(status => status !== null) ? { values, statuses } : { values };
  }
  return { keys, features };
}

async function answer(request: globalThis.Request): Promise<Response> {
  const { features, entities: asked } = (await request.json()) as Request;
  const names = features.flatMap(name => namesOf.get(name) ?? []);
  const found = Object.entries(asked).map(([entity, keys]) => [entity, lookUp(entity, keys, names)]);
  const body = JSON.stringify({ time, position, entities: Object.fromEntries(found) });
  return new Response(`${body}\n`, { headers: { 'content-type': 'application/json' } });
}

const server = Bun.serve({ hostname: '127.0.0.1', port: Number(process.argv[3] ?? 0), fetch: answer });
console.log(`naive serves on ${server.url.origin}`);
