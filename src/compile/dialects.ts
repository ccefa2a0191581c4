import type { Dialect } from './dialect.ts';
import { BIGQUERY } from './dialects/bigquery.ts';
import { CLICKHOUSE } from './dialects/clickhouse.ts';
import { FLINK } from './dialects/flink.ts';
import { MYSQL } from './dialects/mysql.ts';
import { POSTGRES } from './dialects/postgres.ts';
import { REDSHIFT } from './dialects/redshift.ts';
import { SNOWFLAKE } from './dialects/snowflake.ts';
import { SPARK } from './dialects/spark.ts';
import { SQLITE } from './dialects/sqlite.ts';
import { TRINO } from './dialects/trino.ts';
import { TSQL } from './dialects/tsql.ts';

/** By what `dialect:` says. */
export const DIALECTS: Record<string, Dialect> = {
  postgres: POSTGRES,
  bigquery: BIGQUERY,
  mysql: MYSQL,
  snowflake: SNOWFLAKE,
  flink: FLINK,
  spark: SPARK,
  databricks: { ...SPARK, parser: 'databricks', rules: { ...SPARK.rules, name: 'Databricks' } },
  trino: TRINO,
  presto: { ...TRINO, parser: 'presto', rules: { ...TRINO.rules, name: 'Presto' } },
  sqlite: SQLITE,
  athena: { ...TRINO, parser: 'athena', rules: { ...TRINO.rules, name: 'Athena' } },
  clickhouse: CLICKHOUSE,
  redshift: REDSHIFT,
  tsql: TSQL,
};

export const DIALECT_NAMES = ['duckdb', ...Object.keys(DIALECTS)];
