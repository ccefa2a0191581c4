import type { Document, Node, Pair, Scalar } from 'yaml';
import { CST, isMap, isScalar, isSeq, Lexer, parseAllDocuments, visit, type YAMLMap } from 'yaml';
import { z } from 'zod';
import type { FaultCode, Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { type Place, placeIn } from './place.ts';

/** Member names and list indexes from a document's root to one of its nodes. */
export type YamlPath = (string | number)[];

/** A YAML document as plain values (whole numbers are bigint), and where each of them stands in its file. */
export interface YamlDocument {
  file: string;
  /** What faults in this document are: a `definition`'s or a `config`'s. */
  code: FaultCode;
  value: unknown;
  /** Where the value at a path stands, or the nearest thing around it that is there. */
  at(path: YamlPath): Position;
  /** Where the key at the end of a path stands. */
  keyAt(path: YamlPath): Position;
  /** The text at a path, where it is a text. */
  textAt(path: YamlPath): LocatedText | null;
}

/** A text taken out of a file: every part of it still knows its place there. */
export interface LocatedText {
  text: string;
  /** Of the UTF-16 units [start, end) of the text. */
  at(start: number, end: number): Position;
}

/** Definitions and configurations are written by hand; whatever is larger was given by mistake. */
export const YAML_LENGTH_MAX = 1024 * 1024;

/** Brackets within one another, and block collections that begin on one line: beyond it the parser takes minutes. */
export const YAML_DEPTH_MAX = 64;

/**
 * The documents of a YAML file. What is wrong with its syntax goes to `faults`; a document whose text cannot be
 * understood is left out.
 */
export function readYaml(file: string, text: string, code: FaultCode, faults: Fault[]): YamlDocument[] {
  if (text.length > YAML_LENGTH_MAX) {
    const at = { file, line: 1, column: 1, length: 1 };
    faults.push(new Fault('too_large', `${text.length} characters, and at most ${YAML_LENGTH_MAX} are read`, at));
    return [];
  }
  const place = placeIn(file, text);
  const tooDeep = firstTooDeep(text);
  if (tooDeep !== null) {
    const message = `nests too deep: at most ${YAML_DEPTH_MAX} levels are read`;
    faults.push(new Fault('too_large', message, place(tooDeep, tooDeep + 1)));
    return [];
  }
  // Repeated keys are found below: the library compares each with all others.
  const parsed = parseAllDocuments(text, { prettyErrors: false, intAsBigInt: true, uniqueKeys: false });
  const documents: YamlDocument[] = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    const whole = checkSyntax(document, text, code, place, faults);
    if (whole && document.toJS() !== null) documents.push(located(document, file, text, code, place));
  }
  return documents;
}

/** Where the first collection begins that is too deep in others, or null. Tokens are enough to tell, and cost little. */
function firstTooDeep(text: string): number | null {
  let offset = 0;
  let brackets = 0;
  let blocks = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-seq-start' || type === 'flow-map-start') brackets++;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') brackets = Math.max(0, brackets - 1);
    else if (type === 'newline' || type === 'doc-start' || type === 'doc-end') blocks = 0;
    else if (brackets === 0 && (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind'))
      blocks++;
    if (type === 'doc-start' || type === 'doc-end') brackets = 0;
    if (brackets > YAML_DEPTH_MAX || blocks > YAML_DEPTH_MAX) return offset;
    // Some tokens stand for nothing in the text: the end of a flow, the beginning of a scalar or of a document.
    if (!UNWRITTEN.has(type)) offset += token.length;
  }
  return null;
}

const UNWRITTEN = new Set<string | null>(['doc-mode', 'flow-error-end', 'scalar']);

/** Can the document be read as plain values? Repeated keys are faults, but do not hide what else there is. */
function checkSyntax(document: Document.Parsed, text: string, code: FaultCode, place: Place, faults: Fault[]): boolean {
  let whole = true;
  for (const error of [...document.errors, ...document.warnings]) {
    const [start, end] = error.pos;
    // Behind the first of these the rest reads as errors too.
    if (whole) faults.push(new Fault(code, `not YAML: ${error.message}`, place(start, end)));
    whole = false;
  }
  const refuse = (node: Node, message: string) => {
    whole = false;
    faults.push(new Fault(code, message, place(node.range![0], node.range![1])));
  };
  visit(document, {
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = nameOfKey(key);
        if (seen.has(name)) faults.push(repeated(key, text, code, place));
        seen.add(name);
      }
    },
    // An alias can blow a small file up without bound, and its position would be another's.
    Alias: (_, node) => refuse(node, `aliases are not read: write out what *${node.source} stands for`),
    Pair: (_, pair) => {
      const key = pair.key as Node;
      if (!isScalar(key)) refuse(key, 'a key has to be a name');
      // Plain objects cannot hold it as a member.
      else if (key.value === '__proto__') refuse(key, '"__proto__" cannot be a name');
    },
  });
  return whole;
}

function repeated(key: Scalar, text: string, code: FaultCode, place: Place): Fault {
  const start = key.range![0];
  const written = /^[^\s:,{}]+/.exec(text.slice(start, start + SHOWN_MAX))?.[0] ?? '';
  return new Fault(code, `the key ${written} is here twice`, place(start, start + written.length));
}

/** Of what is told of a key. */
const SHOWN_MAX = 80;

/** What a key is called as a member of a plain object. */
function nameOfKey(key: Scalar): string {
  return String(key.value ?? '');
}

function located(document: Document.Parsed, file: string, text: string, code: FaultCode, place: Place): YamlDocument {
  const placeNode = (node: Node) => place(node.range![0], node.range![1]);
  return {
    file,
    code,
    value: document.toJS(),
    at(path) {
      for (let length = path.length; length > 0; length--) {
        const node = nodeAt(document, path.slice(0, length));
        if (node) return placeNode(node);
        const pair = pairAt(document, path.slice(0, length));
        if (pair) return placeNode(pair.key as Node);
      }
      const root = document.contents!;
      return placeNode(isMap(root) && root.items[0] ? (root.items[0].key as Node) : root);
    },
    keyAt(path) {
      const pair = pairAt(document, path);
      return pair ? placeNode(pair.key as Node) : this.at(path);
    },
    textAt(path) {
      const node = nodeAt(document, path);
      if (!isScalar(node) || typeof node.value !== 'string') return null;
      return locatedText(node as Scalar<string>, text, place);
    },
  };
}

function nodeAt(document: Document.Parsed, path: YamlPath): Node | null {
  let node: unknown = document.contents;
  for (const step of path) {
    if (isMap(node)) node = findPair(node, step)?.value;
    else if (isSeq(node)) node = node.items[Number(step)];
    else return null;
  }
  return (node as Node | undefined) ?? null;
}

function pairAt(document: Document.Parsed, path: YamlPath): Pair | null {
  const parent = nodeAt(document, path.slice(0, -1));
  return isMap(parent) ? (findPair(parent, path.at(-1)!) ?? null) : null;
}

/** Of a repeated key the last one counts, as in the document's plain value. */
function findPair(map: YAMLMap, key: string | number): Pair | undefined {
  let named = PAIRS.get(map);
  if (!named) {
    named = new Map(map.items.flatMap(pair => (isScalar(pair.key) ? [[nameOfKey(pair.key), pair]] : [])));
    PAIRS.set(map, named);
  }
  return named.get(String(key));
}

/** The pairs of maps by the names of their keys: every fault of a file looks for its place. */
const PAIRS = new WeakMap<YAMLMap, Map<string, Pair>>();

/**
 * A scalar's text with the offsets of its units in the file: indentation, folded lines, quotes and escapes lie
 * between the two. Visible characters come in the same order in both, so one pass lines them up.
 */
function locatedText(node: Scalar<string>, text: string, place: Place): LocatedText {
  const value = node.value;
  let [at, end] = node.range!;
  if (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED') at = text.indexOf('\n', at) + 1;
  const quote = node.type === 'QUOTE_DOUBLE' ? '"' : node.type === 'QUOTE_SINGLE' ? "'" : '';
  if (quote) [at, end] = [at + 1, end - 1];
  const starts: number[] = [];
  const ends: number[] = [];
  while (starts.length < value.length) {
    const wanted = value[starts.length]!;
    const found = at < end ? text[at]! : '';
    const escaped = quote === '"' && found === '\\';
    if (escaped && isSpace(text[at + 1]!) && text[at + 1] !== ' ' && text[at + 1] !== '\t') {
      at += 1 + spaceLength(text, at + 1, end);
      continue;
    }
    if (!escaped && isSpace(found) && !isSpace(wanted)) {
      at++;
      continue;
    }
    let length = 1;
    if (escaped) length = escapeLength(text, at);
    else if (quote === "'" && found === "'") length = 2;
    else if (isSpace(wanted) && found !== wanted) length = spaceLength(text, at, end);
    const units = escaped && value.codePointAt(starts.length)! > 0xffff ? 2 : 1;
    for (let i = 0; i < units; i++) {
      starts.push(at);
      ends.push(at + length);
    }
    at += length;
  }
  return {
    text: value,
    at(from, to) {
      const last = Math.max(from, Math.min(to, value.length) - 1);
      const start = starts[from] ?? ends.at(-1) ?? at;
      return place(start, ends[last] ?? start);
    },
  };
}

/** `\n`, `\x41`, `\u0041`, `\U0001F600`: how long an escape is as written. */
function escapeLength(text: string, at: number): number {
  return { x: 4, u: 6, U: 10 }[text[at + 1]!] ?? 2;
}

function isSpace(unit: string): boolean {
  return unit === ' ' || unit === '\n' || unit === '\r' || unit === '\t';
}

function spaceLength(text: string, at: number, end: number): number {
  let length = 0;
  while (at + length < end && isSpace(text[at + length]!)) length++;
  return length;
}

/**
 * The value at a path in the shape it should have, or null. All that is wrong with it goes to `faults`, each at its
 * place.
 */
export function check<T>(schema: z.ZodType<T>, document: YamlDocument, path: YamlPath, faults: Fault[]): T | null {
  const result = schema.safeParse(valueAt(document.value, path), { error: describeIssue });
  if (result.success) return result.data;
  for (const issue of result.error.issues) placeIssue(issue, path, document, faults);
  return null;
}

export function valueAt(value: unknown, path: YamlPath): unknown {
  let at = value;
  for (const step of path) at = isRecord(at) || Array.isArray(at) ? Reflect.get(at, step) : undefined;
  return at;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An issue's text; of unknown keys it is the list of known ones, from which `placeIssue` makes the text. */
function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'unrecognized_keys') return issue.inst instanceof z.ZodObject ? keysOf(issue.inst) : '';
  if (issue.code !== 'invalid_type' && issue.code !== 'invalid_union' && issue.code !== 'invalid_value')
    return undefined;
  const schema = issue.inst;
  const described = schema instanceof z.ZodType ? schema.description : undefined;
  const expected = issue.code === 'invalid_type' ? (WANTED[issue.expected] ?? issue.expected) : undefined;
  const values = issue.code === 'invalid_value' ? issue.values.join(' or ') : undefined;
  return `got ${nameOf(issue.input)}, wanted ${described ?? values ?? expected ?? 'something else'}`;
}

function keysOf(schema: z.ZodObject): string {
  return Object.keys(schema.shape).join(' ');
}

const WANTED: Record<string, string> = {
  string: 'a text',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  bigint: 'a whole number',
  boolean: 'true or false',
};

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return String(value);
}

function placeIssue(issue: z.core.$ZodIssue, base: YamlPath, document: YamlDocument, faults: Fault[]): void {
  const path = [...base, ...(issue.path as YamlPath)];
  const push = (message: string, at: Position) => faults.push(new Fault(document.code, message, at));
  const isMissing = valueAt(document.value, path) === undefined && typeof path.at(-1) === 'string';
  if (isMissing && issue.code !== 'invalid_key') {
    push(`${path.at(-1)} is missing`, document.keyAt(path.slice(0, -1)));
    return;
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        const known = issue.message.split(' ');
        const hint = didYouMean(key, known) || `; known here: ${known.join(', ')}`;
        push(`unknown key "${key}"${hint}`, document.keyAt([...path, key]));
      }
      return;
    case 'invalid_union': {
      // The branch that failed below its root is the one that was meant.
      const meant = issue.errors.filter(branch => branch.some(inner => inner.path.length > 0 || !isWrongKind(inner)));
      if (meant.length !== 1) push(`${labelOf(path)}${issue.message}`, document.at(path));
      else for (const inner of meant[0]!) placeIssue(inner, path, document, faults);
      return;
    }
    case 'invalid_key':
      for (const inner of issue.issues) push(inner.message, document.keyAt(path));
      return;
    default:
      push(`${labelOf(path)}${issue.message}`, document.at(path));
  }
}

function isWrongKind(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function labelOf(path: YamlPath): string {
  const name = path.findLast(step => typeof step === 'string');
  return name === undefined ? '' : `${name}: `;
}
