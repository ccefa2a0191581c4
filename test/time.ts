import { setDefaultTimeout } from 'bun:test';
import { LONG } from './seeds.ts';

/**
 * Many times what any test takes, on a slow machine that does something else besides: one that hangs has failed. It holds for the first
 * file that a process runs, which is enough for one that is run by itself; scripts that run all of them say the same by `--timeout`.
 */
setDefaultTimeout(LONG ? 3_600_000 : 300_000);
