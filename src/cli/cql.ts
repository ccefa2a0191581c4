import { type Command, Option } from 'commander';
import { agreementStatements, keyspaceStatement, keptTables, SERVICE_LEVELS, tableStatement } from '../store/cql.ts';
import { openRemote, scyllaOf } from './cluster/cluster.ts';
import { loadConfig } from './config.ts';
import { planOf } from './plan_cache.ts';

interface Options {
  config: string;
  apply?: true;
  scylla?: true;
  json?: true;
}

/** `tilefold cql`: what rows need of Cassandra or ScyllaDB. */
export function addCql(program: Command) {
  program
    .command('cql')
    .description('print the tables that rows of the definitions need in Cassandra or ScyllaDB, or make them')
    .option('--apply', 'make those that are not there, and print what that took')
    .addOption(new Option('--scylla', 'with service levels, by which folding yields to lookups').conflicts('apply'))
    .option('--json', 'as a JSON array of statements')
    .action(async (_options, command: Command) => {
      const { config: path, apply, scylla, json } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      const settings = scyllaOf(config, path);
      const tables = keptTables((await planOf(config)).plan);
      const { keyspace } = settings;
      const { name } = keyspace;
      const ofLevels = tables.map(table => tableStatement(name, table));
      const needed = [keyspaceStatement(keyspace), ...agreementStatements(name), ...ofLevels];
      const made = async () => {
        await using remote = await openRemote(settings);
        // Not before it is done may the connection close.
        return await remote.makeTables(tables);
      };
      const statements = apply ? await made() : [...needed, ...(scylla ? SERVICE_LEVELS : [])];
      if (json) console.log(JSON.stringify(statements));
      else for (const statement of statements) console.log(`${statement};`);
    });
}
