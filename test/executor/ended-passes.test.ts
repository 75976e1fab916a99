/** Passes of an executor that ends or leaves. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { A, B, ReconcilerRig } from './reconciler-rig.ts';

let rig: ReconcilerRig;
beforeEach(async () => {
  rig = await ReconcilerRig.begin();
});
afterEach(() => rig.end());

describe('a pass that comes after the end', () => {
  beforeEach(() => rig.bootWithA());

  it('asks for nothing, keeps nothing and tells nothing', async () => {
    rig.reconciler.end();
    const before = [rig.host.asked.length, rig.listed.length, rig.saved.length, rig.latest];
    await rig.desire(B);
    await rig.settle();
    expect(rig.reconciler.ended).toBe(true);
    expect([rig.host.asked.length, rig.listed.length, rig.saved.length, rig.latest]).toEqual(before);
  });

  it('decides nothing either when the end came while systemd was being asked', async () => {
    await rig.desire(A, B);
    rig.reconciler.relist();
    rig.onList = () => rig.reconciler.end();
    const before = rig.latest;
    await rig.settle();
    expect([rig.host.asked, rig.latest]).toEqual([['start a.service'], before]);
  });

  it('goes on telling what becomes of units that are being stopped, and keeping what is obeyed', async () => {
    rig.reconciler.leave();
    await rig.desire(B);
    await rig.done(rig.jobs.stopAll(['a.service'], new AbortController().signal, async () => {}));
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service', 'stop a.service']);
    expect(rig.latest).toMatchObject({ leaving: true, generation: 2, units: [{ unit: 'b.service' }] });
    expect(rig.saved.at(-1)).toBe(2);
  });
});

it('a host that leaves before its first pass has nothing to tell', async () => {
  await rig.desire(A);
  await rig.boot();
  rig.reconciler.leave();
  await rig.settle();
  expect([rig.latest, rig.listed, rig.host.asked]).toEqual([undefined, [], []]);
});
