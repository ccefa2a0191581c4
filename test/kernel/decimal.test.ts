/** Doubles in JSON are what JSON.parse makes of them: bit by bit, in every form, on and beside every kind of edge. */
import { expect, test } from 'bun:test';
import { powersText } from '../../scripts/powers.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { DOUBLE, STRING } from '../../src/plan/value.ts';
import { aggregate, column, feature, plan, read, required } from '../oracle/fixtures/spell.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';

const keys = [column('k', STRING)];
const set = { name: 's', description: '', owner: '', entity: 'k', event: 'n', keys, sql: '', at: null };
const max = aggregate('s:max', 'n', keys, 'max', column('x', DOUBLE), { entity: 'k' });
const numbers = plan({
  events: [
    {
      name: 'n',
      inputs: [required('k', STRING), required('x', DOUBLE)],
      columns: [],
      onFault: 'reject',
      weight: null,
      at: null,
    },
  ],
  entities: [{ name: 'k', keys: [STRING], at: null }],
  sets: [set],
  aggregates: [max],
  features: [feature(set, 'max', read(max.name, DOUBLE))],
});
const kernel = await loadKernel();
const layout = layPlan(kernel, numbers, countedIds(numbers), { clock: EVENT_CLOCK, aheadMaxMs: 0, shards: 1 });
const decoder = new Decoder(kernel, layout.types);

/** The register that the kernel reads each text into. */
function decoded(texts: string[]): number[] {
  const lines = texts.map(x => `{"type":"n","time":0,"data":{"k":"","x":${x}}}\n`);
  decoder.fill(new TextEncoder().encode(lines.join('')));
  const values: number[] = [];
  for (let position = 0; decoder.next(position, null); position += decoder.count) {
    const rows = kernel.exports.typeRows(0);
    values.push(...kernel.doubles(kernel.exports.frameValues(layout.types[0]!.frame, 1), rows));
  }
  return values;
}

function expectParsed(texts: string[]): void {
  const values = decoded(texts);
  expect(values.length).toBe(texts.length);
  for (const [i, text] of texts.entries())
    if (!Object.is(values[i], JSON.parse(text)))
      expect(`${text} is ${values[i]}`).toBe(`${text} is ${JSON.parse(text)}`);
}

test('written out', () => {
  expectParsed([
    ...['0', '-0', '0.0', '-0e5', '0e999999', '1', '-1', '0.1', '1e22', '1e23', '123456789012345678901234567890'],
    ...['1e400', '-1e400', '1e-400', '-1e-400', '1e999999999999', '1e-999999999999', `1${'0'.repeat(400)}e-400`],
    ...['5e-324', '2.47e-324', '2.4703282292062327e-324', '2.4703282292062328e-324', '4.9406564584124654e-324'],
    ...['2.2250738585072011e-308', '2.2250738585072014e-308', '1.7976931348623157e308', '1.7976931348623158e308'],
    ...['1.7976931348623159e308', '9007199254740992.5', '9007199254740993', '9007199254740995', '9223372036854775807'],
    ...['18446744073709551615', '18446744073709551616', '184467440737095516150', `0.${'0'.repeat(330)}1`],
  ]);
});

const word = new DataView(new ArrayBuffer(8));

function anyDouble(rng: Random): number {
  for (;;) {
    for (let at = 0; at < 8; at += 2) word.setUint16(at, rng.below(65536));
    const real = word.getFloat64(0);
    if (Number.isFinite(real)) return real;
  }
}

test('doubles of all sizes, in as many digits as they may have', () => {
  const rng = new Random(1);
  const texts: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    const real = anyDouble(rng);
    texts.push(String(real), real.toExponential(rng.below(20)), real.toPrecision(1 + rng.below(100)));
  }
  expectParsed(texts);
});

test('digits at random, with and without a point and an exponent', () => {
  const rng = new Random(2);
  const texts: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    const digits = Array.from({ length: 1 + rng.below(60) }, () => rng.below(10))
      .join('')
      .replace(/^0+(?=\d)/, '');
    const point = rng.below(digits.length);
    const text = point > 0 ? `${digits.slice(0, point)}.${digits.slice(point)}` : digits;
    texts.push(text, `${text}e${rng.below(700) - 350}`, `-${text}E+${rng.below(300)}`);
  }
  expectParsed(texts);
});

/** The exact decimal text of the point half way between a double and the next one. */
function midpointText(real: number): string {
  word.setFloat64(0, real);
  const bits = word.getBigUint64(0);
  const exponent = Number(bits >> 52n) & 0x7ff;
  const fraction = bits & (2n ** 52n - 1n);
  const odd = 2n * (exponent === 0 ? fraction : fraction + 2n ** 52n) + 1n;
  const power = (exponent || 1) - 1076;
  if (power >= 0) return `${odd << BigInt(power)}.0`;
  const digits = String(odd * 5n ** BigInt(-power)).padStart(-power + 1, '0');
  return `${digits.slice(0, power)}.${digits.slice(power)}`;
}

test('on, just above and just below the middle of two doubles', () => {
  const rng = new Random(3);
  const texts: string[] = [];
  for (let i = 0; i < 1500; i++) {
    const real = i % 3 === 0 ? rng.next() * 10 ** (rng.below(30) - 15) : Math.abs(anyDouble(rng));
    const middle = midpointText(real);
    texts.push(
      middle,
      `${middle}1`,
      `${middle.slice(0, -1)}4999999`,
      `${middle}${'0'.repeat(900)}1`,
      `${middle}${'0'.repeat(900)}`,
    );
  }
  expectParsed(texts);
});

test('the table of powers is what the script makes', async () => {
  expect(await Bun.file(new URL('../../assembly/powers.ts', import.meta.url)).text()).toBe(powersText());
});
