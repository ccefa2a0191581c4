import { Argument, type Command } from 'commander';
import { formatDuration } from '../base/time.ts';
import { definitionsSchema, schemaOf } from '../compile/schema.ts';
import { CONFIG } from './config.ts';

/** What an editor shows of the keys of `tilefold.yaml`. */
const NOTES = {
  log: 'The event log: every event that was accepted, in order.',
  'log.dir': 'The folder of its segments.',
  'log.clock': 'How its time passes: with the wall, or with the times of its events, as recorded ones need.',
  'log.max_jump': 'With clock event, an event further ahead of its type than this is bad.',
  'log.segment': 'When a segment is closed and the next one begun.',
  'log.segment.bytes': 'At this size.',
  'log.keep': 'Which closed segments stay in the folder; the others leave it once rows contain their events.',
  'log.keep.age': 'Those whose last event arrived within it.',
  'log.keep.bytes': 'The latest, as long as all take no more than this.',
  'log.s3':
    'A bucket that closed segments are uploaded to. Credentials are those of the environment: AWS_ACCESS_KEY_ID and others.',
  'log.s3.endpoint': "Of a service that is not Amazon's.",
  'log.s3.prefix': 'Each log needs one of its own.',
  store: 'Where rows, names and errors rest.',
  'store.sqlite': 'The database.',
  timelines: 'Where timelines rest: named streams of events, for replays to read.',
  branches: 'Where branches rest: named versions of definitions.',
  'branches.sqlite': 'Their database.',
  feed: 'Which of the latest events can be looked at without a timeline of them.',
  'feed.events': 'At most so many.',
  'feed.age': 'Those that have arrived within it.',
  replays: 'Replays in jobs, and the cache of their columns.',
  definitions: 'The folder of definitions: *.yaml, in folders below it too.',
  serve: 'Where tilefold serve listens, and to whom.',
  'serve.port': '0 takes a free one.',
  'serve.host': 'An address of this machine; 0.0.0.0 lets other machines in.',
  'serve.origins': 'Of pages that may ask from a browser, beside those that it serves itself; * for any.',
  fold: 'How events are folded into rows.',
  'fold.workers':
    'Threads that fold events and answer lookups, each for keys of its own: as many as the machine has cores, or none where it has two or one; or a number.',
  'fold.memory': 'Rows in memory beyond this are let go of, and read back when they are needed.',
  'fold.barrier': 'How often changed rows are written to the store.',
  lateness:
    'How long past its windows a tile is kept for late events, and how late an event may be and still read them.',
  kafka: 'Where events of a cluster come from: Kafka or Redpanda.',
  'kafka.brokers': 'Some of its brokers.',
  'kafka.events': 'The topic of events; it has to be there.',
  'kafka.group': 'What names of groups and of transactions begin with: processes of one group share the work.',
  'kafka.protobuf':
    'Messages of the topic of events are those of protobuf, one event each; without it they are lines of JSON.',
  'kafka.protobuf.descriptors':
    'A FileDescriptorSet that has the message, and all that it imports; left out, messages are tilefold.v1.Event.',
  'kafka.protobuf.message': 'Its full name, like shop.v1.View.',
  'kafka.protobuf.type': 'What type all its events are of.',
  'kafka.protobuf.type_field':
    'The field that says the type: a string, an enum, or a oneof of messages, of which each is the data of its type.',
  'kafka.protobuf.time': 'The field that says when it was: a Timestamp, an integer of epoch milliseconds, or RFC 3339.',
  'kafka.protobuf.id': 'The field that has its id.',
  'kafka.protobuf.data': 'The field that has its data; left out, the message itself is that.',
  'kafka.changelog': 'The topic that changes of rows go through, made where there is none.',
  'kafka.changelog.topic': 'Its name, which a number follows: 1, and one more whenever it is repartitioned.',
  'kafka.changelog.partitions': 'As many processes can fold at most; 8 where it is left out.',
  'kafka.changelog.replicas': 'How many brokers have each message; 3 where it is left out.',
  'kafka.changelog.retention': 'How long processes may be away before rows have to be made anew.',
  'kafka.backfill': 'What definitions begin with that is made of earlier events.',
  'kafka.backfill.ahead':
    'Changes that a process has made of earlier events and that are not in rows yet; 4MiB where it is left out.',
  scylla:
    'Where the rows of a cluster rest: Cassandra or ScyllaDB. Who logs in is said by the environment: TILEFOLD_SCYLLA_USER and TILEFOLD_SCYLLA_PASSWORD, for serving TILEFOLD_SCYLLA_SERVE_USER and TILEFOLD_SCYLLA_SERVE_PASSWORD where they are there.',
  'scylla.hosts': 'Some of its nodes.',
  'scylla.keyspace': 'Where its tables are, made by `tilefold cql --apply`.',
  'scylla.datacenter': 'The one that is near: a majority of its replicas has to answer.',
  'scylla.replicas': 'How many nodes have each row, in a keyspace that is made.',
  'scylla.serve': 'How lookups read them.',
  'scylla.serve.consistency': 'How many replicas have to answer.',
  'scylla.serve.concurrency': 'Reads of a process that are under way at the same time; 256 where it is left out.',
  'scylla.serve.speculative': 'A replica that has not answered by then is not waited for alone.',
  'scylla.serve.timeout': 'A replica that has not answered by then is given up; where all are, a lookup gets 503.',
};

export const SCHEMAS = { definitions: definitionsSchema, config: configSchema };

type Json = Record<string, unknown>;

/** The JSON Schema of `tilefold.yaml`: nothing of it has to be there. */
function configSchema(): Json {
  const schema = schemaOf(CONFIG, 'tilefold.yaml', NOTES);
  relax(schema, CONFIG.parse({}));
  return schema;
}

/** Says what holds where a key is left out, or a section is empty. */
function relax(schema: Json, defaults: Json): void {
  delete schema.required;
  schema.type = ['object', 'null'];
  for (const [name, property] of Object.entries(schema.properties as Record<string, Json>)) {
    // A section that need not be there has keys that have to.
    if (property.properties && defaults[name]) relax(property, defaults[name] as Json);
    else if (!property.properties) property.default = written(property, defaults[name]);
  }
}

/** Durations and sizes are written as texts, and kept as numbers. */
function written({ type }: Json, value: unknown): unknown {
  if (typeof value !== 'number' || type === 'integer') return value;
  return type === 'string' ? formatDuration(value) : `${value / 1024 ** 2}MiB`;
}

/** `tilefold schema`: JSON Schema, for editors to complete and check YAML with. */
export function addSchema(program: Command) {
  program
    .command('schema')
    .description('print the JSON Schema of definitions or of tilefold.yaml, for editors')
    .addArgument(new Argument('<what>', 'what the schema is of').choices(Object.keys(SCHEMAS)))
    .action((what: keyof typeof SCHEMAS) => console.log(schemaText(what)));
}

export function schemaText(what: keyof typeof SCHEMAS): string {
  return JSON.stringify(SCHEMAS[what](), null, 2);
}
