/** What a seed decides before the first step: hosts, timings, files, and how units behave. */
import type { Attachments, Discovery, HealthCheck, StartOrder } from '../../src/shared/attachments.ts';
import { compare } from '../../src/shared/names.ts';
import type { MultiService, Service, Spec } from '../../src/shared/spec.ts';
import { STEADY, type UnitScript } from '../fakes/systemd-script.ts';
import type { Random } from './random.ts';

export interface Scenario {
  readonly hosts: readonly string[];
  readonly sessionTimeoutMs: number;
  /** ZooKeeper's grain of expiry, ms. */
  readonly tickMs: number;
  readonly timings: {
    readonly loopTickMs: number;
    readonly failedLoopTickMs: number;
    readonly reactionMs: number;
    readonly boundaryMs: number;
  };
  /** Configuration files, the newest last; hosts begin with the first. */
  readonly files: readonly Spec[];
  /** Unit file → how it behaves as long as nothing is wrong with it. */
  readonly scripts: ReadonlyMap<string, UnitScript>;
  /** One way to ZooKeeper. */
  readonly zookeeperMs: () => number;
  /** One way to systemd. */
  readonly systemdMs: () => number;
  /** How seldom faults are: steps of time between two others, on average. */
  readonly calm: number;
}

/** Units of these services may run once only: no file gives them another isolation or count. */
export const ONCE_ONLY: ReadonlySet<string> = new Set(['once.service', 'duty@x.service']);

/** Services that have a check in some scenarios, the same in all files. */
export const CHECKED = ['once', 'some'] as const;

/** The share of scenarios in which services are started in turns and after each other. */
const ORDERED = 0.25;

/** Units that no file declares. They look as if one did. */
export const STRANGERS = { running: ['some-other.service', 'kinds@stranger.service'], idle: ['idle.service'] } as const;

const FILES = ['all.service', 'some.service', 'kinds@.service', 'once.service', 'duty@.service', 'tied.service'];

export function drawScenario(random: Random): Scenario {
  const count = random.pick([3, 3, 3, 4, 4, 5]);
  const hosts = Array.from({ length: count }, (_, index) => `w${index + 1}`);
  const sessionTimeoutMs = random.chance(0.8) ? 4_000 : random.int(3, 8) * 1_000;
  const first = drawSpec(random, hosts);
  const files = [first];
  while (files.length < 4) files.push(changeSpec(random, files.at(-1) ?? first, hosts));
  const checks = drawChecks(random.fork());
  const found = drawFound(random.fork());
  const order = drawOrder(random.fork());
  return {
    hosts,
    sessionTimeoutMs,
    tickMs: random.pick([0, 200, 500, 1_000]),
    timings: {
      loopTickMs: random.pick([2_000, 5_000]),
      failedLoopTickMs: random.pick([1_000, 2_000]),
      reactionMs: random.pick([2, 50, 200]),
      boundaryMs: random.pick([200, 1_000, 3_000]),
    },
    files: files.map((file) => {
      const services = file.services.map((each) => withFound(withCheck(each, checks), found));
      return { ...file, services: inOrder(services, order) };
    }),
    scripts: new Map(FILES.map((file) => [file, drawScript(random, sessionTimeoutMs)])),
    zookeeperMs: drawLatency(random.fork(), random.pick([0.3, 1, 5]), random.pick([5, 50, 300])),
    systemdMs: drawLatency(random.fork(), random.pick([0.2, 1, 3]), random.pick([3, 20, 60])),
    calm: random.pick([0.5, 1, 2]),
  };
}

/** By the name of the service; what a probe finds is decided by `World`. */
function drawChecks(random: Random): ReadonlyMap<string, HealthCheck> {
  if (random.chance(0.5)) return new Map();
  return new Map(
    CHECKED.map((name) => [
      name,
      {
        probe: { kind: 'exec', command: ['/check', '{instance}'] },
        intervalMs: random.pick([500, 2_000]),
        timeoutMs: 500,
        healthyAfter: 1,
        unhealthyAfter: random.int(1, 2),
        startPeriodMs: random.pick([0, 1_000]),
        onUnhealthy: random.pick(['report', 'restart', 'move', 'move']),
        limitPerHour: random.int(1, 4),
      },
    ]),
  );
}

function withCheck(service: Service, checks: ReadonlyMap<string, HealthCheck>): Service {
  const check = checks.get(service.name);
  return check ? { ...service, check } : service;
}

/** By the name of the service: those that others find, and that are stopped only when these had time to leave. */
function drawFound(random: Random): ReadonlyMap<string, Discovery> {
  if (random.chance(0.5)) return new Map();
  const found = (): Discovery => ({
    label: 'found',
    onlyHealthy: true,
    deregistrationDelayMs: random.pick([300, 2_000, 6_000]),
  });
  return new Map([...CHECKED, 'duty', 'all'].map((name) => [name, found()]));
}

function withFound(service: Service, found: ReadonlyMap<string, Discovery>): Service {
  const discovery = found.get(service.name);
  return discovery ? { ...service, discovery } : service;
}

/** By the name of the service: what is started in turns, and what after other services; the same in all files. */
function drawOrder(random: Random): ReadonlyMap<string, Pick<Attachments, 'start' | 'after'>> {
  if (!random.chance(ORDERED)) return new Map();
  const start = (): StartOrder => ({
    atOnce: random.int(1, 2),
    until: random.pick(['active', 'healthy', 'healthy']),
    timeoutMs: random.pick([3_000, 20_000]),
  });
  const before = random.pick([
    { service: 'some', where: 'anywhere' },
    { service: 'all', where: 'same-host' },
  ] as const);
  return new Map<string, Pick<Attachments, 'start' | 'after'>>([
    ['all', { after: [{ service: 'once', where: 'anywhere' }] }],
    ['kinds', { start: start() }],
    ['once', random.chance(0.3) ? { start: start() } : {}],
    ['some', { start: start() }],
    ['tied', { start: start(), after: [before] }],
  ]);
}

/** Nothing comes after what is not in its file. */
function inOrder(
  services: readonly Service[],
  order: ReadonlyMap<string, Pick<Attachments, 'start' | 'after'>>,
): readonly Service[] {
  const names = new Set(services.map(({ name }) => name));
  return services.map((service) => {
    const { start, after = [] } = order.get(service.name) ?? {};
    const there = after.filter((each) => names.has(each.service));
    return { ...service, ...(start && { start }), ...(there.length > 0 && { after: there }) };
  });
}

/** Mostly about `usualMs`, now and then up to `longestMs`. */
function drawLatency(random: Random, usualMs: number, longestMs: number): () => number {
  return () => {
    const chance = random.next();
    return chance < 0.97 ? usualMs * (0.5 + chance) : usualMs + (longestMs - usualMs) * random.next();
  };
}

/** A healthy unit; one that may run once only must be done with stopping within a quarter of the session. */
function drawScript(random: Random, sessionTimeoutMs: number): UnitScript {
  const stopTimeoutMs = sessionTimeoutMs / 4;
  const stop = random.pick(['sigterm', 'sigterm', 'exit-143', 'ignores-sigterm'] as const);
  return {
    ...STEADY,
    startMs: random.pick([0, 20, 300]),
    startTimeoutMs: random.pick([1_000, 5_000]),
    stop,
    stopMs: random.pick([0, 20, stopTimeoutMs * 0.9]),
    stopTimeoutMs,
  };
}

const keep = { enabled: true, isolation: 'keep' } as const;
const once = { enabled: true, isolation: 'stop' } as const;

function drawSpec(random: Random, hosts: readonly string[]): Spec {
  const services: Service[] = [
    { ...once, name: 'once', type: 'shared', count: 1 },
    { ...keep, name: 'some', type: 'shared', count: random.int(1, hosts.length) },
  ];
  if (random.chance(0.8)) services.push({ ...keep, name: 'all', type: 'global' });
  if (random.chance(0.7)) services.push(drawKinds(random, hosts));
  if (random.chance(0.4)) {
    const force: Record<string, string> = random.chance(0.2) ? { x: random.pick(hosts) } : {};
    services.push({ ...once, name: 'duty', type: 'multi', instances: { x: 1 }, force, exclusive: false });
  }
  if (random.chance(0.4)) services.push(drawTied(random, services));
  services.sort((a, b) => compare(a.name, b.name));
  return {
    services,
    brake: { above: 0.5, atLeast: random.int(2, 3), holdMs: random.pick([5_000, 20_000]) },
  };
}

function drawKinds(random: Random, hosts: readonly string[]): MultiService {
  const instances = { a: 1, b: random.int(1, 2), ...(random.chance(0.5) && { c: 1 }) };
  const force: Record<string, string> = random.chance(0.3) ? { a: random.pick(hosts) } : {};
  return { ...keep, name: 'kinds', type: 'multi', instances, force, exclusive: random.chance(0.5) };
}

function drawTied(random: Random, others: readonly Service[]): Service {
  const to = random.pick(others.some(({ name }) => name === 'kinds') ? ['once', 'some', 'kinds@b'] : ['once', 'some']);
  return {
    ...keep,
    name: 'tied',
    type: 'shared',
    count: random.int(1, 2),
    prestart: `#!/bin/sh\necho {instance:${to}}\n`,
  };
}

/** The next version of a file: one service is changed, added, taken out, or switched off or on. */
function changeSpec(random: Random, before: Spec, hosts: readonly string[]): Spec {
  const service = random.pick(before.services);
  const others = before.services.filter(({ name }) => name !== service.name);
  const changed = (next: Service): Spec => ({
    ...before,
    services: [...others, next].sort((a, b) => compare(a.name, b.name)),
  });
  if (random.chance(0.2)) return changed({ ...service, enabled: !service.enabled });
  switch (service.name) {
    case 'some':
      return changed({ ...keep, name: 'some', type: 'shared', count: random.int(1, hosts.length) });
    case 'kinds':
      return changed(drawKinds(random, hosts));
    case 'tied':
      return random.chance(0.5) ? changed(drawTied(random, before.services)) : { ...before, services: others };
    case 'all':
      return { ...before, services: others };
    default:
      return { ...before, brake: { ...before.brake, holdMs: before.brake.holdMs + 1_000 } };
  }
}
