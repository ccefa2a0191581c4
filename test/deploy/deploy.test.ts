/**
 * What is in deploy/ fits the program: queries are PromQL over metrics and labels that a server really gives out, configurations
 * are taken by the reader of configurations, commands and their options are there, and systemd takes the units.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { parseAllDocuments } from 'yaml';
import { dashboardText, FILE, ROWS } from '../../scripts/dashboard.ts';
import { WorkMetrics } from '../../src/base/work_metrics.ts';
import { parseConfig } from '../../src/cli/config.ts';
import { programOf } from '../../src/cli/program.ts';
import { startServer } from '../../scripts/bench/serving.ts';

const ROOT = join(import.meta.dir, '../..');
const DEPLOY = join(ROOT, 'deploy');

function textOf(name: string): string {
  return readFileSync(join(DEPLOY, name), 'utf8');
}

/** Documents of a file of YAML. */
function documentsOf(name: string): Record<string, unknown>[] {
  return parseAllDocuments(textOf(name)).map(document => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Record<string, unknown>;
  });
}

interface Rule {
  alert: string;
  expr: string;
}

const RULES = (documentsOf('alerts.yaml')[0]!.groups as { rules: Rule[] }[]).flatMap(({ rules }) => rules);

const QUERIES: [name: string, query: string][] = [
  ...ROWS.flatMap(([, panels]) =>
    panels.flatMap(({ title, lines }) => lines.map(([query]) => [title, query] as const)),
  ),
  ...RULES.map(({ alert, expr }) => [alert, expr] as const),
].map(([name, query]) => [name, query.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance)/g, 'x')]);

/** Labels that Prometheus adds itself. */
const ADDED = ['job', 'instance', 'le'];

/** What a query asks for: each metric, with the labels that it is chosen or grouped by. */
function askedBy(query: string): { metrics: string[]; labels: string[]; isPromql: boolean } {
  const [metrics, labels]: [string[], string[]] = [[], []];
  let isPromql = true;
  parser.parse(query).iterate({
    enter({ name, from, to, type }) {
      if (type.isError) isPromql = false;
      if (name === 'Identifier') metrics.push(query.slice(from, to));
      if (name === 'LabelName') labels.push(query.slice(from, to));
    },
  });
  return { metrics, labels, isPromql };
}

describe('queries', () => {
  let folder: string;
  let bucket: Bun.Server<undefined>;
  let server: Awaited<ReturnType<typeof startServer>>;
  /** Names of labels of each series of a server that has taken events, good, bad and late, and has answered lookups. */
  const series = new Map<string, Set<string>>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tilefold-deploy-'));
    // It is asked what it holds, and that is nothing; nothing is uploaded, for no segment is closed.
    bucket = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('<ListBucketResult/>') });
    await Bun.write(
      join(folder, 'tilefold.yaml'),
      `log: { clock: event, s3: { bucket: none, endpoint: "${bucket.url.origin}" } }\nlateness: 0s\n`,
    );
    await Bun.write(
      join(folder, 'features/views.yaml'),
      `events:
  view: { user: string, ms: int64 }
entities:
  user: string
---
feature_set: views
source: view
entity: user
windows: [1h]
sql: SELECT COUNT(*) AS n FROM view GROUP BY user
`,
    );
    const keys = ['AWS_ACCESS_KEY_ID=none', 'AWS_SECRET_ACCESS_KEY=none'];
    const words = [
      '--config',
      join(folder, 'tilefold.yaml'),
      'serve',
      '--port',
      '0',
      '--grace',
      '0s',
      '--log-level',
      'error',
    ];
    server = await startServer(['env', ...keys, process.execPath, join(ROOT, 'src/main.ts'), ...words]);
    const view = (time: string, data: object) => JSON.stringify({ type: 'view', time, data });
    const lines = [
      ...[view('2024-01-03T00:00:00Z', { user: 'a', ms: 1 }), view('2024-01-01T00:00:00Z', { user: 'a', ms: 1 })],
      ...[view('2024-01-03T00:00:01Z', { user: 7 }), 'no event'],
    ];
    const headers = { 'content-type': 'application/x-ndjson' };
    await fetch(`${server.origin}/v1/events`, { method: 'POST', headers, body: lines.join('\n') });
    for (const method of ['GET', 'POST']) await fetch(`${server.origin}/v1/features`, { method });
    const served = await (await fetch(`${server.origin}/metrics`)).text();
    const stages = (['tile', 'fold'] as const).map(stage => ({ stage, partitions: 1, lag: 1 }));
    const worked = await new WorkMetrics(async () => ({ stages, rowsDirty: 0, foldBytes: 0 })).text();
    const text = `${served}\n${worked}`;
    for (const [, name, labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
      const known = series.get(name!) ?? new Set(ADDED);
      for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label!);
      series.set(name!, known);
    }
    series.set('up', new Set(ADDED));
  });

  afterAll(async () => {
    await server.stop();
    await bucket.stop(true);
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(QUERIES)('%s: %s', (_name, query) => {
    const { metrics, labels, isPromql } = askedBy(query);
    expect(isPromql).toBe(true);
    expect(metrics.length).toBeGreaterThan(0);
    expect(metrics.filter(name => !series.has(name))).toEqual([]);
    const known = new Set(metrics.flatMap(name => [...series.get(name)!]));
    expect(labels.filter(label => !known.has(label))).toEqual([]);
  });

  test('what is no query is found out', () => {
    expect(askedBy('sum by (route) (rate(a[5m])').isPromql).toBe(false);
    expect(askedBy('sum by (route) (rate(a{b="c"}[5m]))')).toEqual({
      ...{ metrics: ['a'], labels: ['route', 'b'], isPromql: true },
    });
  });
});

test('the dashboard is the one that is written down', () => {
  expect(readFileSync(FILE, 'utf8')).toBe(dashboardText());
});

test('every alert is explained', () => {
  const docs = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8');
  for (const { alert } of RULES) expect(docs).toContain(`| \`${alert}\` |`);
});

describe('configurations', () => {
  const manifests = ['server', 'cluster', 'cluster-tls'].map(name => `kubernetes/${name}.yaml`);
  const inManifests = manifests.map((name): [string, string] => {
    const map = documentsOf(name).find(({ kind }) => kind === 'ConfigMap')!;
    return [name, (map.data as Record<string, string>)['tilefold.yaml']!];
  });
  test.each([['tilefold.yaml', textOf('tilefold.yaml')], ...inManifests])('%s', (name, text) => {
    const config = parseConfig('/etc/tilefold/tilefold.yaml', text);
    expect(config.definitions).toBe('/etc/tilefold/features');
    // What is not said lies beside the configuration, where nothing may be written.
    const written = [
      config.log.dir,
      config.store.sqlite,
      config.timelines.dir,
      config.branches.sqlite,
      config.replays.dir,
    ];
    if (!name.includes('cluster')) for (const path of written) expect(path).toStartWith('/var/lib/tilefold/');
  });
});

test('certificates are looked for where the secret is mounted, and it has what they are called', () => {
  const text = textOf('kubernetes/cluster-tls.yaml');
  const map = documentsOf('kubernetes/cluster-tls.yaml')[0] as unknown as Manifest & { data: Record<string, string> };
  const cluster = documentsOf('kubernetes/cluster.yaml') as unknown as Manifest[];
  expect(cluster.find(({ kind }) => kind === 'ConfigMap')!.metadata.name).toBe(map.metadata.name);
  const { kafka, scylla } = parseConfig('/etc/tilefold/tilefold.yaml', map.data['tilefold.yaml']!);
  const files = [kafka!.tls, scylla!.tls].flatMap(tls => [tls!.ca!, tls!.client!.cert, tls!.client!.key]);
  for (const { kind, spec } of cluster) {
    if (kind !== 'Deployment') continue;
    const { name } = spec.template.spec.volumes.find(({ secret }) => secret?.secretName === 'tilefold-tls')!;
    const mount = spec.template.spec.containers[0]!.volumeMounts.find(one => one.name === name)!;
    for (const file of files) {
      expect(file).toStartWith(`${mount.mountPath}/`);
      expect(text).toContain(`--from-file=${file.slice(mount.mountPath.length + 1)}`);
    }
  }
  expect(kafka!.sasl).toBe('scram-sha-512');
});

describe('commands', () => {
  const units = readdirSync(join(DEPLOY, 'systemd'));
  const words = [
    ...units.map((name): [string, string[]] => [
      name,
      /^ExecStart=\S+ (.*)$/m.exec(textOf(`systemd/${name}`))![1]!.split(' '),
    ]),
    ...['server', 'cluster'].flatMap(name =>
      [...textOf(`kubernetes/${name}.yaml`).matchAll(/args: \[(.*)\]/g)].map(([, args]): [string, string[]] => [
        name,
        args!.split(', '),
      ]),
    ),
  ];
  test.each(words)('%s: %p', (_name, [config, path, verb, ...options]) => {
    expect([config, path]).toEqual(['--config', '/etc/tilefold/tilefold.yaml']);
    const command = programOf().commands.find(one => one.name() === verb)!;
    expect(command).toBeDefined();
    for (const option of options.filter(word => word.startsWith('--')))
      expect(command.options.map(({ long }) => long as string)).toContain(option);
  });

  const systemd = Bun.which('systemd-analyze');
  test.skipIf(!systemd).each(units)('systemd takes %s', async name => {
    const folder = mkdtempSync(join(tmpdir(), 'tilefold-unit-'));
    // It wants the program to be there.
    const file = join(folder, name.replace('@', '@one'));
    await Bun.write(file, textOf(`systemd/${name}`).replace('/usr/local/bin/tilefold', '/bin/true'));
    const { exitCode, stderr } = Bun.spawnSync([systemd!, 'verify', file]);
    expect(
      stderr
        .toString()
        .split('\n')
        .filter(line => line.includes(name.split('@')[0]!) && !line.includes('Binary')),
    ).toEqual([]);
    expect(exitCode).toBe(0);
    rmSync(folder, { recursive: true });
  });
});

describe('manifests', () => {
  test.each(['kubernetes/server.yaml', 'kubernetes/cluster.yaml'])('%s names what it mounts and selects', name => {
    const documents = documentsOf(name) as unknown as Manifest[];
    const maps = documents.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name);
    for (const { kind, spec } of documents) {
      if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
      const { template, selector, volumeClaimTemplates = [] } = spec;
      expect(template.metadata.labels).toMatchObject(selector.matchLabels);
      const volumes = [...template.spec.volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)];
      const mounts = template.spec.containers.flatMap(({ volumeMounts }) => volumeMounts);
      expect(mounts.map(({ name }) => name).filter(name => !volumes.some(one => one.name === name))).toEqual([]);
      const used = template.spec.volumes.flatMap(({ configMap }) => (configMap ? [configMap.name] : []));
      expect(used.filter(name => !maps.includes(name))).toEqual(['tilefold-features']);
    }
  });
});

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: {
    selector: { matchLabels: Record<string, string> };
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        volumes: { name: string; configMap?: { name: string }; secret?: { secretName: string } }[];
        containers: { volumeMounts: { name: string; mountPath: string }[] }[];
      };
    };
    volumeClaimTemplates?: { metadata: { name: string } }[];
  };
}
