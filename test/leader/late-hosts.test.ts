import { describe, expect, it } from 'vitest';
import { LateHosts } from '../../src/leader/late-hosts.ts';
import type { Desired, Observed } from '../../src/shared/state.ts';

const names = (count: number) => Array.from({ length: count }, (_, index) => `w${index}`);
const written = (generation: number, hosts: readonly string[]) =>
  new Map(hosts.map((host): [string, Desired] => [host, { host, epoch: 2, generation, spec: '', units: [] }]));
const observed = (generation: number, hosts: readonly string[]) =>
  new Map(hosts.map((host): [string, Observed] => [host, { host, epoch: 2, generation, units: [] }]));

describe('the order of a host', () => {
  it('is looked at when its report has been older for 5 s, and again every 5 s', () => {
    const late = new LateHosts();
    const looks = [0, 4_999, 5_000, 5_001, 9_999, 10_000].map((now) =>
      late.due(written(3, ['w1']), observed(2, ['w1']), now).join(),
    );
    expect(looks).toEqual(['', '', 'w1', '', '', 'w1']);
  });

  it.each([
    ['that has obeyed meanwhile', observed(3, ['w1'])],
    ['that reports nothing', new Map<string, Observed>()],
  ])('is not looked at: of one %s', (_, meanwhile) => {
    const late = new LateHosts();
    const orders = written(3, ['w1']);
    late.due(orders, observed(2, ['w1']), 0);
    expect(late.due(orders, meanwhile, 5_000)).toEqual([]);
    expect(late.due(orders, observed(2, ['w1']), 6_000)).toEqual([]);
    expect(late.due(orders, observed(2, ['w1']), 11_000)).toEqual(['w1']);
  });

  it('is not looked at when it is written no more', () => {
    const late = new LateHosts();
    const reports = observed(2, ['w1']);
    late.due(written(3, ['w1']), reports, 0);
    expect(late.due(new Map(), reports, 6_000)).toEqual([]);
    expect(late.due(written(3, ['w1']), reports, 7_000)).toEqual([]);
  });

  it('is looked at with 49 others at once, and every one in its turn', () => {
    const late = new LateHosts();
    const hosts = names(120);
    const looks = [0, 5_000, 5_001, 5_002, 5_003].map((now) => late.due(written(3, hosts), observed(2, hosts), now));
    expect(looks.map(({ length }) => length)).toEqual([0, 50, 50, 20, 0]);
    expect(new Set(looks.flat()).size).toBe(120);
  });
});
