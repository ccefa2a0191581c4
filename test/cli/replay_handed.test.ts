/** Replays that others do, job by job: processes that share a folder, or nothing but a bucket of S3; what schedules them is in examples/jobs. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { pythonOrSkip } from '../../scripts/python.ts';
import { PATHS } from '../../src/replay/manifest.ts';
import { s3Bucket } from '../../src/source/s3.ts';
import { dataFolders, HOW } from '../replay/data_folder.ts';
import { toldOf } from '../replay/runs.ts';
import { CREDENTIALS, type Moto, motoOrSkip, startMoto } from '../source/moto.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const JOBS = join(import.meta.dir, '../../examples/jobs');
const FEATURES = ['payment.hold', 'login.guessed'];
const TIMEOUT_MS = 180_000;
const dataFolder = dataFolders();

const program = motoOrSkip('replays in a bucket of S3');
let moto: Moto;
beforeAll(async () => {
  if (program !== null) moto = await startMoto(program);
}, TIMEOUT_MS);
afterAll(() => moto?.stop());

type Data = Awaited<ReturnType<typeof dataFolder>>;

/** `tilefold` on the path, and what is told of S3 by the environment. */
function shell({ folder }: Data, script: string, env: Record<string, string> = {}) {
  const tools = join(folder, 'tools');
  mkdirSync(tools, { recursive: true });
  writeFileSync(join(tools, 'tilefold'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(join(tools, 'tilefold'), 0o755);
  const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', '-euc', script], {
    ...{ cwd: folder, env: { ...process.env, ...env, PATH: `${tools}:${process.env.PATH}` }, timeout: TIMEOUT_MS },
  });
  expect(`${exitCode} ${stderr}`).toStartWith('0 ');
  return String(stdout);
}

/** Columns by name, as bytes. */
function bytesOf(folder: string): Map<string, string> {
  const columns = PATHS.columns(folder);
  const names = readdirSync(columns).sort();
  return new Map(names.map(name => [name, Bun.SHA256.hash(readFileSync(join(columns, name)), 'hex')]));
}

/** The same in threads of this process, with a cache of its own. */
async function whole(data: Data) {
  const other = await dataFolder(300);
  const { folder, manifest } = await other.runs.plan(await other.request({ patterns: FEATURES }), null);
  await other.runs.run(folder, HOW, () => {});
  expect(toldOf(folder, manifest)).toEqual(await data.whole(manifest));
  return bytesOf(folder);
}

const LOOP = `sh ${join(JOBS, 'loop.sh')}`;

test(
  'a shell does the jobs of a folder, which needs nothing beside it',
  async () => {
    const data = await dataFolder(300);
    const wanted = await whole(data);
    const out = join(data.folder, 'handed over');
    const told = shell(
      data,
      `${LOOP} '${out}' --timelines all --features ${FEATURES} --workers 2
      tilefold replay job '${out}/manifest.json' 0 --json
      tilefold replay events '${out}' payment -o payments.csv`,
    );
    expect(told).toContain('{"job":0,"state":"was done already"}');
    expect(readFileSync(join(data.folder, 'payments.csv'), 'utf8')).toStartWith('_id,_type,_time,payment.hold\n');
    expect(readdirSync(out).sort()).toEqual(['columns', 'manifest.json', 'plan.json', 'state.json']);
    expect(bytesOf(out)).toEqual(wanted);
    expect(data.runs.cache.entries().length).toBe(wanted.size);
  },
  TIMEOUT_MS,
);

describe.skipIf(program === null)('in a bucket', () => {
  const endpoint = () => ({ AWS_ENDPOINT_URL: moto.url, AWS_REGION: 'us-east-1', ...CREDENTIALS });

  test(
    'a shell does the jobs there, and brings the replay home',
    async () => {
      await moto.make('features');
      const data = await dataFolder(300);
      const place = 's3://features/replays/one';
      const told = shell(
        data,
        `${LOOP} ${place}/ --timelines all --features ${FEATURES} --workers 2
        tilefold replay job ${place}/manifest.json 1 --json
        tilefold replay finish ${place}/manifest.json --json
        tilefold replay show ${place} --json`,
        endpoint(),
      );
      const [show, finish, job] = told.trim().split('\n').toReversed();
      expect(job).toBe('{"job":1,"state":"was done already"}');
      const { folder, id } = JSON.parse(finish!);
      expect(JSON.parse(show!)).toMatchObject({ id, state: 'done', folder: `${place}/` });
      expect(bytesOf(folder)).toEqual(await whole(data));
      expect(data.runs.show(id).state).toBe('done');
      expect(readdirSync(folder).sort()).toEqual(['columns', 'manifest.json', 'plan.json', 'state.json']);
      // The next one takes all of it.
      const again = await data.runs.plan(await data.request({ patterns: FEATURES }), null);
      expect(again.manifest.jobs).toEqual([]);
      expect(readdirSync(join(data.config.replays.dir, 'work'))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    'jobs that are done by two at once, killed and damaged there leave one whole replay',
    async () => {
      await moto.make('jobs');
      const data = await dataFolder(300);
      const bucket = s3Bucket({ bucket: 'jobs', endpoint: moto.url, region: 'us-east-1', prefix: 'a b/' }, CREDENTIALS);
      const request = await data.request({ patterns: FEATURES });
      const { manifest } = await data.runs.plan(request, bucket);
      await expect(data.runs.plan(request, bucket)).rejects.toThrow('s3://jobs/a b/ has a replay already');
      expect(data.runs.list().replays).toEqual([]);
      await expect(data.runs.finish(bucket)).rejects.toThrow('jobs are not done: 0, 1');
      const last = manifest.jobs.at(-1)!;
      await expect(data.runs.job(bucket, last.number, HOW.memoryBytes)).rejects.toThrow(/needs what job \d+ makes/);
      // Nothing but the bucket is needed any more.
      rmSync(data.config.timelines.dir, { recursive: true });
      const words = ['replay', 'job', 's3://jobs/a b/manifest.json', '0'];
      const env = { ...process.env, ...endpoint() };
      const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: data.folder, env, stderr: 'ignore' });
      const work = join(data.config.replays.dir, 'work');
      while (child.exitCode === null && !existsSync(work)) await Bun.sleep(2);
      child.kill('SIGKILL');
      await child.exited;
      for (const { number } of manifest.jobs)
        await Promise.all([1, 2].map(() => data.runs.job(bucket, number, HOW.memoryBytes)));
      expect((await data.runs.showIn(bucket)).jobs).toEqual({
        total: manifest.jobs.length,
        done: manifest.jobs.length,
      });
      const names = (await bucket.list()).map(({ name }) => name);
      expect(names.filter(name => !/^(manifest|plan)\.json$|^(columns|chunks|parts)\/[\w.-]+$/.test(name))).toEqual([]);

      const name = PATHS.column('', manifest.files['payment.hold']!);
      const bytes = await bucket.read(name, 0, (await bucket.size(name))!);
      const write = (some: Uint8Array) =>
        bucket.write(
          name,
          some.length,
          (async function* () {
            yield some;
          })(),
        );
      await write(bytes.with(bytes.length - 9, bytes.at(-9)! ^ 1));
      await expect(data.runs.finish(bucket)).rejects.toThrow(`s3://jobs/a b/${name} is damaged at byte`);
      await write(bytes);
      const { folder } = await data.runs.finish(bucket);
      expect(bytesOf(folder)).toEqual(await whole(await dataFolder(300)));
      expect(readdirSync(work)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

test('the workflow of Argo calls what there is', () => {
  const { spec } = parse(readFileSync(join(JOBS, 'argo.yaml'), 'utf8'));
  const commands = spec.templates[0].steps
    .flat()
    .map((step: { arguments: { parameters: { value: string }[] } }) => step.arguments.parameters[0]!.value);
  const verbs = commands.map((command: string) => command.split(' ').slice(0, 2).join(' '));
  expect(verbs).toEqual(['replay plan', 'replay job', 'replay finish']);
});

/** What a DAG of Airflow is made of, as far as the example goes: it prints its tasks. */
const AIRFLOW = `
import json, sys, types
tasks = []
class DAG:
    def __init__(self, name, schedule): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
class BashOperator:
    def __init__(self, task_id, bash_command, retries, retry_delay, doc=""):
        self.told = {"id": task_id, "command": bash_command, "after": []}
        tasks.append(self.told)
    def set_upstream(self, others):
        self.told["after"] += [other.told["id"] for other in others]
for name, member in {"sdk": DAG, "providers.standard.operators.bash": BashOperator}.items():
    module = types.ModuleType("airflow." + name)
    setattr(module, member.__name__, member)
    sys.modules["airflow." + name] = module
for name in ["airflow", "airflow.providers", "airflow.providers.standard", "airflow.providers.standard.operators"]:
    sys.modules[name] = types.ModuleType(name)
import runpy
runpy.run_path(sys.argv[1])
print(json.dumps(tasks))
`;

const python = pythonOrSkip('the DAG of Airflow');

test.skipIf(python === null)(
  'the DAG of Airflow has a task for each job, behind those that it needs',
  async () => {
    const data = await dataFolder(100);
    const words = `tilefold replay plan --to out --timelines all --features ${FEATURES} --json > plan.json`;
    shell(data, words);
    copyFileSync(join(JOBS, 'airflow.py'), join(data.folder, 'airflow_dag.py'));
    writeFileSync(join(data.folder, 'run.py'), AIRFLOW);
    const { stdout, stderr } = Bun.spawnSync([python!, 'run.py', 'airflow_dag.py'], { cwd: data.folder });
    expect(String(stderr)).toBe('');
    const tasks = JSON.parse(String(stdout)) as { id: string; command: string; after: string[] }[];
    const { manifest, folder } = data.runs.show(join(data.folder, 'out'));
    expect(tasks.map(({ after }) => after)).toEqual([
      ...manifest.jobs.map(({ after }) => after.map(number => `job_${number}`)),
      manifest.jobs.map(({ number }) => `job_${number}`),
    ]);
    expect(tasks.at(-2)!.command).toBe(`tilefold replay job '${folder}' ${manifest.jobs.length - 1}`);
  },
  TIMEOUT_MS,
);
