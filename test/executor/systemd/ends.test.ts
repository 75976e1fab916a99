import { beforeEach, describe, expect, it } from 'vitest';
import { type Told, UnitEnds } from '../../../src/executor/systemd/ends.ts';

const UNIT = 'web.service';
const FAILED: Told = { active: 'failed', sub: 'failed' };
const INACTIVE: Told = { active: 'inactive', sub: 'dead' };
const RESTARTS: Told = { active: 'activating', sub: 'auto-restart' };

describe('the end of a unit', () => {
  let told: string[];
  /** Answers to the questions asked so far, in order. */
  let answers: { readonly say: (now: Told) => void; readonly fail: () => void }[];
  let ends: UnitEnds;
  beforeEach(() => {
    told = [];
    answers = [];
    ends = new UnitEnds(
      (unit) =>
        new Promise((resolve, reject) => {
          expect(unit).toBe(UNIT);
          answers.push({ say: resolve, fail: () => reject(new Error('no answer')) });
        }),
    );
  });

  const tell = (what: string) => () => void told.push(what);
  const tellEnd = ({ active }: Told) => void told.push(active);
  /** Everything that promises have made possible has happened. */
  const settled = () => new Promise(setImmediate);

  it('is told when systemd confirms it, and what was told of the unit afterwards waits until then', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    ends.after(UNIT, tell('its job has ended'));
    ends.after('other.service', tell('another job has ended'));
    await settled();
    expect(told).toEqual(['another job has ended']);
    answers[0]?.say(FAILED);
    await settled();
    expect(told).toEqual(['another job has ended', 'failed', 'its job has ended']);
    ends.after(UNIT, tell('at once'));
    expect(told.at(-1)).toBe('at once');
  });

  it('is told when systemd does not answer', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    answers[0]?.fail();
    await settled();
    expect(told).toEqual(['failed']);
  });

  it('is not told when systemd says that it is none', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    ends.after(UNIT, tell('its job has ended'));
    answers[0]?.say(RESTARTS);
    await settled();
    expect(told).toEqual(['its job has ended']);
  });

  it('is not told when something newer is, whatever systemd answers then', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    ends.after(UNIT, tell('its job has ended'));
    ends.overtake(UNIT, tell('waits for its restart'));
    expect(told).toEqual(['waits for its restart', 'its job has ended']);
    answers[0]?.say(FAILED);
    await settled();
    expect(told).toEqual(['waits for its restart', 'its job has ended']);
  });

  it('is told as systemd says it by then: a failure that was reset meanwhile is none', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    answers[0]?.say(INACTIVE);
    await settled();
    expect(told).toEqual(['inactive']);
  });

  it('is the latest one that is told', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    ends.after(UNIT, tell('its job has ended'));
    ends.hold(UNIT, INACTIVE, tellEnd);
    answers[0]?.say(FAILED);
    await settled();
    expect(told).toEqual([]);
    answers[1]?.say(INACTIVE);
    await settled();
    expect(told).toEqual(['inactive', 'its job has ended']);
  });

  it('is never told when the connection is gone', async () => {
    ends.hold(UNIT, FAILED, tellEnd);
    ends.forget();
    answers[0]?.say(FAILED);
    await settled();
    expect(told).toEqual([]);
  });
});
