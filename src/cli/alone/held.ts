import { Fault, Faults } from '../../base/fault.ts';
import { lastOwner } from '../../store/lock.ts';
import { foldersOf } from './data_folder.ts';
import { compose, type Parts } from './compose.ts';
import type { Config } from '../config.ts';
import { endWith, reasonOf } from '../exit.ts';

/** One command, two ways: with the data folder's parts in this process, or through the server that holds the folder. */
export interface Ways<Result> {
  open: (parts: Parts) => Result | Promise<Result>;
  /** @param url of the server */
  held: (url: string) => Promise<Result>;
}

/**
 * @param isAlone one thread does it all: a command that only looks has no work for more
 * @param note hears what was found on opening
 * @throws Fault `busy` where another process holds the folder, and does not serve
 */
export async function withParts<Result>(
  config: Config,
  ways: Ways<Result>,
  isAlone = false,
  note: (text: string) => void = console.error,
): Promise<Result> {
  const parts = await openOrFind(config, isAlone, note);
  if (typeof parts === 'string') return ways.held(parts);
  try {
    const result = await ways.open(parts);
    await parts.close();
    return result;
  } catch (error) {
    // After a bug memory cannot be trusted, and nothing of it is written: the process ends, the log has it all.
    if (error instanceof Faults || reasonOf(error) !== null) await parts.close();
    throw error;
  }
}

async function openOrFind(config: Config, isAlone: boolean, note: (text: string) => void): Promise<Parts | string> {
  try {
    return await compose(config, { announce: null, onFailure: endWith, note, isAlone });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'busy') throw error;
    for (const folder of foldersOf(config)) {
      const url = lastOwner(folder)?.url;
      if (url) return url;
    }
    throw error;
  }
}

/** For a command that was asked to do what cannot be done beside a server. */
export function stopFirst(error: unknown): unknown {
  if (!(error instanceof Fault) || error.code !== 'busy') return error;
  return new Fault('busy', `${error.message}; stop it first`);
}
