import { describe, expect, it } from 'vitest';
import type { SystemdEvents } from '../../../src/executor/systemd.ts';
import { FakeSystemd } from '../../fakes/systemd.ts';
import { ManualClock } from './manual-clock.ts';

const never = new AbortController().signal;

/** A fake and all that it tells, with the times. */
function told() {
  const clock = new ManualClock();
  const systemd = new FakeSystemd(clock);
  const history: string[] = [];
  const note = (what: string) => history.push(`${clock.now()} ${what}`);
  const events: SystemdEvents = {
    onConnected: () => note('connected'),
    onDisconnected: (why) => note(`disconnected: ${why}`),
    onUnit: (unit, active, sub) => note(`${unit} ${active} ${sub}`),
    onReloaded: () => note('reloaded'),
  };
  return { clock, systemd, history, note, events };
}

async function scenario(): Promise<string[]> {
  const { clock, systemd, history, note, events } = told();
  systemd.define('a.service', { startMs: 100, stop: 'exit-143', stopMs: 50 });
  systemd.define('b@.service', { exitsAfterMs: 300, exitStatus: 3 });
  const connection = systemd.connect(events);
  await clock.advance(10);
  const starts = ['a.service', 'b@1.service'].map((unit) =>
    connection.start(unit, 1000, never).then(({ kind }) => note(`start of ${unit}: ${kind}`)),
  );
  await clock.advance(200);
  const stop = connection.stop('a.service', 1000, never).then(({ kind }) => note(`stop: ${kind}`));
  await clock.advance(20);
  systemd.disconnect();
  await clock.advance(20);
  systemd.reconnect();
  await clock.advance(1000);
  await Promise.all([...starts, stop]);
  return history;
}

describe('the fake systemd on a clock of its own', () => {
  it('tells the same history every time', async () => {
    const history = await scenario();
    expect(history).toEqual([
      '1 connected',
      '12 a.service activating start',
      '12 b@1.service active running',
      '12 start of b@1.service: done',
      '112 a.service active running',
      '112 start of a.service: done',
      '212 a.service deactivating stop-sigterm',
      '230 disconnected: the bus closed the connection',
      '230 stop: disconnected',
      '251 connected',
      '262 a.service failed failed',
      '312 b@1.service failed failed',
    ]);
    expect(await scenario()).toEqual(history);
  });

  it('is dark after its host lost power, and comes back with its unit files and nothing running', async () => {
    const { clock, systemd, history, events } = told();
    systemd.define('a.service', { startMs: 100 });
    systemd.connect(events);
    await clock.advance(1);
    systemd.systemctl('start', 'a.service');
    await clock.advance(10);
    systemd.powerOff();
    await clock.advance(1000);
    expect(history).toEqual(['1 connected', '2 a.service activating start']);
    expect(systemd.running()).toEqual([]);
    expect(clock.pending).toBe(0);
    systemd.systemctl('start', 'a.service');
    await clock.advance(1000);
    expect(systemd.running()).toEqual(['a.service']);
  });
});
