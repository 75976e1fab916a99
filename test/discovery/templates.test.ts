/** What templates know, when they are written, and for which hosts. */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeHolder, encodeWaiter, holderPath, waiterPrefix } from '../../src/discovery/lease.ts';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import { encodeMember } from '../../src/shared/payloads.ts';
import { discoveryPath, leasePath, memberPath } from '../../src/shared/znodes.ts';
import { CHECKED, SERVERS, TemplateWorld } from './template-world.ts';

let world: TemplateWorld;

beforeEach(async () => {
  world = await TemplateWorld.create();
});

afterEach(() => world.end());

describe('templates', () => {
  it('know all members with their labels, registrations, placements and leases', async () => {
    await writeFile(
      world.source,
      [
        'on {{host}}, as {{name}} at {{ip}}',
        '{{#each members}}{{host}} {{address}} {{labels.rack}};{{/each}}',
        '{{#each discovery.web}}{{id}} {{address}}:{{port}};{{/each}}',
        '{{#each services}}{{label}}/{{id}};{{/each}}',
        '{{#each placements}}{{@key}} {{join this ","}};{{/each}}',
        '{{#each leases}}{{@key}} {{holder.id}} {{#each waiters}}{{id}}{{/each}};{{/each}}',
      ].join('\n'),
    );
    await world.joins('w2', { rack: 'b' });
    await world.joins('w1', { rack: 'a' });
    await world.register('w1');
    await world.register('q1', 'mqtt');
    await world.place('w1', 'web', 'db');
    await world.place('w2', 'web');
    await world.done(world.others.ensure(leasePath('db')));
    const holder = { id: 'one', host: 'w1', since: '2026-01-01', timeoutMs: 1_000 };
    await world.done(world.others.create(holderPath('db'), encodeHolder(holder), 'persistent'));
    await world.done(
      world.others.create(waiterPrefix('db'), encodeWaiter({ id: 'two', host: 'w2' }), 'ephemeral-sequential'),
    );
    await world.boot(world.template());
    expect((await world.read()).split('\n')).toEqual([
      'on w9, as w9 at w9.lan',
      'w1 w1.lan a;w2 w2.lan b;',
      'w1 w1.lan:80;',
      'mqtt/q1;web/w1;',
      'db.service w1;web.service w1,w2;',
      'db one two;',
    ]);
    await world.done(world.others.remove(holderPath('db')));
    await world.done(world.others.remove(memberPath('w2')));
    await world.place('w2');
    await world.clock.advance(1_000);
    expect((await world.read()).split('\n')).toEqual([
      'on w9, as w9 at w9.lan',
      'w1 w1.lan a;',
      'w1 w1.lan:80;',
      'mqtt/q1;web/w1;',
      'db.service w1;web.service w1;',
      'db  two;',
    ]);
  });

  it('are written and reloaded for a change, and for nothing else, though the daemon begins anew', async () => {
    await writeFile(world.source, SERVERS);
    await world.register('w1');
    await world.boot(world.template(CHECKED));
    expect([await world.read(), world.reloaded, world.written]).toEqual(['w1 ', ['web.service: w1 '], 1]);
    const before = await stat(world.file());
    await world.joins('w5', { rack: 'a' });
    await world.place('w5', 'web');
    await world.register('q1', 'mqtt');
    await world.clock.advance(60_000);
    await world.reboot();
    expect([world.states, world.checked.length, world.reloaded.length, world.written]).toEqual([
      ['out current'],
      1,
      1,
      1,
    ]);
    expect(await stat(world.file())).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    await world.register('w2');
    await world.clock.advance(1_000);
    expect([await world.read(), world.reloaded[1], world.written]).toEqual(['w1 w2 ', 'web.service: w1 w2 ', 2]);
  });

  it('render at once when it was quiet, and several changes as one', async () => {
    await writeFile(world.source, SERVERS);
    const debounceMs = 1_000;
    await world.done(world.others.ensure(discoveryPath('web')));
    await world.boot(world.template({ ...CHECKED, debounceMs }));
    world.checked = [];
    // what changes nothing in the file puts nothing off
    await world.joins('w8');
    await world.clock.advance(20);
    const data = (id: string) =>
      encodeRegistration({ label: 'web', id, host: id, address: 'a', healthy: true, source: 'service' });
    const create = (id: string) => world.others.create(registrationPath('web', id), data(id), 'ephemeral');
    await world.done(Promise.all(['w1', 'w2', 'w3'].map(create)));
    await world.clock.advance(50);
    expect([await world.read(), world.checked]).toEqual(['w1 w2 w3 ', ['w1 w2 w3 ']]);
    for (const id of ['w4', 'w5', 'w6']) {
      await world.register(id);
      await world.clock.advance(100);
    }
    // it rests
    expect(world.checked).toEqual(['w1 w2 w3 ']);
    await world.clock.advance(debounceMs);
    expect([await world.read(), world.checked]).toEqual(['w1 w2 w3 w4 w5 w6 ', ['w1 w2 w3 ', 'w1 w2 w3 w4 w5 w6 ']]);
  });

  it('render all that goes with a lost host as one', async () => {
    await writeFile(world.source, '{{members.length}} {{discovery.web.length}} {{discovery.mqtt.length}}');
    const dying = world.ensemble.connect({ sessionTimeoutMs: 600_000 });
    await world.clock.until('a session', () => dying.state.kind === 'connected');
    for (const label of ['web', 'mqtt']) await world.done(world.others.ensure(discoveryPath(label)));
    const ephemeral = (path: string, data: Buffer) => world.done(dying.create(path, data, 'ephemeral'));
    for (const label of ['web', 'mqtt'])
      await ephemeral(
        registrationPath(label, 'w1'),
        encodeRegistration({ label, id: 'w1', host: 'w1', address: 'a', healthy: true, source: 'service' }),
      );
    await ephemeral(
      memberPath('w1'),
      encodeMember({
        host: 'w1',
        machineId: 'w1',
        address: 'a',
        url: 'http://x',
        labels: {},
        software: '1',
        file: 'x',
        election: '/election/n_1',
      }),
    );
    await world.boot(world.template(CHECKED));
    world.checked = [];
    await world.done(dying.close());
    await world.clock.advance(1_000);
    expect(world.checked).toEqual(['0  ']);
  });

  it('stay as they are while ZooKeeper is silent, also when all it held is away with the session', async () => {
    await writeFile(world.source, SERVERS);
    await world.register('w1');
    await world.boot(world.template(CHECKED));
    world.ensemble.stop();
    await writeFile(world.source, `new ${SERVERS}`);
    await world.clock.advance(120_000);
    world.templates.reload();
    await world.clock.advance(120_000);
    expect([await world.read(), world.states, world.reloaded.length]).toEqual(['w1 ', ['out current'], 1]);
    world.ensemble.start();
    await world.clock.advance(20_000);
    expect([await world.read(), world.reloaded.length]).toEqual(['new w1 ', 2]);
  });

  it('write nothing after a start before all has been read', async () => {
    await writeFile(world.source, SERVERS);
    await writeFile(world.file(), 'as it was');
    await world.register('w1');
    await world.put(registrationPath('web', 'w2'), Buffer.from('no registration'));
    world.latencyMs = 300;
    const booted = world.boot(world.template());
    const seen = new Set<string>();
    const end = world.clock.now() + 10_000;
    while (world.clock.now() < end) {
      await world.clock.advance(20);
      seen.add(await world.read());
    }
    await booted;
    // the unreadable one is reported, and nobody waits for it
    expect([...seen]).toEqual(['as it was', 'w1 ']);
  });

  it('concern the hosts with the labels, or the service, that they name; elsewhere the file stays', async () => {
    await writeFile(world.source, 'text');
    await world.boot(
      world.template({ on: { labels: { role: 'edge' } } }),
      world.template({ destination: world.file('web'), on: { service: 'web' } }),
    );
    expect([await world.read(), await world.read('web'), world.states]).toEqual(['none', 'none', []]);
    world.labels = { role: 'edge' };
    world.templates.reload();
    await world.place('w9', 'web');
    await world.clock.advance(1_000);
    expect([await world.read(), await world.read('web')]).toEqual(['text', 'text']);
    await world.place('w9');
    await writeFile(world.source, 'other');
    world.labels = {};
    world.templates.reload();
    await world.clock.advance(60_000);
    expect([await world.read(), await world.read('web'), world.states]).toEqual(['text', 'text', []]);
  });

  it('are another one after the spec has changed, and never two at one file', async () => {
    await writeFile(world.source, 'text');
    await writeFile(join(world.folder, 'second.tpl'), 'second');
    await world.boot(world.template());
    let running = 0;
    world.endOf = async () => {
      running += 1;
      expect(running).toBe(1);
      await world.later(500, undefined);
      running -= 1;
      return { kind: 'exited', code: 0, output: '' };
    };
    await writeFile(world.source, 'new');
    await world.propose(world.template(CHECKED));
    await world.clock.advance(200);
    await world.propose(world.template({ ...CHECKED, source: join(world.folder, 'second.tpl') }));
    await world.clock.advance(2_000);
    expect([await world.read(), world.states]).toEqual(['second', ['out current']]);
  });
});
