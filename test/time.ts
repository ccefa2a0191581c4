import { setDefaultTimeout } from 'bun:test';
import { LONG } from './seeds.ts';

/** Many times what any test takes, on a slow machine that does something else besides: one that hangs has failed. */
setDefaultTimeout(LONG ? 3_600_000 : 300_000);
