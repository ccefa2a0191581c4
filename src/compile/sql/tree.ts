import { assert } from '../../base/assert.ts';

/** What makes trees of texts; its replies are looked at before anything is made of them. */
export interface Library {
  parse(sql: string, dialect: string): unknown;
  tokenize(sql: string, dialect: string): unknown;
}

/** The library's tree: each node an object with its kind as the one key. */
export type Node = Record<string, unknown>;

/** The kind of a node, and what is in it: the tree's shape is checked as it is walked. */
export function open(node: Node): [string, Node] {
  const [entry, ...rest] = Object.entries(node);
  assert(entry && rest.length === 0, `a node of the SQL library has one kind, not ${Object.keys(node)}`);
  return [entry[0], isNode(entry[1]) ? entry[1] : {}];
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function child(body: Node, name: string): Node {
  const value = body[name];
  assert(isNode(value), `a node of the SQL library has no ${name}`);
  return value;
}

export function list(body: Node, name: string): unknown[] {
  const value = body[name] ?? [];
  assert(Array.isArray(value), `${name} of a node of the SQL library is no list`);
  return value;
}

export function nodes(body: Node, name: string): Node[] {
  return list(body, name).map(value => {
    assert(isNode(value), `${name} of a node of the SQL library holds something else than nodes`);
    return value;
  });
}

export function identifier(body: Node, name: string): string {
  const value = child(body, name).name;
  assert(typeof value === 'string', `${name} of a node of the SQL library is no name`);
  return value;
}
