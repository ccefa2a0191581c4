/**
 * The verbs of the client, one after the other, as each runtime runs them: Bun, Node, Deno, and a page in a browser.
 *
 *     tour.mjs MODULE URL NAME
 *
 * MODULE is the client, URL a server with the definitions of examples/takeover, and NAME what timelines and branches are called here.
 * A page has these three in `tour`. What has come of it is printed as one JSON object, which is the same everywhere.
 */
const [module, url, name] = globalThis.tour ?? globalThis.Deno?.args ?? process.argv.slice(2);
const { Client, ClientError } = await import(module);
const client = new Client({ url: `${url}/`, headers: { 'x-request-id': name } });
const said = {};

const logins = Array.from({ length: 40 }, (_, i) => ({
  type: 'login',
  id: `${name}-${i}`,
  time: new Date(Date.UTC(2026, 2, 2, 10, i)).toISOString(),
  data: { user: `${name}-${i % 3}`, ip: '10.0.0.1', device: 'd', country: 'se', ok: i % 2 === 0, at: i },
}));
said.posted = (await client.postEvents(logins, { idempotencyKey: name })).accepted;
said.enriched = Object.keys((await client.enrich({ ...logins[0], id: `${name}-x` })).events[0].errors);

const csv = [
  '_id,_type,_time,user,n,at',
  'a,visit,2026-03-02T10:00:00.000001Z,u1,9007199254740993,2026-01-01',
  'b,visit,2026-03-02T10:01:00Z,u2,x,',
];
const timeline = await client.createTimelineFromFile(name, csv.join('\n'), { format: 'csv' });
said.timeline = [timeline.state, timeline.events, timeline.start];
said.log = (await client.createTimelineFromLog(`${name}-log`, { types: ['login'] })).state;
said.feed = (await client.createTimelineFromFeed(`${name}-feed`, { types: ['login'] })).source.from;
said.timelines = (await client.listTimelines()).filter(one => one.name.startsWith(name)).length;

const scowl = 'event visit\nuser := $.user as string\nn := $.n as int\nat := $.at as time\nvisits := Count(by user)\n';
const branch = await client.saveBranch(name, { 'visits.scowl': scowl }, { message: 'a tour', author: 'ada' });
said.branch = [branch.version, branch.saved, (await client.listBranches()).some(one => one.name === name)];

const run = await client.distributedMaterializeMany([name], { branch: name });
const progress = [];
for await (const told of run.progress()) progress.push(told);
said.progress = [progress.at(-1).state, progress.at(-1).progress.replace(/\d+/g, 'N')];
const events = await run.getEvents('visit');
said.types = Object.fromEntries(events.schema.fields.map(field => [field.name, String(field.type)]));
said.rows = events.toArray().map(row => Object.values(row.toJSON()).map(String));
said.errors = (await run.getErrors('visit')).toArray().map(row => [row.feature, row.error]);
said.batches = 0;
for await (const batch of run.eventBatches('visit')) said.batches += batch.numRows;
const again = await client.materialize(name, { branch: `${name}@1`, features: ['visit.vis*'] });
said.again = (await again.show()).features;
said.listed = (await client.listMaterializations()).filter(({ id }) => id === run.id || id === again.id).length;
await again.delete();

const refused = async work => {
  try {
    await work();
    return 'nothing was refused';
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return [
      error.status,
      error.problem?.code,
      error.message.replaceAll(name, 'NAME').replace(/(there is no replay \S+);.*/, '$1'),
    ];
  }
};
said.refused = [
  await refused(() => client.materialize(name, { branch: name, features: ['visit.visit'] })),
  await refused(() => client.materializeMany([`${name}s`])),
  await refused(() => again.getEvents('visit')),
  await refused(() => client.createTimelineFromFile(name, 'a\n', { format: 'ndjson' })),
];
await client.deleteTimeline(name);
const answer = await client
  .lookUp({ features: ['totals:n_lifetime'], entities: { user: [`${name}-0`, 9007199254740993n] } })
  .catch(error => error.problem?.code);
said.answer = answer;
said.state = (await client.call('showReplay', { path: { id: run.id } })).state;
console.log(JSON.stringify(said).replaceAll(name, 'NAME').replaceAll(run.id, 'ID').replaceAll(again.id, 'AGAIN'));
