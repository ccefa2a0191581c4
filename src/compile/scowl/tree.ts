/** What a topology says, as it is written: statements and expressions, each with its place in its file. */

/** UTF-16 units [start, end) of the file's text. */
export interface Span {
  start: number;
  end: number;
}

export interface Name extends Span {
  name: string;
}

export type Statement = Span &
  (
    | { kind: 'event'; name: Name }
    | { kind: 'type'; name: Name; fields: FieldSpec[] }
    /** `entity NAME: TYPE by KEY, KEY`; no types where YAML has them, no keys where it is called as its key. */
    | { kind: 'entity'; name: Name; types: Name[] | null; keys: Name[] }
    | { kind: 'input'; name: Name; path: PathText; slot: SlotSpec }
    | { kind: 'feature'; name: Name; expression: Node }
  );

/** `$.a['b c'].d` */
export interface PathText extends Span {
  text: string;
}

/** A type, and what stands where a value is missing. */
export interface SlotSpec extends Span {
  type: TypeSpec;
  presence: 'required' | 'optional' | Node;
}

export type TypeSpec = Span &
  (
    | { kind: 'named'; name: string }
    | { kind: 'list'; of: SlotSpec }
    | { kind: 'map'; key: Name; of: SlotSpec }
    | { kind: 'struct'; fields: FieldSpec[] }
  );

/** A field without a type is a string. */
export interface FieldSpec extends Span {
  name: Name;
  slot: SlotSpec | null;
}

export type BinarySymbol = '+' | '-' | '*' | '/' | '%' | '=' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or';

export type Node = Span &
  (
    | { kind: 'literal'; value: null | boolean | bigint | number | string }
    | { kind: 'duration'; nanos: bigint }
    | { kind: 'name'; name: string }
    | { kind: 'field'; of: Node; name: Name }
    | { kind: 'index'; of: Node; by: Node }
    | { kind: 'list'; items: Node[] }
    | { kind: 'unary'; symbol: '-' | 'not'; of: Node }
    | { kind: 'binary'; symbol: BinarySymbol; operator: Span; left: Node; right: Node }
    | { kind: 'in'; of: Node; list: Node; operator: Span; negated: boolean }
    | { kind: 'isNull'; of: Node; negated: boolean }
    /** Of `Case` and no other function, with nothing but its whens: who binds it sees to that. */
    | { kind: 'case'; fn: Name; isBare: boolean; whens: { when: Node; value: Node }[]; otherwise: Node | null }
    | CallNode
    /** A path inside an expression, which cannot be: it is reported where it is bound. */
    | { kind: 'path' }
  );

/** A function or an aggregate: which of them, its name says. */
export type CallNode = Span & {
  kind: 'call';
  fn: Name;
  /** The event types in `<...>`; null without. */
  events: Name[] | null;
  args: Node[];
  clauses: Clauses;
};

/** Each is null where it is not written. */
export interface Clauses {
  by: KeySpec[] | null;
  where: Clause<Node> | null;
  after: Clause<Node> | null;
  last: Clause<Length> | null;
  limit: Clause<bigint> | null;
  exclusive: Clause<true> | null;
}

/** The span is that of the clause with its word. */
export interface Clause<T> extends Span {
  value: T;
}

/** `merchant_email as email`: the reader's, and what the writer calls it. */
export interface KeySpec extends Span {
  of: Node;
  as: Name | null;
}

/** Null where its unit is none. */
export interface Length {
  nanos: bigint | null;
  unit: Name;
}

export const CLAUSES = ['by', 'where', 'after', 'last', 'limit', 'exclusive'] as const;

/** The expressions right below one. */
export function nodesIn(node: Node): Node[] {
  switch (node.kind) {
    case 'literal':
    case 'duration':
    case 'name':
    case 'path':
      return [];
    case 'field':
    case 'unary':
    case 'isNull':
      return [node.of];
    case 'index':
      return [node.of, node.by];
    case 'list':
      return node.items;
    case 'binary':
      return [node.left, node.right];
    case 'in':
      return [node.of, node.list];
    case 'case':
      return [...node.whens.flatMap(({ when, value }) => [when, value]), ...(node.otherwise ? [node.otherwise] : [])];
    case 'call': {
      const { by, where, after } = node.clauses;
      const clauses = [where, after].flatMap(clause => (clause ? [clause.value] : []));
      return [...node.args, ...(by ?? []).map(key => key.of), ...clauses];
    }
  }
}
