import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameSplitter } from '../../../src/shared/zookeeper/frames.ts';

const frame = fc.uint8Array({ maxLength: 40 }).map((body) => {
  const header = Buffer.alloc(4);
  header.writeInt32BE(body.length);
  return Buffer.concat([header, body]);
});

it('cuts out the same frames however the stream is divided', () => {
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 0, max: 30 })), (frames, sizes) => {
      const stream = Buffer.concat(frames);
      const splitter = new FrameSplitter();
      const found: Buffer[] = [];
      let offset = 0;
      for (const size of [...sizes, stream.length]) {
        found.push(...splitter.push(stream.subarray(offset, offset + size)));
        offset += size;
      }
      expect(found).toEqual(frames);
    }),
  );
});

it('refuses lengths that cannot be', () => {
  expect(() => new FrameSplitter().push(Buffer.from([255, 255, 255, 255]))).toThrow('-1 bytes');
  expect(() => new FrameSplitter().push(Buffer.from('HTTP'))).toThrow('cannot be');
});

it('takes a frame in thousands of parts without copying it over and over', () => {
  // Copying all that has come so far with each part would take 16 times as long for 4 times the size.
  const small = secondsFor(4 * 1024 * 1024);
  const large = secondsFor(16 * 1024 * 1024);
  expect(large / small).toBeLessThan(10);
});

/** Shortest of five runs: what else the machine does only makes a run longer. */
function secondsFor(body: number): number {
  const part = Buffer.alloc(1024);
  const header = Buffer.alloc(4);
  header.writeInt32BE(body);
  const runs = Array.from({ length: 5 }, () => {
    const splitter = new FrameSplitter();
    splitter.push(header);
    const start = performance.now();
    let found: Buffer[] = [];
    for (let i = 0; i < body / part.length; i += 1) found = splitter.push(part);
    expect(found[0]).toHaveLength(body + 4);
    return performance.now() - start;
  });
  return Math.min(...runs);
}
