import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FeaturesCombinedSchema, FeatureValueSchema } from '../gen/tilefold/v1/row_pb.ts';

/**
 * A stored row as any protobuf library reads it, for whoever has to say what is wrong with it: aggregate's number ->
 * the bytes of its state, as hex. Says in words what it is where it is no row in canonical form.
 */
export function decodeRow(value: Uint8Array): Map<number, string> | string {
  try {
    const { features } = fromBinary(FeaturesCombinedSchema, value);
    const entries = Object.entries(features).map(
      ([id, state]) => [Number(id), toBinary(FeatureValueSchema, state)] as const,
    );
    const whole = toBinary(FeaturesCombinedSchema, fromBinary(FeaturesCombinedSchema, value));
    if (Buffer.compare(whole, value) !== 0) return 'is not in canonical form';
    return new Map(entries.map(([id, bytes]) => [id, Buffer.from(bytes).toString('hex')]));
  } catch (error) {
    return `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`;
  }
}
