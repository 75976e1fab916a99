import { systemClock } from '../../../src/shared/clock.ts';
import { FakeEnsemble } from '../../fakes/store.ts';
import { describeStore } from './contract.ts';

const ensemble = new FakeEnsemble({ clock: systemClock });

describeStore('a store in memory', async () => {
  const store = ensemble.connect({ sessionTimeoutMs: 1000 });
  return {
    store,
    cut: () => store.cut('reset'),
    heal: () => store.heal(),
    dispose: async () => store.kill(),
  };
});
