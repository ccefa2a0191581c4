import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import type { BranchText, BranchVersion } from '../meta/branches.ts';
import { readBody } from './body.ts';
import { issueLine, parseJson } from './features.ts';
import type { Operation } from './operation.ts';

const VERSION = z.object({
  name: z.string(),
  version: z.int().min(1),
  hash: z
    .string()
    .describe('of its files and of how they are read: versions with the same one are the same definitions'),
  author: z.string(),
  message: z.string(),
  created_at: z.string().describe('RFC 3339'),
  lateness_ms: z.int().min(0).describe('how late an event may be, as the configuration said when it was saved'),
  dialect: z.string().describe('of SQL of feature sets that name none'),
  faults: z.int().min(0).describe('how many were found when it was saved'),
  selected: z.boolean().describe('its branch is what commands mean that are told of none'),
  files: z.array(z.object({ file: z.string(), bytes: z.int().min(0), hash: z.string() })),
});

export type BranchJson = z.infer<typeof VERSION>;

const FAULT = z.object({
  code: z.string(),
  message: z.string(),
  at: z
    .object({ file: z.string(), line: z.int(), column: z.int(), length: z.int() })
    .nullable()
    .describe('the place: a file, as `NAME@VERSION/PATH`, and where in it'),
});

const SHOWN = VERSION.extend({
  definitions: z.array(z.object({ file: z.string(), text: z.string() })).describe('what its files say'),
  found: z.array(FAULT).describe('all that is wrong with them now; empty where they compile'),
});

const EXAMPLE: BranchJson = {
  ...{ name: 'risk', version: 2, author: 'ada', message: 'guesses of a day', created_at: '2026-03-02T17:00:00Z' },
  hash: '5d8f1c0ad2f7b7d0f2b8b9a2c1f2b77b0e3f3a9f7d6d7d6a0a6a1f0e2c3b4d5e',
  ...{ lateness_ms: 3_600_000, dialect: 'duckdb', faults: 0, selected: true },
  files: [{ file: 'risk.scowl', bytes: 61, hash: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' }],
};
const DEFINITIONS = [{ file: 'risk.scowl', text: 'event login\nuser := $.user as string\nn := Count(by user)\n' }];

/** What is saved of definitions, and under which name. */
export interface NewBranch {
  name: string;
  texts: BranchText[];
  message: string;
  /** Null for who runs the server. */
  author: string | null;
}

/** Names are `NAME`, or `NAME@VERSION`. */
export interface BranchService {
  list(): Promise<{ versions: BranchVersion[]; selected: string | null }>;
  show(
    name: string,
  ): Promise<{ version: BranchVersion; texts: BranchText[]; faults: Fault[]; selected: string | null }>;
  save(branch: NewBranch): Promise<{ version: BranchVersion; isNew: boolean; selected: string | null }>;
  /** How many versions there were. */
  remove(name: string): Promise<number>;
}

const BRANCHES = z.object({ branches: z.array(VERSION) });
const NAME_PARAM = z.object({ name: z.string().describe('NAME, or NAME@VERSION') });

export const GET_BRANCHES: Operation = {
  id: 'listBranches',
  summary: 'List branches',
  description: 'Named versions of definitions, each version by itself.',
  replies: {
    200: {
      description: 'All of them.',
      type: 'application/json',
      content: { shape: { name: 'Branches', schema: BRANCHES }, example: { branches: [EXAMPLE] } },
    },
  },
  problems: [501, 503],
};

export function listBranches(service: BranchService): Handler {
  return async c => {
    const { versions, selected } = await service.list();
    return c.json({ branches: versions.map(version => branchJson(version, selected)) });
  };
}

export const GET_BRANCH: Operation = {
  id: 'showBranch',
  summary: 'Show the definitions of a branch',
  description: 'Without a version, the latest. They are compiled, and what is wrong with them is told.',
  params: NAME_PARAM,
  replies: {
    200: {
      description: 'The version.',
      type: 'application/json',
      content: {
        shape: { name: 'BranchShown', schema: SHOWN },
        example: { ...EXAMPLE, definitions: DEFINITIONS, found: [] },
      },
    },
  },
  problems: [400, 404, 501, 503],
};

export function showBranch(service: BranchService): Handler {
  return async c => {
    const { version, texts, faults, selected } = await service.show(c.req.param('name')!);
    const found = faults.map(({ code, message, at }) => ({ code, message, at }));
    return c.json({ ...branchJson(version, selected), definitions: texts, found });
  };
}

const BODY = z.strictObject({
  definitions: z
    .array(
      z.strictObject({
        file: z.string().describe('its path below a folder of definitions, such as `payments/risk.scowl`'),
        text: z.string().describe('YAML, or a topology'),
      }),
    )
    .min(1)
    .describe('all files: what is not among them is not in the version'),
  message: z.string().describe('what the version is for'),
  author: z.string().optional().describe('who saves it; who runs the server by default'),
});

const SAVED = VERSION.extend({
  saved: z.boolean().describe('false where the latest version has the same definitions'),
});

export const PUT_BRANCH: Operation = {
  id: 'saveBranch',
  summary: 'Save definitions as a branch',
  description:
    'Makes the next version under the name, which never changes; what is the same as the latest makes none. Definitions that do not compile are saved too. Nothing comes into force.',
  params: z.object({ name: z.string().describe('letters, digits, dots, hyphens and underscores') }),
  body: {
    'application/json': {
      shape: { name: 'NewBranch', schema: BODY },
      example: { definitions: DEFINITIONS, message: 'guesses of a day', author: 'ada' },
    },
  },
  replies: {
    200: {
      description: 'The latest version, which is this one now or has been it before.',
      type: 'application/json',
      content: { shape: { name: 'BranchSaved', schema: SAVED }, example: { ...EXAMPLE, saved: true } },
    },
  },
  problems: [400, 413, 415, 501, 503],
};

export function putBranch(service: BranchService): Handler {
  return async c => {
    const parsed = BODY.safeParse(parseJson(await readBody(c.req.raw, 'plan_body_bytes')));
    if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
    const { definitions: texts, message, author = null } = parsed.data;
    const { version, isNew, selected } = await service.save({ name: c.req.param('name')!, texts, message, author });
    return c.json({ ...branchJson(version, selected), saved: isNew });
  };
}

const DELETED = z.object({ deleted: z.int().min(1).describe('versions') });

export const DELETE_BRANCH: Operation = {
  id: 'deleteBranch',
  summary: 'Delete a branch',
  description: 'Without a version, all that have the name. A number is never given to another version of it.',
  params: NAME_PARAM,
  replies: {
    200: {
      description: 'It is gone.',
      type: 'application/json',
      content: { shape: { name: 'BranchDeleted', schema: DELETED }, example: { deleted: 1 } },
    },
  },
  problems: [400, 404, 501, 503],
};

export function deleteBranch(service: BranchService): Handler {
  return async c => c.json({ deleted: await service.remove(c.req.param('name')!) });
}

/**
 * A version as HTTP and `--json` tell it.
 *
 * @param selected the name of the branch that is
 */
export function branchJson(version: BranchVersion, selected: string | null): BranchJson {
  const { name, hash, author, message, createdAtMicros, latenessMs, dialect, faults, files } = version;
  return {
    ...{ name, version: version.version, hash, author, message, created_at: formatMicros(createdAtMicros) },
    ...{ lateness_ms: latenessMs, dialect, faults, selected: name === selected },
    files: files.map(({ file, bytes, hash }) => ({ file, bytes, hash })),
  };
}
