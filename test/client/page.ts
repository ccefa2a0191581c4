import { join } from 'node:path';
import packed from '@sparticuz/chromium';
import { type Browser, chromium } from 'playwright-core';

const ROOT = join(import.meta.dir, '../..');

/** A browser that refuses pages what they may not ask, as everybody's does; null where it does not start here, which is said aloud. @throws Error under CI=true */
export async function openBrowser(): Promise<Browser | null> {
  try {
    return await chromium.launch({
      executablePath: await packed.executablePath(),
      args: packed.args.filter(arg => arg !== '--disable-web-security'),
      headless: true,
      timeout: LAUNCH_MAX_MS,
    });
  } catch (error) {
    const reason = `no Chromium starts here, so the client is not tried in one: ${(error as Error).message}`;
    if (process.env.CI === 'true') throw new Error(reason);
    console.warn(`SKIPPED ${reason}`);
    return null;
  }
}

/** It is unpacked first. */
const LAUNCH_MAX_MS = 60_000;

/** Serves a page that takes the tour, with the client as browsers get it. */
export async function servePage(): Promise<{ origin: string; stop(): void }> {
  const { success, logs, outputs } = await Bun.build({
    entrypoints: [join(ROOT, 'src/client/client.ts')],
    target: 'browser',
  });
  if (!success) throw new AggregateError(logs, 'the client cannot be bundled');
  const files: Record<string, Blob> = {
    '/client.js': outputs[0]!,
    '/tour.mjs': Bun.file(join(import.meta.dir, 'tour.mjs')),
  };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch({ url }) {
      const file = files[new URL(url).pathname];
      if (file) return new Response(file, { headers: { 'content-type': 'text/javascript' } });
      return new Response('<!doctype html><title>tour</title>', { headers: { 'content-type': 'text/html' } });
    },
  });
  return { origin: server.url.origin, stop: () => server.stop(true) };
}

/** What the tour says in a page of this origin. */
export async function tourInPage(browser: Browser, origin: string, url: string, name: string): Promise<unknown> {
  const page = await browser.newPage();
  try {
    const said = Promise.withResolvers<string>();
    // The browser itself complains of every refusal.
    page.on('console', message => message.type() === 'log' && said.resolve(message.text()));
    page.on('pageerror', error => said.reject(error));
    await page.goto(origin);
    await page.evaluate(`globalThis.tour = ${JSON.stringify(['/client.js', url, name])}`);
    await page.addScriptTag({ url: '/tour.mjs', type: 'module' });
    return JSON.parse(await said.promise);
  } finally {
    await page.close();
  }
}
