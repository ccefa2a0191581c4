import type { Handler } from 'hono';

const WELCOME = `tilefold: features from events

POST /v1/events     one JSON event, an array of them, or NDJSON (content-type: application/x-ndjson)
POST /v1/features   {"features":["set:name","set:*"],"entities":{"entity":["key"]},"at":null}
GET  /v1/errors     events that were logged but cannot count, and why; ?after=ID&limit=N
GET  /healthz       is it up?
`;

/** A short text for whoever opens the address by hand. */
export const showWelcome: Handler = c => c.text(WELCOME);

export const showHealth: Handler = c => c.json({ status: 'ok' });
