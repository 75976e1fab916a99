import { systemClock } from '../../../src/shared/clock.ts';
import { FakeEnsemble } from '../../fakes/store.ts';
import { describeStore, SESSION_MS } from './contract.ts';

const ensemble = new FakeEnsemble({ clock: systemClock });

describeStore('a store in memory', async () => {
  const store = ensemble.connect({ sessionTimeoutMs: SESSION_MS });
  return {
    store,
    cut: () => store.cut('reset'),
    heal: () => store.heal(),
    dispose: async () => store.kill(),
  };
});
