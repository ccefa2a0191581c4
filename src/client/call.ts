import { type Api, OPERATIONS, type Problem } from '../gen/api.ts';

/** Where a server is, and how it is spoken to. */
export interface Connection {
  /** Of the server: `http://localhost:8080`. */
  url: string;
  /** With every request: what a proxy before the server wants to see. */
  headers?: Record<string, string>;
  /** Instead of the runtime's own. */
  fetch?: typeof globalThis.fetch;
}

/** What a server has refused, in its words: `problem.code` is for programs. */
export class ClientError extends Error {
  override name = 'ClientError';

  /** @param status null where the request was answered, and the answer is that something has failed */
  constructor(
    readonly status: number | null,
    readonly problem: Problem | null,
    message: string,
  ) {
    super(message);
  }
}

export type OperationName = keyof Api;

/** What an operation takes besides what the connection says. */
export type Input<Name extends OperationName> = Omit<Api[Name], 'reply'>;

/** A body that is not JSON, and what it is. */
export interface Sent {
  bytes: BodyInit;
  headers: Record<string, string>;
}

/** Asks for JSON. @throws ClientError */
export async function call<Name extends OperationName>(
  connection: Connection,
  name: Name,
  input: Input<Name>,
): Promise<Api[Name]['reply']> {
  return (await (await request(connection, name, input)).json()) as Api[Name]['reply'];
}

/**
 * Sends a request, and gives the reply where it is none that refuses.
 *
 * @param sent instead of a body of JSON
 * @throws ClientError
 */
export async function request<Name extends OperationName>(
  connection: Connection,
  name: Name,
  input: Input<Name>,
  { accept = 'application/json', sent }: { accept?: string; sent?: Sent } = {},
): Promise<Response> {
  const [method, path] = OPERATIONS[name];
  const { path: names = {}, query = {}, headers = {}, body } = input as Loose;
  const init: RequestInit = {
    method,
    headers: {
      accept,
      ...connection.headers,
      ...textsOf(headers),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...sent?.headers,
    },
    ...(body !== undefined && { body: jsonOf(body) }),
    ...(sent && { body: sent.bytes }),
  };
  const fetched = connection.fetch ?? globalThis.fetch;
  const response = await fetched(urlOf(connection.url, path, names, query), init);
  if (response.ok) return response;
  throw await refusalOf(response);
}

interface Loose {
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  headers?: Record<string, unknown>;
  body?: unknown;
}

function urlOf(url: string, path: string, names: Record<string, unknown>, query: Record<string, unknown>): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(names[name])));
  const asked = new URLSearchParams(textsOf(query)).toString();
  return `${url.replace(/\/+$/, '')}${filled}${asked === '' ? '' : `?${asked}`}`;
}

function textsOf(values: Record<string, unknown>): Record<string, string> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** JSON whose bigints are numbers with all their digits, which the server reads. */
function jsonOf(body: unknown): string {
  let hasBig = false;
  // Nobody's text is called so.
  const mark = `int64 ${Math.random()} `;
  const text = JSON.stringify(body, (_name, value: unknown) => {
    if (typeof value !== 'bigint') return value;
    hasBig = true;
    return `${mark}${value}`;
  });
  return hasBig ? text.replace(new RegExp(`"${mark.replaceAll('.', '\\.')}(-?\\d+)"`, 'g'), '$1') : text;
}

async function refusalOf(response: Response): Promise<ClientError> {
  const text = await response.text();
  const what = `${response.status} ${response.statusText}`.trim();
  if (!(response.headers.get('content-type') ?? '').startsWith('application/problem+json'))
    return new ClientError(response.status, null, `${what}: ${text.slice(0, TEXT_MAX)}`);
  const problem = JSON.parse(text) as Problem;
  return new ClientError(response.status, problem, problem.detail);
}

/** Of a reply that is not this server's: a proxy's page. */
const TEXT_MAX = 200;
