import { setMaxListeners } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { unitPath } from '../../../src/executor/systemd/unit-path.ts';
import type { TransientCommand } from '../../../src/executor/systemd.ts';
import type { Host } from '../../harness/host.ts';
import { Lab } from '../../harness/lab.ts';
import { describeOnHosts } from '../../harness/requirements.ts';
import { until } from '../../harness/until.ts';
import { Marshal, type RawSignal, sendRaw } from './raw-bus.ts';
import { KeptLog, realRig } from './real-rig.ts';
import { type Rig, Watched } from './rig.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DEADLINE_MS = 15_000;

describeOnHosts('systemd over D-Bus on a host', () => {
  let lab: Lab;
  let host: Host;
  let rig: Rig;
  let watched: Watched;
  const log = new KeptLog();
  beforeAll(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('w1');
    rig = realRig(host, log);
  });
  beforeEach(async () => {
    watched = await Watched.open(rig);
  });
  afterEach(async () => {
    await watched.systemd.close();
    expect(log.errors).toEqual([]);
  });
  afterAll(() => lab?.destroy());

  const command = (unit: string, argv: readonly [string, ...string[]]): TransientCommand => ({
    unit,
    description: 'a command of the tests',
    argv,
    timeoutMs: 5_000,
    environment: { GREETING: 'hello  world', PRICE: '5$HOME' },
  });

  it('passes arguments and environment as they are, and the output to the journal', async () => {
    const argv = ['/bin/sh', '-c', 'printf "<%s>" "$@" "$GREETING" "$PRICE"; echo', 'sh'] as const;
    const odd = ['$HOME', '$' + '{X}', '%h %%', 'a "b" \\ c', 'ü\tß', ''];
    expect(await watched.systemd.run(command('out.service', [...argv, ...odd]), never)).toEqual({ kind: 'done' });
    const expected = [...odd, 'hello  world', '5$HOME'].map((argument) => `<${argument}>`).join('');
    const output = () => host.mustSh('journalctl', '--no-pager', '--all', '--output=cat', '--unit=out.service');
    await until(async () => (await output()).includes('5$'), {
      deadlineMs: DEADLINE_MS,
      what: 'output in the journal',
    });
    expect(await output()).toContain(expected);
  });

  it('leaves a failed command to be seen by operators', async () => {
    expect(await watched.systemd.run(command('seen.service', ['/bin/false']), never)).toEqual({ kind: 'failed' });
    expect(await host.systemctl('--failed', '--plain', '--no-legend')).toContain('seen.service');
    await host.systemctl('reset-failed', 'seen.service');
  });

  it('outlives daemon-reexec, with which systemd leaves the bus for a moment: connects again and hears the rest', async () => {
    await rig.define({ 'reexec.service': { startMs: 4_000 } });
    const start = watched.systemd.start('reexec.service', DEADLINE_MS, never);
    await watched.untilTold('reexec.service', 'activating');
    await host.systemctl('daemon-reexec');
    expect(await start).toEqual({ kind: 'disconnected' });
    await watched.until('the second connection', () => watched.connects === 2);
    expect(watched.disconnects).toBe(1);
    await watched.untilTold('reexec.service', 'active');
    expect(await watched.systemd.stop('reexec.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('reexec.service', 'inactive');
  });

  it('hears the end of a job across daemon-reload', async () => {
    await rig.define({ 'reload.service': { startMs: 1_000 } });
    const start = watched.systemd.start('reload.service', DEADLINE_MS, never);
    await watched.untilTold('reload.service', 'activating');
    await host.systemctl('daemon-reload');
    expect(await start).toEqual({ kind: 'done' });
    expect(await watched.systemd.stop('reload.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
  });

  it('connects when the bus appears later than the program, and again after each of five restarts', async () => {
    await host.systemctl('stop', 'dbus.socket', 'dbus.service');
    await watched.until('the loss', () => watched.disconnects === 1);
    const late = new Watched(rig);
    await expect(late.systemd.list(['dbus.service'])).rejects.toThrow('not connected to the D-Bus system bus');
    await host.systemctl('start', 'dbus.socket', 'dbus.service');
    await late.until('the first connection', () => late.connects === 1);
    for (let round = 1; round <= 5; round++) {
      await rig.restartBus();
      await late.until('another connection', () => late.connects === 1 + round && late.systemd.connected);
      expect(await late.active('dbus.service')).toBe('active');
    }
    await late.systemd.close();
  });

  it('ignores signals that another user forges, and survives messages that cannot be decoded', async () => {
    const lines = (await host.mustSh('busctl', 'list', '--unique', '--no-legend')).trim().split('\n');
    const names = lines.map((line) => line.split(' ')[0] ?? '');
    const socket = host.busAddress.replace('unix:path=', '');
    await sendRaw(socket, names.flatMap(forgeries));
    await until(() => log.warnings.some((warning) => warning.includes('cannot be decoded')), {
      deadlineMs: DEADLINE_MS,
      what: 'the message that cannot be decoded',
    });
    expect(await watched.active('dbus.service')).toBe('active');
    await rig.define({ 'true.service': {} });
    await watched.systemd.start('true.service', DEADLINE_MS, never);
    await watched.untilTold('true.service', 'active');
    expect(watched.told('forged.service')).toEqual([]);
    expect(watched.connects).toBe(1);
    await watched.systemd.stop('true.service', DEADLINE_MS, never);
  });
});

/** Sent straight to a connection, signals need no match rule to arrive. */
function forgeries(destination: string): RawSignal[] {
  const properties = new Marshal().string('org.freedesktop.systemd1.Unit').array((entries) => {
    for (const [name, value] of [
      ['ActiveState', 'failed'],
      ['SubState', 'failed'],
    ] as const) {
      entries.align(8).string(name).signature('s').string(value);
    }
  });
  const path = unitPath('forged.service');
  const changed = { destination, path, interface: 'org.freedesktop.DBus.Properties', member: 'PropertiesChanged' };
  // A variant that holds the index of a file descriptor, none of which was sent along.
  const descriptor = new Marshal().signature('h').u32(0);
  return [
    { ...changed, signature: 'v', body: descriptor.buffer },
    { ...changed, signature: 'sa{sv}as', body: properties.u32(0).buffer },
  ];
}
