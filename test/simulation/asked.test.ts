/** What the simulation takes for a needless stop, and what not. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeDesired, encodeEpoch } from '../../src/shared/payloads.ts';
import { Asked } from './asked.ts';
import { Orders } from './orders.ts';
import { Random } from './random.ts';
import { drawScenario } from './scenario.ts';
import { Starts } from './starts.ts';
import { type SimulatedHost, World } from './world.ts';

const UNIT = 'tied.service';
const LEADER = 'session';

describe('a stop of a unit with a script', () => {
  let complaints: string[];
  let host: SimulatedHost;
  let asked: Asked;

  beforeEach(async () => {
    complaints = [];
    const ignore = () => {};
    const hooks = { onState: ignore, onAsked: ignore, onImpostor: ignore, onLogged: ignore, onSettled: ignore };
    const random = new Random(1);
    const world = new World(drawScenario(random), random, hooks);
    const complain = (invariant: string) => void complaints.push(invariant);
    const reader = { onOrder: ignore, onReport: ignore };
    const orders = new Orders(world.ensemble, 1_000, () => false, complain, reader);
    const count = ignore;
    asked = new Asked(
      orders,
      new Starts({ now: () => 0, slackMs: 1_000, orderOf: () => undefined, complain, count }),
      complain,
    );
    const [first] = world.hosts;
    if (!first) throw new Error('there is no host');
    host = first;
    await world.boot(host);
    const units = [
      {
        unit: UNIT,
        service: 'tied',
        isolation: 'keep',
        why: { kind: 'kept' },
        prestart: { script: 'echo {instance:some}', values: { some: ['w2'] } },
      },
    ] as const;
    const desired = { host: host.name, epoch: 1, generation: 1, spec: 'sha256:', units };
    orders.onApplied(LEADER, [
      { op: 'set', path: '/epoch', data: encodeEpoch({ epoch: 1, leader: host.name }), version: -1 },
      { op: 'create', path: `/desired/${host.name}`, data: encodeDesired(desired), mode: 'persistent' },
    ]);
    host.fake.memory.remembered = { ...host.fake.memory.remembered, applied: { epoch: 1, generation: 1 } };
    host.fake.systemd.define(UNIT);
    host.fake.systemd.systemctl('start', UNIT);
  });

  function ask(verb: 'start' | 'stop'): void {
    asked.onAsked(host, `${verb} ${UNIT}`, 0);
    asked.judge();
  }

  it('is needless while its values are those that its daemon has started it with', () => {
    ask('start');
    asked.onState(host.name, UNIT, 'active');
    ask('stop');
    expect(complaints).toEqual(['INV-NEEDLESS-STOP']);
  });

  it('is none where a person has started it since, with values that nobody knows', () => {
    ask('start');
    asked.onState(host.name, UNIT, 'active');
    asked.onState(host.name, UNIT, 'failed');
    asked.onState(host.name, UNIT, 'activating');
    asked.onState(host.name, UNIT, 'active');
    ask('stop');
    expect(complaints).toEqual([]);
  });
});
