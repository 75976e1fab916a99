/** A whole daemon on a pretended host: what it registers, and when. */
import { expect, it } from 'vitest';
import { decodeDesired, decodeObserved } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const REGISTRATION = '/discovery/web/w1';

it('a unit is registered before it is reported active, and not any more before it is reported down', async () => {
  const clock = new FakeClock();
  const ensemble = new FakeEnsemble({ clock });
  const story: string[] = [];
  ensemble.onApplied = (_session, operations) => {
    for (const operation of operations) {
      if (operation.path === REGISTRATION) story.push(operation.op === 'remove' ? 'unregistered' : 'registered');
      if (operation.path !== '/observed/w1' || !('data' in operation)) continue;
      const report = decodeObserved(operation.data, operation.path);
      const state = report.ok ? (report.value.units[0]?.active ?? 'nothing') : 'unreadable';
      if (story.at(-1) !== state) story.push(state);
    }
  };
  const host = new FakeHost('w1', clock, ensemble);
  host.systemd.define('web.service');
  const daemon = await host.boot(
    specOf({
      type: 'global',
      name: 'web',
      enabled: true,
      isolation: 'keep',
      discovery: { label: 'web', port: 80, onlyHealthy: true },
    }),
  );
  await clock.until('the registration', () => ensemble.tree.get(REGISTRATION) !== undefined);
  await clock.advance(1_000);
  const desired = decodeDesired(ensemble.tree.get('/desired/w1')?.data ?? Buffer.alloc(0), '/desired/w1');
  expect(desired.ok && desired.value.units[0]?.discovery?.port).toBe(80);
  await clock.finish('an orderly stop', daemon.stop());
  await clock.advance(1_000);
  const told = story.filter((word) => !['nothing', 'inactive', 'activating'].includes(word));
  // the last report but one tells that the host leaves, while the unit is being stopped
  expect(told).toEqual(['registered', 'active', 'unregistered', 'active', 'deactivating']);
  expect(ensemble.tree.get(REGISTRATION)).toBeUndefined();
});
