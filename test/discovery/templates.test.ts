/** Templates of one host over a pretended ZooKeeper, with real files: what is written when, and what is said. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeHolder, encodeWaiter, holderPath, waiterPrefix } from '../../src/discovery/lease.ts';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import { templateData } from '../../src/discovery/template-data.ts';
import type { TemplateProgram } from '../../src/discovery/template-file.ts';
import { renderTemplate } from '../../src/discovery/template-render.ts';
import { Templates } from '../../src/discovery/templates.ts';
import type { Template } from '../../src/shared/model.ts';
import { encodeDesired, encodeMember, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { CommandResult } from '../../src/shared/run-command.ts';
import {
  DESIRED,
  DISCOVERY,
  desiredPath,
  discoveryPath,
  leasePath,
  MEMBERS,
  memberPath,
  SPEC,
} from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const SERVERS = '{{#each discovery.web}}{{id}} {{/each}}';

let folder: string;
let source: string;
let clock: FakeClock;
let ensemble: FakeEnsemble;
/** How long each message takes. */
let latencyMs: number;
let store: FakeStore;
/** Writes what the rest of the cluster would. */
let others: FakeStore;
let log: MemoryLog;
let labels: Record<string, string>;
let templates: Templates | undefined;
/** Units that were reloaded, each with the file it was reloaded for. */
let reloaded: string[];
/** Why a reload does not succeed. */
let refusal: string | undefined;
/** The checks that were run, each with what it looked at. */
let checked: string[];
let written: number;
/** How a check ends; default: well, after 20 ms. */
let endOf: (content: string, options: TemplateProgram) => Promise<CommandResult>;

// it is loaded at the first rendering, which takes real time
beforeAll(async () => {
  const facts = { host: 'w1', address: 'w1', members: [], registrations: [], desired: [], leases: [] };
  await renderTemplate('x', '', templateData(facts));
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-templates-'));
  source = join(folder, 'web.tpl');
  clock = new FakeClock();
  latencyMs = 1;
  ensemble = new FakeEnsemble({ clock, latencyMs: () => latencyMs });
  log = new MemoryLog();
  labels = {};
  reloaded = [];
  refusal = undefined;
  checked = [];
  written = 0;
  endOf = () => later(20, { kind: 'exited', code: 0, output: '' });
  others = ensemble.connect({ sessionTimeoutMs: 600_000 });
  await clock.until('a session', () => others.state.kind === 'connected');
  for (const path of [MEMBERS, DESIRED, DISCOVERY]) await done(others.ensure(path));
  await place('w9');
});

afterEach(async () => {
  await clock.finish('the end', templates?.close() ?? Promise.resolve());
  templates = undefined;
  await rm(folder, { recursive: true });
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('ZooKeeper', promise);
const later = <T>(ms: number, value: T): Promise<T> =>
  new Promise((resolve) => void clock.after(ms, () => resolve(value)));
const file = (name = 'out') => join(folder, name);
const read = (name = 'out') => readFile(file(name), 'utf8').catch(() => 'none');

function template(more: Partial<Template> = {}): Template {
  return { source, destination: file(), on: {}, mode: 0o644, debounceMs: 50, ...more };
}

const CHECKED = {
  check: ['look', '{file}'],
  reload: { kind: 'unit', unit: 'web.service' },
} satisfies Partial<Template>;

/** The daemon on w9 becomes a member: its templates begin, and two seconds pass. */
async function boot(...declared: readonly Template[]): Promise<void> {
  if (declared.length > 0) await propose(...declared);
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('a session', () => store.state.kind === 'connected');
  templates = new Templates({
    host: 'w9',
    address: () => 'w9.lan',
    labels: () => labels,
    store,
    clock,
    log,
    folder: join(folder, 'marks'),
    reloadUnit: async (unit) => {
      reloaded.push(`${unit}: ${await read()}`);
      return refusal;
    },
    run: async (program) => {
      const content = await readFile(program.argv[1] ?? '', 'utf8');
      checked.push(content);
      return await endOf(content, program);
    },
    onWritten: () => {
      written += 1;
    },
  });
  templates.start();
  await clock.advance(2_000);
}

/** The daemon ends, and begins anew. */
async function reboot(): Promise<void> {
  await clock.finish('the end', templates?.close() ?? Promise.resolve());
  await boot();
}

async function put(path: string, data: Buffer): Promise<void> {
  const there = await done(others.get(path));
  if (there) await done(others.set(path, data));
  else await done(others.create(path, data, 'persistent'));
}

async function propose(...declared: readonly Template[]): Promise<void> {
  const spec = { ...specOf(), templates: declared };
  await put(SPEC, encodeSpecRecord({ spec, digest: 'sha256:x', proposedBy: 'w1', at: '2026-01-01', earlier: [] }));
}

async function register(id: string, label = 'web'): Promise<void> {
  await done(others.ensure(discoveryPath(label)));
  const value = { label, id, host: id, address: `${id}.lan`, port: 80, healthy: true, source: 'service' } as const;
  await put(registrationPath(label, id), encodeRegistration(value));
}

async function place(host: string, ...services: string[]): Promise<void> {
  const units = services.map(
    (service) => ({ unit: `${service}.service`, service, isolation: 'keep', why: { kind: 'kept' } }) as const,
  );
  await put(desiredPath(host), encodeDesired({ host, epoch: 1, generation: 1, spec: 'x', units }));
}

const joins = (host: string, hostLabels: Record<string, string> = {}) =>
  put(
    memberPath(host),
    encodeMember({
      host,
      machineId: host,
      address: `${host}.lan`,
      url: 'http://x',
      labels: hostLabels,
      software: '1',
      file: 'x',
      election: '/election/n_1',
    }),
  );

const states = () =>
  templates?.states.map(({ destination, state }) => `${destination.slice(folder.length + 1)} ${state}`);
const problem = () => templates?.states.flatMap((state) => state.problem ?? []).join();
const failing = (output: string): CommandResult => ({ kind: 'exited', code: 1, output });

describe('templates', () => {
  it('know all members with their labels, registrations, placements and leases', async () => {
    await writeFile(
      source,
      [
        'on {{host}}, as {{name}} at {{ip}}',
        '{{#each members}}{{host}} {{address}} {{labels.rack}};{{/each}}',
        '{{#each discovery.web}}{{id}} {{address}}:{{port}};{{/each}}',
        '{{#each services}}{{label}}/{{id}};{{/each}}',
        '{{#each placements}}{{@key}} {{join this ","}};{{/each}}',
        '{{#each leases}}{{@key}} {{holder.id}} {{#each waiters}}{{id}}{{/each}};{{/each}}',
      ].join('\n'),
    );
    await joins('w2', { rack: 'b' });
    await joins('w1', { rack: 'a' });
    await register('w1');
    await register('q1', 'mqtt');
    await place('w1', 'web', 'db');
    await place('w2', 'web');
    await done(others.ensure(leasePath('db')));
    const holder = { id: 'one', host: 'w1', since: '2026-01-01', timeoutMs: 1_000 };
    await done(others.create(holderPath('db'), encodeHolder(holder), 'persistent'));
    await done(others.create(waiterPrefix('db'), encodeWaiter({ id: 'two', host: 'w2' }), 'ephemeral-sequential'));
    await boot(template());
    expect((await read()).split('\n')).toEqual([
      'on w9, as w9 at w9.lan',
      'w1 w1.lan a;w2 w2.lan b;',
      'w1 w1.lan:80;',
      'mqtt/q1;web/w1;',
      'db.service w1;web.service w1,w2;',
      'db one two;',
    ]);
    await done(others.remove(holderPath('db')));
    await done(others.remove(memberPath('w2')));
    await place('w2');
    await clock.advance(1_000);
    expect((await read()).split('\n')).toEqual([
      'on w9, as w9 at w9.lan',
      'w1 w1.lan a;',
      'w1 w1.lan:80;',
      'mqtt/q1;web/w1;',
      'db.service w1;web.service w1;',
      'db  two;',
    ]);
  });

  it('are written and reloaded for a change, and for nothing else, though the daemon begins anew', async () => {
    await writeFile(source, SERVERS);
    await register('w1');
    await boot(template(CHECKED));
    expect([await read(), reloaded, written]).toEqual(['w1 ', ['web.service: w1 '], 1]);
    const before = await stat(file());
    await joins('w5', { rack: 'a' });
    await place('w5', 'web');
    await register('q1', 'mqtt');
    await clock.advance(60_000);
    await reboot();
    expect([states(), checked.length, reloaded.length, written]).toEqual([['out current'], 1, 1, 1]);
    expect(await stat(file())).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    await register('w2');
    await clock.advance(1_000);
    expect([await read(), reloaded[1], written]).toEqual(['w1 w2 ', 'web.service: w1 w2 ', 2]);
  });

  it('render at once when it was quiet, and several changes as one', async () => {
    await writeFile(source, SERVERS);
    const debounceMs = 1_000;
    await done(others.ensure(discoveryPath('web')));
    await boot(template({ ...CHECKED, debounceMs }));
    checked = [];
    // what changes nothing in the file puts nothing off
    await joins('w8');
    await clock.advance(20);
    const data = (id: string) =>
      encodeRegistration({ label: 'web', id, host: id, address: 'a', healthy: true, source: 'service' });
    const create = (id: string) => others.create(registrationPath('web', id), data(id), 'ephemeral');
    await done(Promise.all(['w1', 'w2', 'w3'].map(create)));
    await clock.advance(50);
    expect([await read(), checked]).toEqual(['w1 w2 w3 ', ['w1 w2 w3 ']]);
    for (const id of ['w4', 'w5', 'w6']) {
      await register(id);
      await clock.advance(100);
    }
    // it rests
    expect(checked).toEqual(['w1 w2 w3 ']);
    await clock.advance(debounceMs);
    expect([await read(), checked]).toEqual(['w1 w2 w3 w4 w5 w6 ', ['w1 w2 w3 ', 'w1 w2 w3 w4 w5 w6 ']]);
  });

  it('render all that goes with a lost host as one', async () => {
    await writeFile(source, '{{members.length}} {{discovery.web.length}} {{discovery.mqtt.length}}');
    const dying = ensemble.connect({ sessionTimeoutMs: 600_000 });
    await clock.until('a session', () => dying.state.kind === 'connected');
    const lost = others;
    others = dying;
    for (const label of ['web', 'mqtt']) await done(lost.ensure(discoveryPath(label)));
    const ephemeral = (path: string, data: Buffer) => done(dying.create(path, data, 'ephemeral'));
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
    others = lost;
    await boot(template(CHECKED));
    checked = [];
    await done(dying.close());
    await clock.advance(1_000);
    expect(checked).toEqual(['0  ']);
  });

  it('keep the old file when a check fails, say so once, and try again when something changes', async () => {
    await writeFile(source, SERVERS);
    await register('w1');
    await boot(template(CHECKED));
    endOf = (content) =>
      later(20, content.includes('w2') ? failing('w2 is bad') : { kind: 'exited', code: 0, output: '' });
    await register('w2');
    await clock.advance(50_000);
    expect([await read(), states(), reloaded.length]).toEqual(['w1 ', ['out failed'], 1]);
    expect(checked.length).toBeGreaterThan(3);
    const said = `the template ${source}: the check look {file} ended with status 1: w2 is bad; ${file()} stays as it was, it is tried again in 15 s and when something changes`;
    expect(log.at('error')).toEqual([said]);
    expect([problem(), templates?.failed]).toEqual(['the check look {file} ended with status 1: w2 is bad', 1]);
    await done(others.remove(registrationPath('web', 'w2')));
    await register('w3');
    await clock.advance(200);
    expect([await read(), states(), templates?.failed]).toEqual(['w1 w3 ', ['out current'], 0]);
    expect(log.at('info')).toContain(`the template ${source} is right again`);
  });

  it('say what is wrong again when the operator reloads', async () => {
    await writeFile(source, 'a\n  {{#each members}}');
    await boot(template());
    await clock.advance(60_000);
    const said = expect.stringMatching(/web\.tpl:2:\d+: it cannot be parsed: .*stays as it was/);
    expect(log.at('error')).toEqual([said]);
    templates?.reload();
    await clock.advance(1_000);
    expect(log.at('error')).toEqual([said, said]);
    await writeFile(source, 'a');
    templates?.reload();
    await clock.advance(1_000);
    expect([await read(), log.at('error').length]).toEqual(['a', 2]);
  });

  it('give a check that hangs 30 s, keep the old file, and delay no other template', async () => {
    await writeFile(source, SERVERS);
    await boot(template(CHECKED), template({ destination: file('other') }));
    endOf = async (_content, { timeoutMs }) => later(timeoutMs, { kind: 'timeout', output: '' });
    await register('w1');
    await clock.advance(29_000);
    expect([await read(), await read('other'), states()]).toEqual(['', 'w1 ', ['out current', 'other current']]);
    await register('w2');
    await clock.advance(1_000);
    expect([await read('other'), checked.at(-1)]).toEqual(['w1 w2 ', 'w1 ']);
    await clock.advance(1_000);
    expect([await read(), states()]).toEqual(['', ['out failed', 'other current']]);
    expect(problem()).toBe('the check look {file} did not end in time and was killed, and printed nothing');
    // what changed meanwhile is looked at right after
    expect(checked.at(-1)).toBe('w1 w2 ');
  });

  it('stay as they are while ZooKeeper is silent, also when all it held is away with the session', async () => {
    await writeFile(source, SERVERS);
    await register('w1');
    await boot(template(CHECKED));
    ensemble.stop();
    await writeFile(source, `new ${SERVERS}`);
    await clock.advance(120_000);
    templates?.reload();
    await clock.advance(120_000);
    expect([await read(), states(), reloaded.length]).toEqual(['w1 ', ['out current'], 1]);
    ensemble.start();
    await clock.advance(20_000);
    expect([await read(), reloaded.length]).toEqual(['new w1 ', 2]);
  });

  it('write nothing after a start before all has been read', async () => {
    await writeFile(source, SERVERS);
    await writeFile(file(), 'as it was');
    await register('w1');
    await put(registrationPath('web', 'w2'), Buffer.from('no registration'));
    latencyMs = 300;
    const booted = boot(template());
    const seen = new Set<string>();
    const end = clock.now() + 10_000;
    while (clock.now() < end) {
      await clock.advance(20);
      seen.add(await read());
    }
    await booted;
    // the unreadable one is reported, and nobody waits for it
    expect([...seen]).toEqual(['as it was', 'w1 ']);
  });

  it.each([
    ['missing', async () => {}, /web\.tpl cannot be read: ENOENT/],
    ['a folder', () => mkdir(source), /web\.tpl is no file/],
    [
      'too large',
      () => writeFile(source, 'x'.repeat(1024 * 1024 + 1)),
      /web\.tpl has 1048577 bytes; 1048576 are the most/,
    ],
  ])('say that a template is %s, and render it within 15 s of its being there', async (_what, make, said) => {
    await make();
    await writeFile(file(), 'as it was');
    await boot(template());
    expect([await read(), problem()]).toEqual(['as it was', expect.stringMatching(said)]);
    await rm(source, { recursive: true, force: true });
    await writeFile(source, 'now');
    await clock.advance(15_000);
    expect([await read(), states()]).toEqual(['now', ['out current']]);
  });

  it('say that the folder of the file is missing, make none, and go on when it is there', async () => {
    await writeFile(source, 'text');
    const destination = join(folder, 'new/out');
    await boot(template({ destination }));
    expect(problem()).toMatch(/new\/out could not be written: ENOENT/);
    await expect(stat(join(folder, 'new'))).rejects.toThrow('ENOENT');
    await mkdir(join(folder, 'new'));
    await clock.advance(15_000);
    expect([await read('new/out'), states()]).toEqual(['text', ['new/out current']]);
  });

  it('go on where another is wrong', async () => {
    await writeFile(source, SERVERS);
    await writeFile(join(folder, 'bad.tpl'), '{{#each members}}');
    await boot(template(), template({ source: join(folder, 'bad.tpl'), destination: file('bad') }));
    await register('w1');
    await clock.advance(1_000);
    expect([await read(), await read('bad'), states()]).toEqual(['w1 ', 'none', ['out current', 'bad failed']]);
  });

  it('are put right within 15 s when their file was changed by hand, and reloaded again when a reload failed', async () => {
    await writeFile(source, 'text');
    await boot(template(CHECKED));
    await writeFile(file(), 'other');
    refusal = 'it is masked';
    await clock.advance(16_000);
    expect([await read(), problem(), written]).toEqual(['text', 'web.service was not reloaded: it is masked', 2]);
    expect(log.at('error')).toEqual([expect.stringContaining(`${file()} is written, it is tried again`)]);
    refusal = undefined;
    const before = reloaded.length;
    await clock.advance(16_000);
    expect([reloaded.length, states(), written]).toEqual([before + 1, ['out current'], 2]);
    expect(log.at('info')).toContain(`${file()} is as it was: web.service was reloaded`);
  });

  it('concern the hosts with the labels, or the service, that they name; elsewhere the file stays', async () => {
    await writeFile(source, 'text');
    await boot(
      template({ on: { labels: { role: 'edge' } } }),
      template({ destination: file('web'), on: { service: 'web' } }),
    );
    expect([await read(), await read('web'), states()]).toEqual(['none', 'none', []]);
    labels = { role: 'edge' };
    templates?.reload();
    await place('w9', 'web');
    await clock.advance(1_000);
    expect([await read(), await read('web')]).toEqual(['text', 'text']);
    await place('w9');
    await writeFile(source, 'other');
    labels = {};
    templates?.reload();
    await clock.advance(60_000);
    expect([await read(), await read('web'), states()]).toEqual(['text', 'text', []]);
  });

  it('are another one after the spec has changed, and never two at one file', async () => {
    await writeFile(source, 'text');
    await writeFile(join(folder, 'second.tpl'), 'second');
    await boot(template());
    let running = 0;
    endOf = async () => {
      running += 1;
      expect(running).toBe(1);
      await later(500, undefined);
      running -= 1;
      return { kind: 'exited', code: 0, output: '' };
    };
    await writeFile(source, 'new');
    await propose(template(CHECKED));
    await clock.advance(200);
    await propose(template({ ...CHECKED, source: join(folder, 'second.tpl') }));
    await clock.advance(2_000);
    expect([await read(), states()]).toEqual(['second', ['out current']]);
  });
});

describe('what templates read', () => {
  /** Reads that it takes until what happened is known. */
  async function readsOf(change: () => Promise<void>): Promise<number> {
    const before = store.reads;
    await change();
    await clock.advance(5_000);
    return store.reads - before;
  }

  beforeEach(async () => {
    await register('w1');
    await register('x1', 'other');
  });

  it('is what is registered under the labels that they name: of others, not even a change', async () => {
    await writeFile(source, SERVERS);
    await boot(template());
    expect(await read()).toBe('w1 ');
    expect(await readsOf(() => register('x2', 'other'))).toBe(0);
    expect(await readsOf(() => register('w2'))).toBe(2);
    expect(await read()).toBe('w1 w2 ');
  });

  it('follows the text of a template, to labels that it names then, and from those that it names no more', async () => {
    await writeFile(source, SERVERS);
    await boot(template());
    await writeFile(source, SERVERS.replace('web', 'other'));
    await clock.advance(20_000);
    expect(await read()).toBe('x1 ');
    expect(await readsOf(() => register('w2'))).toBe(0);
    expect(await readsOf(() => register('x2', 'other'))).toBe(2);
    expect(await read()).toBe('x1 x2 ');
  });

  it('is everything for one that lists all services, until that is no longer for this host', async () => {
    const all = join(folder, 'all.tpl');
    await writeFile(source, SERVERS);
    await writeFile(all, '{{#each services}}{{label}}/{{id}} {{/each}}');
    await boot(template(), template({ source: all, destination: file('all') }));
    expect(await readsOf(() => register('y1', 'new'))).toBeGreaterThanOrEqual(2);
    expect([await read(), await read('all')]).toEqual(['w1 ', 'new/y1 other/x1 web/w1 ']);
    await propose(template());
    await clock.advance(1_000);
    expect(await readsOf(() => register('y2', 'new'))).toBe(0);
    expect(await readsOf(() => register('w2'))).toBe(2);
    expect(await read()).toBe('w1 w2 ');
  });

  it('is nothing of discovery on a host that no template is for', async () => {
    await writeFile(source, SERVERS);
    await boot(template({ on: { labels: { role: 'other' } } }));
    expect(await readsOf(() => register('w2'))).toBe(0);
  });
});
