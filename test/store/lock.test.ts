import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../src/base/fault.ts';
import { LOCK_FILE, lastOwner, lockFolder } from '../../src/store/lock.ts';
import { folders } from '../source/folder.ts';

const folder = folders();

function made(): string {
  const path = folder();
  mkdirSync(path);
  return path;
}

const holders: Bun.Subprocess[] = [];
afterAll(() => {
  for (const child of holders) child.kill('SIGKILL');
});

const lock = (path: string) => lockFolder(path, new Database(join(path, LOCK_FILE)));

/** A process that locks a folder, keeps nothing of it, says so, and stays. */
async function holder(path: string) {
  const module = JSON.stringify(join(import.meta.dir, '../../src/store/lock.ts'));
  const code = `const { Database } = await import('bun:sqlite');
    const { lockFolder, LOCK_FILE } = await import(${module});
    const path = ${JSON.stringify(path)};
    lockFolder(path, new Database(path + '/' + LOCK_FILE)).announce('http://localhost:8080');
    Bun.gc(true);
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'inherit' });
  holders.push(child);
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe('locked\n');
  return child;
}

test('one process at a time; the one that is refused hears who holds it', () => {
  const path = made();
  const held = lock(path);
  expect(() => lock(path)).toThrow(`${path} is in use by process ${process.pid}`);
  held.release();
  expect(lastOwner(path)).toBeNull();
  lock(path).release();
});

test('where no owner can be written it is said of which file, and the folder is free again', () => {
  const path = made();
  symlinkSync('/dev/full', join(path, 'owner.new'));
  let refusal: unknown;
  try {
    lock(path);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toMatchObject({ code: 'ENOSPC', path: join(path, 'owner') });
  expect(readdirSync(path)).toEqual([LOCK_FILE]);
  lock(path).release();
});

test('a folder held by another process is refused, until that one is killed', async () => {
  const path = made();
  const child = await holder(path);
  let refusal: unknown;
  try {
    lock(path);
  } catch (error) {
    refusal = error;
  }
  const text = `${path} is in use by process ${child.pid}, which serves http://localhost:8080`;
  expect(refusal).toEqual(new Fault('busy', text));
  expect((refusal as Fault).code).toBe('busy');
  expect(lastOwner(path)).toEqual({ pid: child.pid, url: 'http://localhost:8080' });
  child.kill('SIGKILL');
  await child.exited;
  const held = lock(path);
  expect(lastOwner(path)).toEqual({ pid: process.pid, url: null });
  held.release();
});
