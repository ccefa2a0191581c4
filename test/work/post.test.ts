import { describe, expect, test } from 'bun:test';
import { Stages } from '../../src/base/stages.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { type EventCoding, Unsayable } from '../../src/source/partition.ts';
import { Post } from '../../src/work/post.ts';

const PARTITIONS = 3;

async function postOf(coding: EventCoding | null = null) {
  const sent: { partition: number; messages: string[] }[] = [];
  const sender = {
    partitionCount: PARTITIONS,
    async send(partition: number, messages: Uint8Array[]) {
      sent.push({ partition, messages: messages.map(message => new TextDecoder().decode(message)) });
    },
    async close() {},
  };
  return { sent, post: new Post({ door: await loadKernel(), sender, coding, stages: new Stages() }, 1) };
}

const line = (n: number, pad = '') => JSON.stringify({ type: 'seen', time: n, data: { pad } });
const body = (text: string) => new TextEncoder().encode(text);

describe('a body of events', () => {
  test('is judged, and goes whole and in order to one partition, others to the next', async () => {
    const { post, sent } = await postOf();
    const mixed = body(`${line(1)}\nno event\n${line(2)}\n`);
    const receipt = await post.post(mixed, 'ndjson', null, null);
    expect(receipt).toMatchObject({ accepted: 2, rejected: [{ line: 2, code: 'not_json' }], position: null });
    await post.post(body(`[${line(3)},${line(4)}]`), 'json', null, null);
    await post.post(body(line(5)), 'ndjson', null, null);
    expect(sent).toEqual([
      { partition: 1, messages: [`${line(1)}\n${line(2)}`] },
      { partition: 2, messages: [`${line(3)}\n${line(4)}`] },
      { partition: 0, messages: [line(5)] },
    ]);
    const large = Array.from({ length: 100 }, (_, i) => line(i, 'x'.repeat(5_000)));
    await post.post(body(large.join('\n')), 'ndjson', null, null);
    expect(sent[3]!.messages.length).toBeGreaterThan(5);
    expect(sent[3]!.messages.join('\n')).toBe(large.join('\n'));
  });

  test('is one message an event where these are no lines, and what they cannot say is rejected where it stands', async () => {
    const coding: EventCoding = {
      lineOf: message => message,
      messageOf(of) {
        if (of.includes(0x78)) throw new Unsayable('data.pad: has an x');
        return of.subarray(0, 9);
      },
    };
    const { post, sent } = await postOf(coding);
    const mixed = body(`\n${line(1)}\nno event\n  \r\n null\r\n${line(2, 'x')}\n${line(3)}`);
    expect(await post.post(mixed, 'ndjson', null, null)).toMatchObject({
      accepted: 2,
      rejected: [
        { line: 3, code: 'not_json' },
        { line: 6, code: 'not_protobuf', reason: 'data.pad: has an x' },
      ],
    });
    const array = body(`[${line(1)}, 7, null, ${line(2, 'x')}, ["x"]]`);
    expect((await post.post(array, 'json', null, null)).rejected.map(({ line }) => line)).toEqual([2, 4, 5]);
    expect((await post.post(body(line(1, 'x')), 'json', null, null)).rejected.map(({ line }) => line)).toEqual([1]);
    expect(sent).toEqual([
      { partition: 1, messages: ['{"type":"', '{"type":"'] },
      { partition: 2, messages: ['{"type":"'] },
    ]);
  });

  test('whose order is of something goes where all of that goes', async () => {
    const { post, sent } = await postOf();
    for (let n = 0; n < 60; n++) await post.post(body(line(n)), 'ndjson', null, `user-${n % 20}`);
    const partitions = sent.map(({ partition }) => partition);
    expect(partitions.slice(20)).toEqual(partitions.slice(0, 40));
    expect(new Set(partitions).size).toBe(PARTITIONS);
  });

  test('of nothing, or of nothing that is an event, sends nothing', async () => {
    const { post, sent } = await postOf();
    expect(await post.post(body(''), 'ndjson', null, null)).toMatchObject({ accepted: 0, rejected: [] });
    expect(await post.post(body('x'), 'ndjson', null, null)).toMatchObject({ accepted: 0, rejected: [{ line: 1 }] });
    await expect(post.post(body('{'), 'json', null, null)).rejects.toThrow('the body is no JSON');
    expect(sent).toEqual([]);
  });

  test('that is to count once under a key is refused: nobody would know', async () => {
    const { post, sent } = await postOf();
    await expect(post.post(body(line(1)), 'ndjson', 'k', null)).rejects.toThrow(
      'in a cluster nothing counts once by it',
    );
    expect(sent).toEqual([]);
  });
});
