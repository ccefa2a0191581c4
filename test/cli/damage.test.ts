/**
 * Files that are not what they should be, by command: what is wrong is named with its file, the exit code is that of a fault and
 * not that of a bug, and what is done about it is said where there is something to do.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Database } from 'bun:sqlite';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openDatabase, openRows, REFUSE } from '../../src/cli/alone/database.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const CONFIG = 'log: { clock: event, compress: false }\ndefinitions: features\nfold: { workers: 0, memory: 1MiB }\n';
const DEFINITIONS = `
events:
  sale: { shop: string, cents: int64 }
entities:
  shop: string
---
feature_set: shops
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n FROM sale GROUP BY shop
`;
const EVENT = '{"type":"sale","time":"2024-05-01T00:00:00Z","data":{"shop":"s1","cents":1}}\n';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-damage-'));
  const whole = join(root, 'whole');
  await mkdir(join(whole, 'features'), { recursive: true });
  await writeFile(join(whole, 'tilefold.yaml'), CONFIG);
  await writeFile(join(whole, 'features/sales.yaml'), DEFINITIONS);
  await writeFile(join(whole, 'in.ndjson'), EVENT.repeat(50));
  expect((await run(whole, 'ingest', 'in.ndjson')).err).toBe('');
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function run(folder: string, ...words: string[]) {
  return ended(Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' }));
}

/** With files that may have so many KiB, as on a disk that is nearly full. */
function startWithin(kibibytes: number, folder: string, ...words: string[]) {
  const command = ['bash', '-c', `ulimit -f ${kibibytes}; exec "$0" "$@"`, process.execPath, MAIN, ...words];
  return Bun.spawn(command, { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
}

/**
 * With the folder copied to a file system of its own of a MiB, on which no plan is kept and so many KiB are free. What is in the data
 * folder afterwards is said behind what the command says.
 */
function startFull(kibibytes: number, folder: string, ...words: string[]) {
  const script = [
    'set -e; mount -t tmpfs -o size=1m tmpfs "$0"; cp -R . "$0"; cd "$0"; rm data/plan.cache',
    `cat /dev/zero > filler 2> /dev/null || truncate -s -${kibibytes}K filler`,
    '"$@"; ls data',
  ];
  const command = ['unshare', '-rm', 'bash', '-c', script.join('\n'), folder, process.execPath, MAIN, ...words];
  return Bun.spawn(command, { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
}

/** Of a user who is root in a namespace of their own: containers often refuse that. */
const canMount = Bun.spawnSync(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).success;
if (!canMount) console.warn('SKIPPED a full disk: `unshare -rm mount` is refused here');

async function ended(child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>) {
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

type Damage = (folder: string) => Promise<unknown>;

/** A folder where a file was. */
const folderAt =
  (path: string): Damage =>
  async folder => {
    await rm(join(folder, path), { recursive: true, force: true });
    await mkdir(join(folder, path));
  };

/** A file where a folder, or another file, was. */
const fileAt =
  (path: string, bytes: string | Uint8Array): Damage =>
  async folder => {
    await rm(join(folder, path), { recursive: true, force: true });
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  };

const segmentAsFolder: Damage = async folder => {
  const names = await readdir(join(folder, 'data/log'));
  await folderAt(join('data/log', names.find(name => name.endsWith('.ndjson'))!))(folder);
};

/** The first page of a table is none. */
function damagedTable(name: string): Damage {
  return async folder => {
    const path = join(folder, 'data/tilefold.db');
    const db = new Database(path);
    const { rootpage } = db
      .query<{ rootpage: number }, [string]>('SELECT rootpage FROM sqlite_master WHERE name = ?')
      .get(name)!;
    const { page_size } = db.query<{ page_size: number }, []>('PRAGMA page_size').get()!;
    db.close();
    const bytes = new Uint8Array(await readFile(path));
    await writeFile(path, bytes.fill(0xa5, (rootpage - 1) * page_size, (rootpage - 1) * page_size + 60));
  };
}

/** Of whatever plan is recorded: the database itself is whole. */
function damagedText(column: 'json' | 'members'): Damage {
  return async folder => {
    const db = new Database(join(folder, 'data/tilefold.db'));
    expect(db.run(`UPDATE plans SET ${column} = replace(${column}, '[', '?')`).changes).toBeGreaterThan(0);
    db.close();
  };
}

const LOOKUP = ['lookup', 'shop', 's1'];

/** What a lookup has to have: owners, a database's index of what was written last. */
const ROOM_KIB = 64;
const NOISE = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) >> 3);

const CASES: [string, Damage, string[][], RegExp][] = [
  [
    'a lock that is no database',
    fileAt('data/lock.db', NOISE),
    [LOOKUP, ['verify']],
    /lock\.db cannot be locked: .*remove it while/,
  ],
  ['a folder as lock', folderAt('data/lock.db'), [LOOKUP], /lock\.db cannot be opened: /],
  ['a folder as owner', folderAt('data/owner'), [LOOKUP], /EISDIR.*owner/],
  [
    'a folder as database',
    folderAt('data/tilefold.db'),
    [LOOKUP, ['verify'], ['rebuild', '--from-log']],
    /tilefold\.db cannot be opened/,
  ],
  ['a file as data folder', fileAt('data', 'x'), [LOOKUP, ['ingest', 'in.ndjson']], /(EEXIST|ENOTDIR).*data/],
  [
    'a file as log',
    fileAt('data/log', 'x'),
    [LOOKUP, ['log', 'stat'], ['log', 'verify']],
    /(EEXIST|ENOTDIR).*data\/log/,
  ],
  ['a folder as segment', segmentAsFolder, [LOOKUP, ['log', 'stat'], ['log', 'verify'], ['log', 'cat']], /EISDIR/],
  [
    'a folder as definitions',
    folderAt('features/x.yaml'),
    [LOOKUP, ['check']],
    /features\/x\.yaml cannot be read \(EISDIR\)/,
  ],
  [
    'a link to nowhere as definitions',
    folder => symlink('nowhere', join(folder, 'features/x.yaml')),
    [['check']],
    /x\.yaml cannot be read \(ENOENT\)/,
  ],
  ['a folder as configuration', folderAt('tilefold.yaml'), [LOOKUP], /tilefold\.yaml cannot be read \(EISDIR\)/],
  ['a table of names', damagedTable('dictionary'), [LOOKUP, ['verify']], /tilefold\.db: .*rebuild --from-log/],
  ['aggregates of a plan', damagedText('members'), [LOOKUP, ['verify']], /aggregates in the.*rebuild --from-log/],
  ['a plan', damagedText('json'), [['verify']], /the plan in the database cannot.*rebuild --from-log/],
  [
    'a full disk as output',
    folder => symlink('/dev/full', join(folder, 'o.ndjson.part')),
    [['replay', '--features', 'features', '--log', 'in.ndjson', '--out', 'o.ndjson']],
    /o\.ndjson: ENOSPC/,
  ],
  [
    'a full disk as a file of tiles',
    folder => symlink('/dev/full', join(folder, 'o.ndjson.part')),
    [['tiles', '--out', 'o.ndjson']],
    /o\.ndjson: ENOSPC/,
  ],
  [
    'timelines that are no database',
    fileAt('data/timelines/timelines.db', NOISE),
    [['timeline', 'list']],
    /timelines\.db: file is not a database; .*from a backup/,
  ],
  [
    'branches that are no database',
    fileAt('data/branches.db', NOISE),
    [['branch', 'list']],
    /branches\.db: file is not a database; .*from a backup/,
  ],
  [
    'a folder as output',
    folderAt('o.ndjson'),
    [['replay', '--features', 'features', '--log', 'in.ndjson', '--out', 'o.ndjson']],
    /EISDIR.*o\.ndjson/,
  ],
];

describe('a fault that names the file', () => {
  test.each(CASES)('%s', async (_, damage, commands, wanted) => {
    for (const words of commands) {
      const folder = await mkdtemp(join(root, 'case-'));
      await cp(join(root, 'whole'), folder, { recursive: true });
      await damage(folder);
      const { code, err } = await run(folder, ...words);
      expect([words, code, err.trim().split('\n').at(-1)]).toEqual([words, 1, expect.stringMatching(wanted)]);
    }
  });
});

test('a segment that is noise from its first byte is told, and not cut off as a write that was not finished', async () => {
  const folder = await mkdtemp(join(root, 'case-'));
  await cp(join(root, 'whole'), folder, { recursive: true });
  const name = (await readdir(join(folder, 'data/log'))).find(file => file.endsWith('.ndjson'))!;
  const path = join(folder, 'data/log', name);
  const noise = 'n'.repeat(3000);
  await writeFile(path, noise);
  for (const words of [LOOKUP, ['log', 'verify']]) {
    const { code, out, err } = await run(folder, ...words);
    expect([words, code, out + err]).toEqual([words, 1, expect.stringContaining(name)]);
    expect(await Bun.file(path).text()).toBe(noise);
  }
});

test('an owner that says nothing to anybody is no hindrance', async () => {
  const folder = await mkdtemp(join(root, 'case-'));
  await cp(join(root, 'whole'), folder, { recursive: true });
  await writeFile(join(folder, 'data/owner'), NOISE);
  expect((await run(folder, ...LOOKUP)).code).toBe(0);
});

describe('no room for rows', () => {
  /** For what is logged, and for three pages of the database's write-ahead log. */
  const FEW_KIB = 32;
  /** One of a shop that counts, and others of whose rows there are several pages. */
  const MORE =
    EVENT + Array.from({ length: 150 }, (_, i) => EVENT.replace('s1', Bun.SHA256.hash(`${i}`, 'hex'))).join('');
  const NO_ROOM = 'tilefold.db: disk I/O error: nothing of it was written';

  /** What a lookup counts, with room again. */
  async function counted(folder: string) {
    const { out } = await run(folder, ...LOOKUP, '--feature', 'shops:n_lifetime', '--json');
    return JSON.parse(out).entities.shop.features['shops:n_lifetime'].values;
  }

  test('ends a command with a line that names the file; with room again what was logged counts once', async () => {
    const folder = await mkdtemp(join(root, 'case-'));
    await cp(join(root, 'whole'), folder, { recursive: true });
    await writeFile(join(folder, 'more.ndjson'), MORE);
    const { code, err } = await ended(startWithin(FEW_KIB, folder, 'ingest', 'more.ndjson'));
    expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`^tilefold: \\S+/${NO_ROOM}\n$`))]);
    const refused = await ended(startWithin(0, folder, ...LOOKUP));
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(/lock\.db cannot be locked: disk I\/O error$/m),
    ]);
    expect(await counted(folder)).toEqual([51]);
  });

  test('ends a server with a line that names the file, and no trace', async () => {
    const folder = await mkdtemp(join(root, 'case-'));
    await cp(join(root, 'whole'), folder, { recursive: true });
    const server = startWithin(FEW_KIB, folder, 'serve', '--port', '0', '--log-level', 'error');
    const told = new Response(server.stderr).text();
    const reader = server.stdout.getReader();
    let said = '';
    while (!said.includes('\n')) said += new TextDecoder().decode((await reader.read()).value);
    const posted = await fetch(`${/http:\S+/.exec(said)![0]}/v1/events`, {
      ...{ method: 'POST', body: MORE, headers: { 'content-type': 'application/x-ndjson' } },
    });
    expect(posted.status).toBe(202);
    expect(await server.exited).toBe(1);
    expect(JSON.parse(await told)).toEqual({
      ...{ level: 'error', time: expect.any(String), error: expect.stringContaining(NO_ROOM) },
      msg: 'this process cannot go on; what was acknowledged is in the log',
    });
    expect(await counted(folder)).toEqual([51]);
  });
});

test('a write-ahead log that is cut beneath those who read is damage of its database, and no trouble with transactions', async () => {
  const path = join(root, 'cut.db');
  const { store, close } = openDatabase(path, REFUSE, () => {});
  const rows = Array.from({ length: 2000 }, (_, i) => ({
    ...{ entity: 1, key: Buffer.from(`${i}`), levelMs: 1, tileStartMs: i },
    value: randomValue(),
  }));
  store.commit(rows, { position: 7, clocks: new Map(), highest: [] });
  const reader = openRows(path);
  await truncate(`${path}-wal`, 20_000);
  const take = () => {};
  const read = () => {
    for (const { key, tileStartMs } of rows)
      reader.store.readKey(1, key, [{ levelMs: 1, fromMs: tileStartMs, toMs: tileStartMs + 1 }], take);
  };
  expect(read).toThrow(/^\S+cut\.db: .*rebuild --from-log/);
  reader.close();
  close();
});

// Where there is no room at all, the lock cannot be had.
test.skipIf(!canMount)('a disk with no room for what definitions compile to stops no command', async () => {
  const folder = join(root, 'no room to keep');
  await cp(join(root, 'whole'), folder, { recursive: true });
  // Longer than the room there is, in one piece.
  const inputs = Array.from({ length: 200 }, (_, i) => `x${i}: int64`).join(', ');
  const types = Array.from({ length: 8 }, (_, i) => `wide${i}: { ${inputs} }`).join(', ');
  await writeFile(join(folder, 'features/wide.yaml'), `events: { ${types} }\n`);
  expect((await run(folder, ...LOOKUP)).err).toBe('');
  const { size } = await stat(join(folder, 'data/plan.cache'));
  expect(size).toBeGreaterThan(ROOM_KIB * 1024);
  const { code, out, err } = await ended(startFull(ROOM_KIB, folder, ...LOOKUP));
  expect(err).toMatch(
    /^what the definitions compile to is not kept for the next start: .*data\/plan\.cache: ENOSPC.*\n$/,
  );
  expect(out).toMatch(/^shop +s1\n.*shops:n_lifetime +50\n.*\nlock\.db\nlog\ntilefold\.db\n$/s);
  expect(code).toBe(0);
});

test('a database that has no more room is a fault of its file, and goes on from what it had once there is some', async () => {
  const path = join(root, 'full.db');
  const { db, store, meta, close } = openDatabase(path, REFUSE, () => {});
  const rows = (from: number) =>
    Array.from({ length: 2000 }, (_, i) => ({
      ...{ entity: 1, key: Buffer.from(`${from + i}`), levelMs: 1, tileStartMs: from + i },
      value: randomValue(),
    }));
  const markAt = (position: number) => ({ position, clocks: new Map(), highest: [] });
  store.commit(rows(0), markAt(7));
  const { page_count } = db.query<{ page_count: number }, []>('PRAGMA page_count').get()!;
  db.run(`PRAGMA max_page_count = ${page_count}`);
  const full = `${path}: database or disk is full`;
  expect(() => store.commit(rows(5000), markAt(9))).toThrow(full);
  const names = Array.from({ length: 300 }, (_, i) => ({
    kind: 'aggregate' as const,
    name: `x${i}`,
    hash: 'h'.repeat(200),
  }));
  expect(() => meta.dictionary(names)).toThrow(full);
  expect([store.mark().position, [...store.scan()].length, meta.numbers()]).toEqual([7, 2000, []]);
  db.run('PRAGMA max_page_count = 100000');
  store.commit(rows(5000), markAt(9));
  expect([store.mark().position, [...store.scan()].length, meta.dictionary(names).length]).toEqual([9, 4000, 300]);
  close();
});

/** As a row begins, and not to be compressed. */
function randomValue(): Uint8Array {
  return Uint8Array.of(0x0a, ...crypto.getRandomValues(new Uint8Array(99)));
}
