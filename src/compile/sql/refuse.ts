import type { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { SqlNode } from '../node.ts';
import {
  JSON_CALLS,
  KNOWN_FUNCTIONS,
  ONE_EVENT_TYPE,
  REFUSED_FUNCTIONS,
  REFUSED_OPERATORS,
  SUB_SELECT,
  insteadOfJson,
  jsonSteps,
} from '../unsupported.ts';
import { type Cursor, type Token, here, refusal, skipTo, span, walk } from './cursor.ts';
import { JSON_KINDS } from './kinds.ts';
import { type Node, child, identifier, isNode, open } from './tree.ts';

/** Where it is clear how far the unsupported part reaches, the walk goes on behind it. */
export function walkUnsupported(cursor: Cursor, kind: string, body: Node, first: number): SqlNode {
  if (JSON_KINDS.has(kind)) return refuseJson(cursor, kind, body);
  const operator = REFUSED_OPERATORS.get(kind);
  const isCall = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN' && isRefused(cursor.tokens[cursor.next]!);
  if (!operator || isCall) {
    const message = unsupportedNode(kind);
    if (message) throw here(cursor, message);
    return skipCall(cursor, first);
  }
  const [before, message] = operator;
  walk(cursor, child(body, before));
  if (before !== 'left' || kind.startsWith('null_safe')) throw here(cursor, message);
  cursor.faults.push(here(cursor, message));
  cursor.next++;
  walk(cursor, child(body, 'right'));
  return { kind: 'faulty', ...span(cursor, first) };
}

/** a -> 'b' ->> 'c', a:b.c, JSON_VALUE(a, '$.b'): at the last operator, or the name of the call. */
function refuseJson(cursor: Cursor, kind: string, body: Node): never {
  const isCall = cursor.tokens[cursor.next + 1]?.type === 'L_PAREN';
  if (!isCall) {
    const rest = cursor.tokens.slice(cursor.next);
    const length = rest.findIndex(
      ({ type }) => !/^(VAR|QUOTED_IDENTIFIER|DOT|STRING|NUMBER|ARROW|D_ARROW|COLON)$/.test(type),
    );
    const chain = length < 0 ? rest : rest.slice(0, length);
    cursor.next += Math.max(
      0,
      chain.findLastIndex(({ type }) => /^(ARROW|D_ARROW|COLON)$/.test(type)),
    );
  }
  const what = cursor.tokens[cursor.next]!.text.toUpperCase();
  throw here(cursor, `${what} is not supported: ${insteadOfJson(stepsOf({ [kind]: body }))}`);
}

/** The names of members from the event's data on. */
function stepsOf(node: Node): string[] | null {
  const [kind, body] = open(node);
  if (kind === 'column') {
    const table = body.table ? [identifier(body, 'table')] : [];
    return [...table, identifier(body, 'name')].filter((name, i) => i > 0 || name !== 'data');
  }
  if (!JSON_KINDS.has(kind)) return null;
  const [path, of] = [body.path ?? body.expression, stepsOf(child(body, 'this'))];
  const [literal, text] = isNode(path) ? open(path) : ['', {}];
  const steps = literal === 'literal' && typeof text.value === 'string' ? jsonSteps(text.value) : null;
  return of && steps && [...of, ...steps];
}

function unsupportedNode(kind: string): string | null {
  switch (kind) {
    case 'subquery':
    case 'exists':
      return `${SUB_SELECT}: ${ONE_EVENT_TYPE}`;
    case 'star':
      return '* stands in COUNT(*) only';
    case 'tuple':
      return 'rows of several values are not supported: compare them one by one with AND';
    case 'parameter':
    case 'placeholder':
      return 'parameters are not supported: write the value';
    default:
      return null;
  }
}

/** Reports a call by its function's name, and goes on behind its closing parenthesis. */
export function skipCall(cursor: Cursor, first: number): SqlNode {
  const fault = refuseFunction(cursor);
  if (cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') throw fault;
  cursor.faults.push(fault);
  const { depth } = cursor.tokens[cursor.next]!;
  skipTo(cursor, token => token.type === 'R_PAREN' && token.depth === depth);
  cursor.next++;
  return { kind: 'faulty', ...span(cursor, first) };
}

/** Some operators can also be called: POW(x, 2). */
function isRefused(token: Token): boolean {
  return REFUSED_FUNCTIONS.has(token.text.toUpperCase());
}

function refuseFunction(cursor: Cursor): Fault {
  const token = cursor.tokens[cursor.next];
  if (!token || cursor.tokens[cursor.next + 1]?.type !== 'L_PAREN') return refusal(cursor, 'an expression');
  const name = token.text.toUpperCase();
  if (JSON_CALLS.includes(name)) return here(cursor, `${name} is not supported: ${insteadOfJson(null)}`);
  const instead = REFUSED_FUNCTIONS.get(name);
  if (instead) return here(cursor, `${name} is not supported: ${instead}`);
  if (KNOWN_FUNCTIONS.includes(name)) return here(cursor, `${name} wants one argument`, 'definition');
  const hint = didYouMean(name, KNOWN_FUNCTIONS) || '; docs/functions.md lists those that are known';
  return here(cursor, `unknown function ${name}${hint}`, 'definition');
}
