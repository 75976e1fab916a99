import { afterAll, beforeAll, expect, it } from 'vitest';
import { endingOf } from '../../../src/executor/systemd/ending.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Host } from '../../harness/host.ts';
import { Lab } from '../../harness/lab.ts';
import { describeOnHosts } from '../../harness/requirements.ts';
import { addUnits, hangingOnStop } from '../../harness/units.ts';
import { until } from '../../harness/until.ts';
import { KeptLog } from './real-rig.ts';

const WAIT = { deadlineMs: 15_000, what: 'the unit to be stopping' };

describeOnHosts('a service that is being terminated', () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('w1');
    await addUnits(host, {
      'plain.service': hangingOnStop(),
      'always.service': `${hangingOnStop()}Restart=always\n`,
      'part.service': `[Unit]\nPartOf=whole.service\n${hangingOnStop()}`,
      'child.service': "[Service]\nExecStart=sh -c 'sleep infinity & echo $$! > /run/child; wait'\nRestart=always\n",
      'whole.service': '[Service]\nExecStart=sleep infinity\n',
    });
  });
  afterAll(() => lab?.destroy());

  /** Whether it ignores SIGTERM, the 15th signal. */
  const isDeaf = async (pid: number): Promise<boolean> => {
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(await host.mustSh('cat', `/proc/${pid}/status`))?.[1];
    return ignored !== undefined && ((BigInt(`0x${ignored}`) >> 14n) & 1n) === 1n;
  };
  const ask = (pid: number, log = new KeptLog()) =>
    endingOf(pid, { address: host.busAddress, clock: systemClock, log });

  /** What is answered for `unit` once `verb` was asked of systemd for `target`, the unit still having its process; `before` that, more may be asked. */
  async function endingAfter(
    verb: readonly string[],
    unit: string,
    target: string,
    before = async (): Promise<unknown> => undefined,
  ): Promise<string> {
    await host.systemctl('start', unit, target);
    const { mainPid } = await host.unitState(unit);
    try {
      // it runs before its shell has come to ignore SIGTERM
      await until(() => isDeaf(mainPid), { ...WAIT, what: 'the unit to ignore SIGTERM' });
      await before();
      await host.systemctl(...verb, target);
      const isTerminated = async () => verb[0] === 'kill' || (await host.unitState(unit)).active === 'deactivating';
      await until(isTerminated, WAIT);
      return await ask(mainPid);
    } finally {
      await host.systemctl('stop', '--no-block', unit, target);
      await host.systemctl('kill', '--signal=KILL', unit);
      await until(async () => (await host.unitState(unit)).mainPid === 0, { ...WAIT, what: 'the unit to be gone' });
      await host.systemctl('reset-failed', unit);
    }
  }

  it.each([
    [['--no-block', 'restart'], 'plain.service', 'plain.service'],
    [['--no-block', 'try-restart'], 'plain.service', 'plain.service'],
    [['--no-block', 'reload-or-restart'], 'plain.service', 'plain.service'],
    [['--no-block', 'restart'], 'part.service', 'whole.service'],
    [['kill', '--signal=TERM'], 'always.service', 'always.service'],
  ] as const)('learns that it is started again after systemctl %j for %s (asked of %s)', async (verb, unit, target) => {
    expect(await endingAfter(verb, unit, target)).toBe('restart');
  });

  it.each([
    [['--no-block', 'stop'], 'plain.service', 'plain.service'],
    [['--no-block', 'stop'], 'always.service', 'always.service'],
    [['--no-block', 'stop'], 'part.service', 'whole.service'],
    [['kill', '--signal=TERM'], 'plain.service', 'plain.service'],
  ] as const)(
    'learns that it is not started again after systemctl %j for %s (asked of %s)',
    async (verb, unit, target) => {
      expect(await endingAfter(verb, unit, target)).toBe('stop');
    },
  );

  it('is stopped for good when a stop came after a restart', async () => {
    const restart = () => host.systemctl('--no-block', 'restart', 'plain.service');
    expect(await endingAfter(['--no-block', 'stop'], 'plain.service', 'plain.service', restart)).toBe('stop');
  });

  it('is not started again as a mere child of a service that systemd would start again', async () => {
    await host.systemctl('start', 'child.service');
    const { mainPid } = await host.unitState('child.service');
    const noted = async () => Number(await host.read('/run/child').catch(() => ''));
    const child = await until(async () => (await noted()) || undefined, { ...WAIT, what: 'the child' });
    expect(await ask(child)).toBe('stop');
    expect(await ask(mainPid)).toBe('restart');
    await host.systemctl('stop', 'child.service');
  });

  it('takes it for a stop, and says so, when it belongs to no service, or the bus does not answer', async () => {
    expect(await ask(1)).toBe('stop');
    const log = new KeptLog();
    expect(await ask(4_000_000, log)).toBe('stop');
    const address = 'unix:path=/nonexistent/bus';
    expect(await endingOf(1, { address, clock: systemClock, log })).toBe('stop');
    expect(log.warnings).toEqual([
      expect.stringContaining('systemd did not say whether it starts this service again'),
      expect.stringContaining('ENOENT'),
    ]);
  });
});
