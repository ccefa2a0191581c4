import { type Handler, Hono } from 'hono';
import { compress } from 'hono/compress';
import { requestId } from 'hono/request-id';
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Stages } from '../base/stages.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { Meta } from '../meta/meta.ts';
import type { Plan } from '../plan/plan.ts';
import type { LookUp } from '../read/read.ts';
import {
  type BranchService,
  DELETE_BRANCH,
  deleteBranch,
  GET_BRANCH,
  GET_BRANCHES,
  listBranches,
  PUT_BRANCH,
  putBranch,
  showBranch,
} from './branches.ts';
import { docsPage } from './docs.ts';
import { GET_ERRORS, type ListErrors, showErrors } from './errors.ts';
import { type FeedService, GET_EVENTS, listEvents } from './feed.ts';
import { POST_EXPLAIN, postExplain } from './explain.ts';
import { POST_EVENTS, postEvents, type TakeEvents } from './events.ts';
import { GET_FEATURE_SET, GET_FEATURE_SETS, listFeatureSets, type Now, showFeatureSet } from './feature_sets.ts';
import { POST_FEATURES, postFeatures } from './features.ts';
import { GET_HEALTH, GET_METRICS, GET_READY, showHealth, showMetrics, showReady } from './health.ts';
import { GET_LATE, showLate } from './late.ts';
import { documentOf } from './openapi.ts';
import type { Operation, Place } from './operation.ts';
import { type Origins, shareWith } from './origins.ts';
import {
  type AbortedJson,
  type ApplyFiles,
  GET_PLAN,
  type PlanState,
  POST_ABORT,
  POST_PLAN,
  postAbort,
  postPlan,
  showPlan,
} from './plan.ts';
import { isBroken, methodNotAllowed, problem, problemOf } from './problem.ts';
import { followReplay, GET_PROGRESS } from './progress.ts';
import type { ReplayService } from './replay_service.ts';
import {
  DELETE_REPLAY,
  deleteReplay,
  GET_REPLAY,
  GET_REPLAYS,
  listReplays,
  POST_CANCEL,
  POST_REPLAYS,
  POST_RESUME,
  postCancel,
  postReplays,
  postResume,
  showReplay,
} from './replays.ts';
import { GET_REPLAY_ERRORS, GET_REPLAY_EVENTS, showResults } from './results.ts';
import {
  DELETE_TIMELINE,
  deleteTimeline,
  GET_TIMELINE,
  GET_TIMELINES,
  listTimelines,
  POST_TIMELINES,
  postTimelines,
  PUT_TIMELINE,
  putTimeline,
  showTimeline,
  type TimelineService,
} from './timelines.ts';
import { watch } from './watch.ts';
import { GET_WELCOME, showWelcome } from './welcome.ts';

/** What the resources need; each is handed only its own part. */
export interface Services {
  /** What works on the data; null while it is being opened: who asks meanwhile is told to wait. */
  parts: Served | null;
  /** Why no requests should be sent here, or null. */
  unready: () => string | null;
  /** Of pages that may ask, beside those of this server's own. */
  origins: Origins;
  log: Log;
  metrics: Pick<Metrics, 'request' | 'posted' | 'lookup' | 'text' | 'contentType'>;
  /** Called with a broken assertion, after the reply is made. Whoever serves has to end the process. */
  broken: (error: unknown) => void;
}

export interface Served {
  ingest: Pick<Ingest, 'enrich' | 'barrier'> & { post: TakeEvents };
  reader: LookUp;
  /** That is in force now. */
  readonly plan: Plan;
  applyFiles: ApplyFiles;
  abort: () => Promise<AbortedJson>;
  meta: Pick<Meta, 'late'> & { errors: ListErrors };
  planState: () => PlanState | Promise<PlanState>;
  timelines: TimelineService;
  branches: BranchService;
  replays: ReplayService;
  feed: FeedService;
  moment: () => Now;
  stages: Pick<Stages, 'time'>;
}

/** Whose replies may be large; the others go out as they are, for packing them would only take time. */
const PACKED = [
  '/v1/features',
  '/v1/feature-sets',
  '/v1/explain',
  '/v1/errors',
  '/v1/late',
  '/v1/timelines',
  '/v1/branches',
  '/v1/branches/*',
  '/v1/replays',
  '/metrics',
  '/openapi.json',
  '/docs',
];

/** Smaller ones go out in one packet anyway. */
const COMPRESS_MIN_BYTES = 4096;

/** The whole HTTP surface as a function of requests; it opens nothing and listens nowhere. */
export function app(services: Services): Hono {
  const { parts, unready, log, metrics, origins } = services;
  const wait = () => {
    throw new Fault('busy', `${unready()}; ask again in a moment`);
  };
  const resources: Resource[] = [
    get('/', GET_WELCOME, showWelcome(places)),
    get('/v1/events', GET_EVENTS, parts ? listEvents(parts.feed) : wait),
    post('/v1/events', POST_EVENTS, parts ? postEvents(parts.ingest, metrics, () => parts.plan, parts.stages) : wait),
    post(
      '/v1/features',
      POST_FEATURES,
      parts ? postFeatures(parts.reader, () => parts.plan, metrics, parts.stages) : wait,
    ),
    post('/v1/explain', POST_EXPLAIN, parts ? postExplain(parts.reader) : wait),
    get('/v1/feature-sets', GET_FEATURE_SETS, parts ? listFeatureSets(() => parts.plan, parts.moment) : wait),
    get('/v1/feature-sets/{name}', GET_FEATURE_SET, parts ? showFeatureSet(() => parts.plan, parts.moment) : wait),
    get('/v1/errors', GET_ERRORS, parts ? showErrors(parts.ingest, parts.meta) : wait),
    get('/v1/plan', GET_PLAN, parts ? showPlan(parts.planState) : wait),
    post('/v1/plan', POST_PLAN, parts ? postPlan(parts.applyFiles) : wait),
    post('/v1/plan/abort', POST_ABORT, parts ? postAbort(parts.abort) : wait),
    get('/v1/late', GET_LATE, parts ? showLate(parts.ingest, parts.meta) : wait),
    get('/v1/timelines', GET_TIMELINES, parts ? listTimelines(parts.timelines) : wait),
    post('/v1/timelines', POST_TIMELINES, parts ? postTimelines(parts.timelines) : wait),
    get('/v1/timelines/{name}', GET_TIMELINE, parts ? showTimeline(parts.timelines) : wait),
    {
      ...{ path: '/v1/timelines/{name}', method: 'put', operation: PUT_TIMELINE },
      handler: parts ? putTimeline(parts.timelines) : wait,
    },
    {
      ...{ path: '/v1/timelines/{name}', method: 'delete', operation: DELETE_TIMELINE },
      handler: parts ? deleteTimeline(parts.timelines) : wait,
    },
    get('/v1/branches', GET_BRANCHES, parts ? listBranches(parts.branches) : wait),
    get('/v1/branches/{name}', GET_BRANCH, parts ? showBranch(parts.branches) : wait),
    {
      ...{ path: '/v1/branches/{name}', method: 'put', operation: PUT_BRANCH },
      handler: parts ? putBranch(parts.branches) : wait,
    },
    {
      ...{ path: '/v1/branches/{name}', method: 'delete', operation: DELETE_BRANCH },
      handler: parts ? deleteBranch(parts.branches) : wait,
    },
    get('/v1/replays', GET_REPLAYS, parts ? listReplays(parts.replays) : wait),
    post('/v1/replays', POST_REPLAYS, parts ? postReplays(parts.replays) : wait),
    get('/v1/replays/{id}', GET_REPLAY, parts ? showReplay(parts.replays) : wait),
    {
      ...{ path: '/v1/replays/{id}', method: 'delete', operation: DELETE_REPLAY },
      handler: parts ? deleteReplay(parts.replays) : wait,
    },
    get(
      '/v1/replays/{id}/progress',
      GET_PROGRESS,
      parts ? followReplay(parts.replays, () => unready() !== null) : wait,
    ),
    post('/v1/replays/{id}/cancel', POST_CANCEL, parts ? postCancel(parts.replays) : wait),
    post('/v1/replays/{id}/resume', POST_RESUME, parts ? postResume(parts.replays) : wait),
    get('/v1/replays/{id}/events/{type}', GET_REPLAY_EVENTS, parts ? showResults(parts.replays, 'events') : wait),
    get('/v1/replays/{id}/errors/{type}', GET_REPLAY_ERRORS, parts ? showResults(parts.replays, 'errors') : wait),
    get('/healthz', GET_HEALTH, showHealth),
    get('/readyz', GET_READY, showReady(unready)),
    get('/metrics', GET_METRICS, showMetrics(metrics)),
    get('/openapi.json', GET_OPENAPI, c => c.json(document())),
    get('/docs', GET_DOCS, c => c.html(docsPage(document()))),
  ];
  function places(): Place[] {
    return resources;
  }
  // Made on first use: nobody who only asks for features waits for it.
  let made: ReturnType<typeof documentOf> | null = null;
  const document = () => (made ??= documentOf(resources));
  const app = new Hono();
  app.use(requestId(), watch(log, metrics));
  if (origins.length > 0)
    app.use(
      shareWith(
        origins,
        resources.map(({ operation }) => operation),
      ),
    );
  for (const path of PACKED) app.use(path, compress({ threshold: COMPRESS_MIN_BYTES }));
  for (const of of Map.groupBy(resources, ({ path }) => path).values()) mount(app, of);
  // Thrown, it would pass by the line of the log.
  app.notFound(c => problem('not_found', `there is no ${c.req.path} here; GET / says what there is`));
  app.onError(error => {
    const response = problemOf(error, log);
    if (isBroken(error)) services.broken(error);
    return response;
  });
  return app;
}

const GET_OPENAPI: Operation = {
  id: 'openapi',
  summary: 'This API, as OpenAPI 3.1',
  description: 'For generators of clients and for whoever checks requests before sending them.',
  replies: { 200: { description: 'The document.', type: 'application/json', content: { shape: null } } },
};

const GET_DOCS: Operation = {
  id: 'docs',
  summary: 'This API, for people',
  description: 'A page that needs nothing but itself.',
  replies: { 200: { description: 'The page.', type: 'text/html', content: { shape: null } } },
};

interface Resource extends Place {
  handler: Handler;
}

function get(path: string, operation: Operation, handler: Handler): Resource {
  return { path, method: 'get', operation, handler };
}

function post(path: string, operation: Operation, handler: Handler): Resource {
  return { path, method: 'post', operation, handler };
}

/** HEAD comes with GET. Any other method is told which ones there are. */
function mount(app: Hono, ofPath: Resource[]) {
  const [{ path }] = ofPath as [Resource];
  const pattern = path.replace(/\{(\w+)\}/g, ':$1');
  for (const { method, handler } of ofPath)
    app.on(method.toUpperCase(), pattern, (c, next) => {
      c.set('route', path);
      return handler(c, next);
    });
  const allowed = ofPath.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
  app.all(pattern, c => methodNotAllowed(c.req.method, path, allowed));
}
