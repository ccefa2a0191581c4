/** The fold takes changes, whoever wrote them: here Python with Google's protobuf. */
import { expect, test } from 'bun:test';
import { fromBinary } from '@bufbuild/protobuf';
import { buildDescriptors, pythonOrSkip, runPython } from '../../scripts/python.ts';
import { type FeatureValue, FeaturesCombinedSchema, type Int128 } from '../../src/gen/tilefold/v1/row_pb.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';

type Rows = Record<string, Record<string, unknown>>;

const COUNT = 500;

/** A 128-bit sum as one integer. */
function wide({ narrow, low, high }: Int128): bigint {
  return narrow ?? (high! << 64n) + low!;
}

function plain({ state }: FeatureValue): unknown {
  switch (state.case) {
    case 'count':
      return state.value;
    case 'sum':
      return wide(state.value);
    case 'mean':
      return [wide(state.value.sum!), state.value.count];
    case 'min':
    case 'max':
      return state.value.value.value;
    default:
      throw new Error(`nobody wrote a ${state.case}`);
  }
}

/** JSON whose integers are of any length. */
function exactJson(text: string): Rows {
  const exact = (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? BigInt(context!.source!) : value;
  return JSON.parse(text, exact) as Rows;
}

test.each([1, 2, 3])('changes by Google’s protobuf, seed %p, make the rows that Python sums up', async seed => {
  const python = pythonOrSkip('changes that others write');
  if (python === null) return;
  const out = runPython(python, ['scripts/python/write_changes.py', buildDescriptors(), `${seed}`, `${COUNT}`]);
  const end = 4 + new DataView(out.buffer, out.byteOffset).getUint32(0, true);
  const fold = new Fold(await loadKernel(), null);
  fold.apply(out.subarray(4, end));
  const rows = fold.dirtyRows().map(({ entity, key, levelMs, tileStartMs, value }) => {
    const { features } = fromBinary(FeaturesCombinedSchema, value);
    const states = Object.entries(features).map(([id, state]) => [id, plain(state)]);
    return [`${entity}/${Buffer.from(key).toString()}/${levelMs}/${tileStartMs}`, Object.fromEntries(states)];
  });
  const wanted = exactJson(Buffer.from(out.subarray(end)).toString());
  expect(Object.keys(wanted).length).toBeGreaterThan(20);
  expect(Object.fromEntries(rows)).toEqual(wanted);
});
