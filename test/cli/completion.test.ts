import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dir, '../../src/main.ts');

function script(shell: string): string {
  return Bun.spawnSync([process.execPath, MAIN, 'completion', shell]).stdout.toString();
}

const BASH = script('bash');

/** What bash offers for the last of the words, in a folder with two files. */
function completed(...words: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'tilefold-completion-'));
  try {
    for (const name of ['events.ndjson', 'other.txt']) writeFileSync(join(folder, name), '');
    const program = `${BASH}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tilefold; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const ran = Bun.spawnSync(['bash', '-u', '-c', program, 'bash', 'tilefold', ...words], { cwd: folder });
    expect(ran.stderr.toString()).toBe('');
    return ran.stdout
      .toString()
      .split('\n')
      .filter(word => word !== '')
      .sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('in bash', () => {
  test('commands are completed from commander’s own', () => {
    expect(completed('')).toEqual(
      expect.arrayContaining(['check', 'serve', 'ingest', 'lookup', 'errors', 'replay', 'init']),
    );
    expect(completed('loo')).toEqual(['lookup']);
    expect(completed('--config', 'x.yaml', 'loo')).toEqual(['lookup']);
  });

  test('options are those of the command, and those of all', () => {
    expect(completed('serve', '--')).toEqual([
      '--config',
      '--grace',
      '--help',
      '--host',
      '--log-level',
      '--memory',
      '--port',
      '--profile',
      '--version',
    ]);
    expect(completed('lookup', 'origin', 'ATL', '--js')).toEqual(['--json']);
    expect(completed('--v')).toEqual(['--version']);
  });

  test('commands of commands too', () => {
    expect(completed('log', '')).toEqual(['cat', 'restore', 'stat', 'upload', 'verify']);
    expect(completed('log', 'stat', '--j')).toEqual(['--json']);
    expect(completed('log', 'stat', '--f')).toEqual([]);
  });

  test('values: choices, files, or nothing', () => {
    expect(completed('serve', '--log-level', 'd')).toEqual(['debug']);
    expect(completed('--config', 'ev')).toEqual(['events.ndjson']);
    expect(completed('serve', '--config', '')).toEqual(['events.ndjson', 'other.txt']);
    expect(completed('serve', '--host', '')).toEqual([]);
    expect(completed('replay', '--features', 'x', '--log', 'ev')).toEqual(['events.ndjson']);
  });

  test('arguments: files, choices, or nothing', () => {
    expect(completed('ingest', 'ev')).toEqual(['events.ndjson']);
    expect(completed('completion', '')).toEqual(['bash', 'fish', 'zsh']);
    expect(completed('lookup', '')).toEqual([]);
  });

  test('the script is registered for tilefold', () => {
    const ran = Bun.spawnSync(['bash', '-c', `${BASH}\ncomplete -p tilefold`]);
    expect(ran.stdout.toString()).toBe('complete -F _tilefold tilefold\n');
  });
});

/** Tried in the shell itself where there is one, as far as it reads a script without running it. */
test('zsh: the script of bash, made known to zsh', () => {
  const zsh = script('zsh');
  expect(zsh).toStartWith('#compdef tilefold\n');
  expect(zsh).toContain('bashcompinit');
  expect(zsh).toContain(BASH.split('\n').slice(1).join('\n').trim());
  if (Bun.which('zsh')) expect(Bun.spawnSync(['zsh', '-n', '-c', zsh]).exitCode).toBe(0);
});

test('fish: a line for each command and option', () => {
  const fish = script('fish');
  expect(fish).toMatch(
    /^complete -c tilefold -n 'not __fish_seen_subcommand_from [^']*' -a check -d 'compile the definitions/m,
  );
  expect(fish).toMatch(/^complete -c tilefold -n '__fish_seen_subcommand_from serve' -l log-level -x -a 'debug info/m);
  expect(fish).toMatch(/^complete -c tilefold -n '__fish_seen_subcommand_from ingest' -F$/m);
  if (Bun.which('fish')) expect(Bun.spawnSync(['fish', '--no-execute', '-c', fish]).exitCode).toBe(0);
});

test('another shell is wrong usage', () => {
  const ran = Bun.spawnSync([process.execPath, MAIN, 'completion', 'tcsh']);
  expect([ran.exitCode, ran.stderr.toString()]).toEqual([
    64,
    expect.stringContaining('Allowed choices are bash, zsh, fish'),
  ]);
});
