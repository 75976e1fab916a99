import { describe, expect, it } from 'vitest';
import { BusCallError, BusClosedError, BusDeadlineError } from '../../../src/executor/systemd/bus-error.ts';
import { decodeJobRemoved, decodeListed } from '../../../src/executor/systemd/decode.ts';
import { Jobs } from '../../../src/executor/systemd/jobs.ts';
import { ManualClock } from './manual-clock.ts';

const never = new AbortController().signal;

describe('the outcome of a job', () => {
  it('is found though the job ended before its path was known', async () => {
    const jobs = new Jobs(new ManualClock());
    const outcome = jobs.outcome(
      async () => {
        jobs.removed('/job/6', { kind: 'failed' });
        jobs.removed('/job/7', { kind: 'done' });
        return '/job/7';
      },
      1000,
      never,
    );
    expect(await outcome).toEqual({ kind: 'done' });
  });

  it('goes to all who wait for the same job and to nobody else', async () => {
    const clock = new ManualClock();
    const jobs = new Jobs(clock);
    const wait = (path: string) => jobs.outcome(async () => path, 1000, never);
    const all = [wait('/job/1'), wait('/job/1'), wait('/job/2')];
    await clock.advance(0);
    jobs.removed('/job/1', { kind: 'timeout' });
    await clock.advance(1000);
    expect(await Promise.all(all)).toEqual([{ kind: 'timeout' }, { kind: 'timeout' }, { kind: 'deadline' }]);
    expect(clock.pending).toBe(0);
  });

  it.each([
    [new BusCallError('org.freedesktop.systemd1.UnitMasked', 'Unit a is masked.'), 'refused'],
    [new BusCallError('org.freedesktop.DBus.Error.NoReply', 'gone'), 'disconnected'],
    [new BusClosedError('gone'), 'disconnected'],
    [new BusDeadlineError('StartUnit', 1), 'deadline'],
  ])('follows from an error of the call: %s', async (error, kind) => {
    const outcome = await new Jobs(new ManualClock()).outcome(() => Promise.reject(error), 1000, never);
    expect(outcome.kind).toBe(kind);
  });

  it('is an exception where the error says nothing about the unit', async () => {
    const error = new BusCallError('org.freedesktop.DBus.Error.LimitsExceeded', 'too many');
    const outcome = new Jobs(new ManualClock()).outcome(() => Promise.reject(error), 1000, never);
    await expect(outcome).rejects.toBe(error);
  });

  it('is unknown for all when the connection is lost', async () => {
    const clock = new ManualClock();
    const jobs = new Jobs(clock);
    const outcome = jobs.outcome(async () => '/job/1', 1000, never);
    jobs.disconnected();
    expect(await outcome).toEqual({ kind: 'disconnected' });
    expect(clock.pending).toBe(0);
  });
});

describe("systemd's messages", () => {
  it('with words of a newer systemd are taken for the nearest that is known', () => {
    expect(decodeJobRemoved([1, '/job/1', 'a.service', 'concurrency']).outcome).toEqual({ kind: 'failed' });
    expect(decodeListed([[['a.service', '', 'novel', 'refreshing', 'x']]])).toEqual([
      { unit: 'a.service', load: 'error', active: 'activating', sub: 'x' },
    ]);
  });

  it.each([[[]], [[1]], [[[1]]], [[[['a.service', '', 1]]]]])('of another shape are refused: %j', (body) => {
    expect(() => decodeListed(body)).toThrow('unexpected shape');
  });
});
