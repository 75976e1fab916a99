/** Stories of a cluster, step by step: what is given, and the whole placement as a table to read. */
import { describe, expect, test } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import type { Placement, PlacementInput } from '../../../src/leader/placement.ts';
import { verify } from '../../../src/leader/verify.ts';
import type { Service } from '../../../src/shared/spec.ts';
import type { ExclusionReason, Why } from '../../../src/shared/state.ts';
import { asPrevious, global, hostsOf, multi, shared, specOf } from './worlds.ts';

/** A cluster whose last placement is the past of the next one. */
class Cluster {
  #previous: PlacementInput['previous'] = new Map();

  step(services: Service[], hosts: string, excluded: Record<string, Record<string, ExclusionReason>> = {}): string {
    const views = hostsOf(hosts, excluded);
    const input = { spec: specOf(services), hosts: views, previous: this.#previous, running: this.#previous };
    const placement = place(input);
    expect(verify(input, placement)).toEqual([]);
    this.#previous = asPrevious(placement);
    return table(
      placement,
      views.map(({ name }) => name),
    );
  }
}

/** One line per host with what it runs (`+` what is new there), then what went nowhere and what is missing. */
function table(placement: Placement, hosts: readonly string[]): string {
  const lines = hosts.map((host) => {
    const cells = [...placement.units.values()].flatMap(({ unit, instances }) => {
      const instance = instances.find((each) => each.host === host);
      return instance === undefined ? [] : [` ${short(unit)}${mark(instance.why)}`];
    });
    return `${host}:${cells.join('')}`;
  });
  for (const { unit, from, to, because } of placement.moves) {
    if (to === undefined) lines.push(`left ${from}: ${short(unit)} (${because.kind})`);
  }
  for (const { unit, wanted, placed, why } of placement.unplaced) {
    lines.push(
      `${short(unit)}: ${placed} of ${wanted}, ${why.map(({ reason, hosts }) => `${hosts} ${reason}`).join(', ')}`,
    );
  }
  return lines.join('\n');
}

function short(unit: string): string {
  return unit.replace('.service', '');
}

function mark(why: Why): string {
  if (why.kind === 'kept') return '';
  return why.kind === 'moved' ? `+(from ${why.from}, ${why.because.kind})` : `+(${why.kind})`;
}

function lines(...text: string[]): string {
  return text.join('\n');
}

describe('the example services', () => {
  const services = [
    global('dummy_global'),
    shared('dummy_shared', 2),
    multi('dummy_multi', { 1: 1, 2: 2, 3: 3 }, { force: { 1: 'w2' } }),
  ];

  test('lose a host, get it back, and lose the host that one of them is forced to', () => {
    const cluster = new Cluster();
    expect(cluster.step(services, 'w1 w2 w3')).toBe(
      lines(
        'w1: dummy_global+(every-host) dummy_multi@2+(least-loaded) dummy_multi@3+(least-loaded) dummy_shared+(least-loaded)',
        'w2: dummy_global+(every-host) dummy_multi@1+(forced) dummy_multi@3+(least-loaded) dummy_shared+(least-loaded)',
        'w3: dummy_global+(every-host) dummy_multi@2+(least-loaded) dummy_multi@3+(least-loaded)',
      ),
    );
    expect(cluster.step(services, 'w1 w2')).toBe(
      lines(
        'w1: dummy_global dummy_multi@2 dummy_multi@3 dummy_shared',
        'w2: dummy_global dummy_multi@1 dummy_multi@2+(from w3, host-lost) dummy_multi@3 dummy_shared',
        'left w3: dummy_global (host-lost)',
        'left w3: dummy_multi@3 (host-lost)',
        'dummy_multi@3: 2 of 3, 2 already-has-one',
      ),
    );
    expect(cluster.step(services, 'w1 w2 w3:joining')).toBe(
      lines(
        'w1: dummy_global dummy_multi@2 dummy_multi@3 dummy_shared',
        'w2: dummy_global dummy_multi@1 dummy_multi@2 dummy_multi@3 dummy_shared',
        'w3: dummy_global+(every-host)',
        'dummy_multi@3: 2 of 3, 2 already-has-one, 1 joining',
      ),
    );
    expect(cluster.step(services, 'w1 w2 w3')).toBe(
      lines(
        'w1: dummy_global dummy_multi@2 dummy_multi@3 dummy_shared',
        'w2: dummy_global dummy_multi@1 dummy_multi@2 dummy_multi@3 dummy_shared',
        'w3: dummy_global dummy_multi@3+(least-loaded)',
      ),
    );
    expect(cluster.step(services, 'w1 w3')).toBe(
      lines(
        'w1: dummy_global dummy_multi@2 dummy_multi@3 dummy_shared',
        'w3: dummy_global dummy_multi@2+(from w2, host-lost) dummy_multi@3 dummy_shared+(from w2, host-lost)',
        'left w2: dummy_global (host-lost)',
        'left w2: dummy_multi@1 (host-lost)',
        'left w2: dummy_multi@3 (host-lost)',
        'dummy_multi@1: 0 of 1, 2 forced-host-absent',
        'dummy_multi@3: 2 of 3, 2 already-has-one',
      ),
    );
  });
});

describe('a Flink cluster that has each host to itself', () => {
  const flink = [multi('flink', { jobmanager: 1, taskmanager: 3 }, { exclusive: true })];

  test('gives up a task manager for the job manager, and gets it back with the host', () => {
    const cluster = new Cluster();
    expect(cluster.step(flink, 'w1 w2 w3 w4')).toBe(
      lines(
        'w1: flink@jobmanager+(least-loaded)',
        'w2: flink@taskmanager+(least-loaded)',
        'w3: flink@taskmanager+(least-loaded)',
        'w4: flink@taskmanager+(least-loaded)',
      ),
    );
    expect(cluster.step(flink, 'w2 w3 w4')).toBe(
      lines(
        'w2: flink@jobmanager+(from w1, host-lost)',
        'w3: flink@taskmanager',
        'w4: flink@taskmanager',
        'left w2: flink@taskmanager (displaced)',
        'flink@taskmanager: 2 of 3, 2 already-has-one, 1 exclusive',
      ),
    );
    expect(cluster.step(flink, 'w1 w2 w3 w4')).toBe(
      lines(
        'w1: flink@taskmanager+(least-loaded)',
        'w2: flink@jobmanager',
        'w3: flink@taskmanager',
        'w4: flink@taskmanager',
      ),
    );
  });
});

describe('a unit that fails', () => {
  test('moves to the least-loaded host, stays there after recovery, and with no host left says so', () => {
    const services = [shared('api', 1), shared('job', 2)];
    const cluster = new Cluster();
    expect(cluster.step(services, 'w1 w2 w3')).toBe(
      lines('w1: api+(least-loaded)', 'w2: job+(least-loaded)', 'w3: job+(least-loaded)'),
    );
    expect(cluster.step(services, 'w1 w2 w3', { w1: { 'api.service': 'failed' } })).toBe(
      lines('w1:', 'w2: api+(from w1, excluded) job', 'w3: job'),
    );
    expect(cluster.step(services, 'w1 w2 w3')).toBe(lines('w1:', 'w2: api job', 'w3: job'));
    const everywhere = { 'api.service': 'failed' } as const;
    expect(cluster.step(services, 'w1 w2:draining w3', { w1: everywhere, w3: everywhere })).toBe(
      lines(
        'w1: job+(from w2, excluded)',
        'w2:',
        'w3: job',
        'left w2: api (excluded)',
        'api: 0 of 1, 1 draining, 2 failed',
      ),
    );
  });
});

describe('maintenance', () => {
  test('a cordoned host keeps what it has, a draining one empties, a held one waits', () => {
    const services = [global('agent'), shared('web', 2)];
    const cluster = new Cluster();
    cluster.step(services, 'w1 w2 w3');
    expect(cluster.step([global('agent'), shared('web', 3)], 'w1:cordoned w2 w3:cordoned')).toBe(
      lines('w1: agent web', 'w2: agent web', 'w3: agent', 'web: 2 of 3, 2 already-has-one, 1 cordoned'),
    );
    expect(cluster.step(services, 'w1:draining w2:held w3')).toBe(
      lines('w1:', 'w2: agent web', 'w3: agent web+(from w1, excluded)', 'left w1: agent (excluded)'),
    );
  });
});
