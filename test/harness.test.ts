import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from './harness/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.create({ hosts: 3, zookeeper: 3 });
}, 60_000);
afterAll(() => lab?.destroy(), 30_000);

it('boots hosts that are themselves', async () => {
  expect((await lab.host('w2').sh('hostname')).stdout).toBe('w2\n');
});
