import { describe, expect, it } from 'vitest';
import { isNotified, notify, watchdogIntervalMs } from '../../src/shared/notify.ts';

describe('what systemd wants to hear of the service', () => {
  it('is nothing unless it gave a socket', () => {
    expect(isNotified({})).toBe(false);
    expect(isNotified({ NOTIFY_SOCKET: '/run/systemd/notify' })).toBe(true);
  });

  it.each([
    ['5000000', 2_500],
    ['1', 0.0005],
    [undefined, undefined],
    ['0', undefined],
    ['-1', undefined],
    ['soon', undefined],
  ])('with WATCHDOG_USEC=%s is a sign of life every %s ms', (limit, interval) => {
    expect(watchdogIntervalMs(limit === undefined ? {} : { WATCHDOG_USEC: limit })).toBe(interval);
  });

  it('that cannot be told is answered with the reason, and throws nothing', async () => {
    const { PATH } = process.env;
    process.env.PATH = '/nonexistent';
    try {
      expect(await notify('READY=1')).toContain('systemd-notify');
    } finally {
      process.env.PATH = PATH;
    }
  });
});
