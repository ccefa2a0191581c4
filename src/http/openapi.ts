import { z } from 'zod';
import manifest from '../../package.json' with { type: 'json' };
import { assert } from '../base/assert.ts';
import { LIMITS } from './limits.ts';
import type { Content, Named, Operation, Place, Reply } from './operation.ts';
import { PROBLEM_SHAPE, PROBLEM_TYPE, TITLES } from './problem.ts';

type Json = Record<string, unknown>;

/** As much of OpenAPI 3.1 as is written here; `/docs` shows it. */
export interface Document {
  openapi: string;
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } };
  servers: { url: string }[];
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, Json> };
}

export interface DocumentedOperation {
  operationId: string;
  summary: string;
  description: string;
  parameters: Parameter[];
  requestBody?: { required: true; content: DocumentedContent };
  responses: Record<string, { description: string; headers: Json; content: DocumentedContent }>;
}

interface Parameter {
  name: string;
  in: string;
  required: boolean;
  description?: string;
  schema: Json;
}

type DocumentedContent = Record<string, { schema?: Json; example?: unknown }>;

/** Any reply bears it; a request may. */
const REQUEST_ID = {
  schema: { type: 'string' },
  description: 'the X-Request-Id of the request, or one made for it: the log of the server has it too',
};

/** The API in one document, made of the shapes that requests are checked with and replies are described by. */
export function documentOf(places: Place[]): Document {
  const paths: Document['paths'] = {};
  for (const { path, method, operation } of places) {
    paths[path] ??= {};
    paths[path][method] = documented(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: manifest.name,
      version: manifest.version,
      description: `${manifest.description}. Failures are application/problem+json (RFC 9457), whose \`code\` is for programs. Request bodies may be packed (Content-Encoding: gzip, deflate, zstd or br). Any path answers other methods with 405 and Allow. What is refused for its size names the limit: ${limitsText()}.`,
      license: { name: 'Apache License 2.0', identifier: manifest.license },
    },
    servers: [{ url: '/' }],
    paths,
    components: { schemas: schemasOf(places) },
  };
}

function limitsText(): string {
  return Object.entries(LIMITS)
    .map(([name, { value, what }]) => `${name} (${value} ${what})`)
    .join('; ');
}

function documented(operation: Operation): DocumentedOperation {
  const { id, summary, description, body, replies } = operation;
  const problems = [...(operation.problems ?? []), 500].map(status => [status, problemReply(status)] as const);
  const responses = [...Object.entries(replies), ...problems].map(([status, reply]) => [
    status,
    {
      description: reply.description,
      headers: headersOf(reply),
      content: {
        [reply.type]: documentedContent(reply.type, reply.content),
        ...Object.fromEntries((reply.others ?? []).map(type => [type, documentedContent(type, { shape: null })])),
      },
    },
  ]);
  return {
    operationId: id,
    summary,
    description,
    parameters: parametersOf(operation),
    ...(body && {
      requestBody: {
        required: true,
        content: Object.fromEntries(
          Object.entries(body).map(([type, content]) => [type, documentedContent(type, content)]),
        ),
      },
    }),
    responses: Object.fromEntries(responses),
  };
}

function problemReply(status: number): Reply {
  const description = TITLES[status];
  assert(description, `status ${status} has a title`);
  return { description, type: PROBLEM_TYPE, content: { shape: PROBLEM_SHAPE } };
}

function documentedContent(type: string, { shape, example }: Content) {
  const plain = { type: type === 'application/json' ? 'object' : 'string' };
  return {
    schema: shape ? { $ref: `#/components/schemas/${shape.name}` } : plain,
    ...(example !== undefined && { example }),
  };
}

function headersOf({ headers = {} }: Reply): Json {
  const own = Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]);
  return { ...Object.fromEntries(own), 'X-Request-Id': REQUEST_ID };
}

function parametersOf({ params, query, headers }: Operation): Parameter[] {
  return [...parametersIn('path', params), ...parametersIn('query', query), ...parametersIn('header', headers)];
}

function parametersIn(place: string, shape: z.ZodObject | undefined): Parameter[] {
  if (!shape) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(shape, { io: 'input' });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as Json & { description?: string };
    return { name, in: place, required: required.includes(name), ...(description && { description }), schema };
  });
}

/** Requests as they may be written, replies as they are. */
function schemasOf(places: Place[]): Record<string, Json> {
  const operations = places.map(({ operation }) => operation);
  const requests = operations.flatMap(({ body }) => Object.values(body ?? {}).map(content => content.shape));
  const replies = operations.flatMap(({ replies }) => Object.values(replies).map(reply => reply.content.shape));
  const schemas: Record<string, Json> = {};
  const add = (shapes: (Named | null)[], io: 'input' | 'output') => {
    for (const shape of shapes) {
      if (shape) schemas[shape.name] ??= schemaOf(shape.schema, io);
    }
  };
  add(requests, 'input');
  add([...replies, PROBLEM_SHAPE], 'output');
  return schemas;
}

/** A key may be a whole number of any length; JSON Schema knows no other whole numbers. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: ({ zodSchema }) => (zodSchema instanceof z.ZodBigInt ? { type: 'integer' } : 'throw'),
  });
  return rest;
}
