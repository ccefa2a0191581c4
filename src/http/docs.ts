import { LIMITS } from './limits.ts';
import type { Document, DocumentedOperation } from './openapi.ts';

/** Enough to read well in the light and in the dark; nothing is loaded from anywhere. */
const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { padding: .75rem; overflow-x: auto; border: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
h2 { margin-top: 2.5rem; border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding-top: 1rem }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
`;

/** The document of the API as a page for people: HTML and nothing else. */
export function docsPage(document: Document): string {
  const { title, version, description } = document.info;
  const places = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
  const contents = places.map(
    ({ name, operation }) =>
      `<li><a href="#${operation.operationId}"><code>${name}</code></a> ${text(operation.summary)}`,
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} ${version}</title>
<style>${STYLE}</style></head>
<body>
<h1>${title} ${version}</h1>
<p>${text(description.split(' What is refused')[0]!)} The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<ul>${contents.join('\n')}</ul>
${places.map(({ name, operation }) => operationPart(name, operation)).join('\n')}
<h2 id="limits">Limits</h2>
<table><tr><th>name<th>value<th>of what</tr>${limitRows()}</table>
<h2 id="schemas">Schemas</h2>
${Object.entries(document.components.schemas)
  .map(([name, schema]) => `<h3 id="${name}">${name}</h3>${block(schema)}`)
  .join('\n')}
</body>
</html>
`;
}

function operationPart(name: string, operation: DocumentedOperation): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const rows = parameters.map(
    ({ name, in: place, description, schema }) =>
      `<tr><td><code>${name}</code> (${place})<td>${text(description ?? '')}<td><code>${text(JSON.stringify(schema))}</code></tr>`,
  );
  const replies = Object.entries(responses).map(
    ([status, { description, content }]) => `<h4>${status}: ${text(description)}</h4>${contentPart(content)}`,
  );
  return `<h2 id="${operationId}"><code>${name}</code></h2>
<p><strong>${text(summary)}.</strong> ${text(description)}</p>
${rows.length > 0 ? `<h3>Parameters</h3><table>${rows.join('')}</table>` : ''}
${requestBody ? `<h3>Body</h3>${contentPart(requestBody.content)}` : ''}
<h3>Replies</h3>
${replies.join('\n')}`;
}

function contentPart(content: NonNullable<DocumentedOperation['requestBody']>['content']): string {
  return Object.entries(content)
    .map(([type, { schema, example }]) => {
      const name = typeof schema?.$ref === 'string' ? schema.$ref.split('/').at(-1)! : null;
      const shape = name === null ? '' : `: <a href="#${name}">${name}</a>`;
      return `<p><code>${type}</code>${shape}</p>${example === undefined ? '' : block(example)}`;
    })
    .join('\n');
}

function limitRows(): string {
  return Object.entries(LIMITS)
    .map(([name, { value, what }]) => `<tr><td><code>${name}</code><td class="number">${value}<td>${text(what)}</tr>`)
    .join('');
}

function block(value: unknown): string {
  return `<pre>${text(typeof value === 'string' ? value : JSON.stringify(value, null, 2))}</pre>`;
}

function text(plain: string): string {
  return Bun.escapeHTML(plain);
}
