import { expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import { graphOf } from '../../src/plan/graph.ts';

const TOPOLOGY = `event login
email := $.email as string
ok := $.ok as bool
a := Int(email)
b := IfError(a, 0) + 1
fails := Count(by email where not ok)
event payment
email := $.email as string
n := Count<login>(by email where not ok)
m := n + 1
odd := Count(by email where m > 3)
entity email: string
`;

const SET = `events:
  flight: { origin: string, delay: int64 }
entities:
  origin: string
---
feature_set: s
entity: origin
source: flight
windows: [1h]
sql: SELECT origin, SUM(delay) AS d FROM flight GROUP BY origin
derive: { twice: d_1h * 2 }
`;

/** Of each feature what it reads (aggregates in brackets), what it writes and what it recomputes. */
async function shown(file: string, text: string): Promise<Record<string, string>> {
  const { plan, faults } = await compileSources([{ file, text }], { latenessMs: 0 });
  expect(faults).toEqual([]);
  const { features } = graphOf(plan);
  return Object.fromEntries(
    features.map(({ name, reads, readsAggregates, writes, recomputes }) => [
      name,
      [[...reads, ...readsAggregates.map(read => `[${read}]`)], writes, recomputes]
        .map(list => list.join(' '))
        .join(' | '),
    ]),
  );
}

test('of a topology: through aggregates to other events, through errors, and to lookups', async () => {
  const all =
    'login.fails payment.n payment.m payment.odd login_by_email:fails payment_of_login_by_email:n payment_by_email:odd';
  expect(await shown('a.scowl', TOPOLOGY)).toEqual({
    'login.email': ` | login.fails | login.a login.b ${all}`,
    'login.ok': ` | login.fails | ${all}`,
    'login.a': 'login.email |  | login.b',
    'login.b': 'login.a |  | ',
    'login.fails': 'login.email [login.fails] |  | ',
    'payment.email': ' | payment.odd | payment.n payment.m payment.odd payment_by_email:odd',
    'payment.n': 'payment.email [login.fails] |  | payment.m payment.odd payment_by_email:odd',
    'payment.m': 'payment.n | payment.odd | payment.odd payment_by_email:odd',
    'payment.odd': 'payment.email [payment.odd] |  | ',
    'login_by_email:fails': '[login.fails] |  | ',
    'payment_of_login_by_email:n': '[login.fails] |  | ',
    'payment_by_email:odd': '[payment.odd] |  | ',
  });
});

test('of a feature set', async () => {
  expect(await shown('a.yaml', SET)).toEqual({
    'flight.origin': ' | s:d | s:d_1h s:twice',
    'flight.delay': ' | s:d | s:d_1h s:twice',
    's:d_1h': '[s:d] |  | s:twice',
    's:twice': 's:d_1h |  | ',
  });
});
