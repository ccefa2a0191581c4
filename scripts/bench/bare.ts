/** bare.ts REPLY PORT: Hono on Bun.serve and nothing else; whatever is asked, it answers with the bytes of a file. */
import { Hono } from 'hono';

const reply = await Bun.file(process.argv[2]!).bytes();
const headers = { 'content-type': 'application/json' };
const app = new Hono().post('/v1/features', context => context.body(reply, 200, headers));
const server = Bun.serve({ hostname: '127.0.0.1', port: Number(process.argv[3] ?? 0), fetch: app.fetch });
console.log(`bare serves on ${server.url.origin}`);
