import { expect, it } from 'vitest';
import { loadLines } from '../../src/cli/status.ts';
import { readAllLoads, readLoads } from '../../src/discovery/client-loads.ts';
import { clientsPath } from '../../src/shared/znodes.ts';
import { LABEL, PickWorld } from './pick-world.ts';

it('the load of a label is that of every server which is registered, or has clients left', async () => {
  const w = new PickWorld();
  expect(await w.clock.finish('no label', readAllLoads(w.operator))).toEqual({});
  await w.register('w2', 'w1');
  expect(await w.clock.finish('no client', readAllLoads(w.operator))).toEqual({});
  const parent = clientsPath(LABEL);
  await w.clock.finish('the parent', w.operator.ensure(parent));
  const turn = 'turn-00000000-0000-4000-8000-000000000001-0000000007';
  for (const name of ['c1=w2', 'c2=w2', 'c3=gone', turn])
    await w.clock.finish(name, w.operator.create(`${parent}/${name}`, Buffer.from('{}'), 'persistent'));
  const loads = await w.clock.finish('the loads', readLoads(w.operator, LABEL));
  expect([...loads]).toEqual([
    ['gone', 1],
    ['w1', 0],
    ['w2', 2],
  ]);
  const all = await w.clock.finish('all', readAllLoads(w.operator));
  expect(all).toEqual({ mqtt: { gone: 1, w1: 0, w2: 2 } });
  expect(loadLines(all)).toEqual(['clients of mqtt: gone 1, w1 0, w2 2']);
});
