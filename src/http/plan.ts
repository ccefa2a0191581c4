import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { SourceFile } from '../compile/compile.ts';
import type { Start } from '../plan/transition.ts';
import { readBody } from './body.ts';
import { issueLine, parseJson } from './features.ts';
import type { Operation } from './operation.ts';

const BEGINNINGS = ['warm', 'since-now', 'when-warm', 'whole'] as const satisfies Start[];

const BODY = z.strictObject({
  definitions: z
    .array(z.strictObject({ file: z.string().describe('what faults call it'), text: z.string().describe('YAML') }))
    .min(1)
    .describe('all definition files: what is not among them is removed'),
  beginning: z
    .enum(BEGINNINGS)
    .default('warm')
    .describe(
      'what is new: `warm` refuses what would never be whole, `since-now` lets it count from now on, `when-warm` lets it count beside what is in force until its windows are whole, `whole` computes it from the log before the definitions come into force',
    ),
});

const NAMES = z.array(z.string());

const APPLIED = z.object({
  position: z
    .int()
    .min(0)
    .nullable()
    .describe(
      'of the first event that the definitions apply to; null while what is new is computed from the log first, or waits',
    ),
  added: NAMES.describe('stored aggregates that are new'),
  redefined: NAMES.describe('those that are new under a name that was there'),
  removed: NAMES,
  renamed: z.array(z.object({ from: z.string(), to: z.string() })).describe('those that go on under another name'),
  extended: NAMES.describe('those that go on, with tiles that were not kept before'),
  kept: z.int().min(0).describe('how many go on with their rows'),
  until: z
    .string()
    .nullable()
    .describe('with `when-warm`, when what is new is whole and takes over, RFC 3339; null where nothing waits'),
  waited_ms: z.number().min(0).describe('how long events that came meanwhile waited for their acknowledgement'),
});

export type AppliedJson = z.infer<typeof APPLIED>;

export const POST_PLAN: Operation = {
  id: 'applyPlan',
  summary: 'Bring other definitions into force',
  description:
    'Compiles the definitions, and lets them take over at the end of the log as it is then, without a stop: stored aggregates that mean the same keep their rows, others begin. Lookups are answered by the old definitions until then, and events are accepted all the time. What would mix two meanings under a name, or would never be whole, is refused with 409.',
  body: {
    'application/json': {
      shape: { name: 'PlanChange', schema: BODY },
      example: {
        definitions: [{ file: 'features/views.yaml', text: 'events:\n  view: { user: string }\n...' }],
        beginning: 'warm',
      },
    },
  },
  replies: {
    200: {
      description: 'They are in force.',
      type: 'application/json',
      content: {
        shape: { name: 'PlanApplied', schema: APPLIED },
        example: {
          position: 112987,
          added: ['origin_delays:late'],
          redefined: [],
          removed: [],
          renamed: [],
          extended: [],
          kept: 18,
          until: null,
          waited_ms: 85.2,
        },
      },
    },
  },
  problems: [400, 409, 413, 415, 422, 501, 503],
};

/**
 * Compiles files, and brings what they say into force.
 *
 * @throws Faults all that is wrong with any file, or all that is refused
 */
export type ApplyFiles = (files: SourceFile[], start: Start) => Promise<AppliedJson>;

const PLAN_STATE = z.object({
  position: z.int().min(0).describe('of the first event that the definitions in force apply to'),
  applied_at: z.string().describe('when they came into force, by this machine, RFC 3339'),
  computing: z
    .object({
      doing: z
        .enum(['folding', 'merging'])
        .describe('what it does just now: it folds, and brings its rows among the others'),
      folded: z.int().min(0).describe('events of the log that have been folded'),
      end: z.int().min(0).describe('of so many'),
      rate: z.int().min(0).describe('events folded in a second, with all rests'),
      merged: z.int().min(0).describe('rows that have been brought among the others since the server has started'),
    })
    .nullable()
    .describe('how far what is new has been computed from the log, before it comes into force'),
  waiting: z
    .object({ until: z.string().describe('when they are whole, RFC 3339') })
    .nullable()
    .describe('definitions that wait for their windows beside those in force'),
  taken_up: z
    .object({
      partitions: z.int().min(0).describe('partitions of events that go by them'),
      of: z.int().min(1).describe('of so many'),
    })
    .optional()
    .describe('of a cluster alone, while definitions are to come into force: all partitions take them up first'),
});

export type PlanState = z.infer<typeof PLAN_STATE>;

export const GET_PLAN: Operation = {
  id: 'planInForce',
  summary: 'What is in force, and what is to come',
  description:
    'Since when definitions are in force, how far others have come that are computed from the log first, and for when others wait.',
  replies: {
    200: {
      description: 'As it is now.',
      type: 'application/json',
      content: {
        shape: { name: 'PlanState', schema: PLAN_STATE },
        example: {
          position: 0,
          applied_at: '2026-03-02T17:00:00Z',
          computing: { doing: 'folding', folded: 70000, end: 112987, rate: 41000, merged: 0 },
          waiting: null,
        },
      },
    },
  },
  problems: [501, 503],
};

export function showPlan(state: () => PlanState | Promise<PlanState>): Handler {
  return async c => c.json(await state());
}

const ABORTED = z.object({
  aborted: z.boolean().describe('false where nothing was to come: then nothing has changed'),
  position: z.int().min(0).describe('of the first event that the definitions in force apply to'),
});

export type AbortedJson = z.infer<typeof ABORTED>;

export const POST_ABORT: Operation = {
  id: 'abortPlan',
  summary: 'Give up definitions that are to come into force',
  description:
    'Ends what is computed from the log or waits for its windows. Definitions in force stay, and no row holds anything of the others when this is answered. Sent again it changes nothing.',
  replies: {
    200: {
      description: 'They are given up.',
      type: 'application/json',
      content: { shape: { name: 'PlanAborted', schema: ABORTED }, example: { aborted: true, position: 0 } },
    },
  },
  problems: [501, 503],
};

export function postAbort(abort: () => Promise<AbortedJson>): Handler {
  return async c => c.json(await abort());
}

export function postPlan(applyFiles: ApplyFiles): Handler {
  return async c => {
    const { definitions, beginning } = parsePlan(await readBody(c.req.raw, 'plan_body_bytes'));
    return c.json(await applyFiles(definitions, beginning));
  };
}

/** @throws Fault `request`, which names the member that is not as it should be */
function parsePlan(body: Uint8Array): z.output<typeof BODY> {
  const parsed = BODY.safeParse(parseJson(body));
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  return parsed.data;
}
