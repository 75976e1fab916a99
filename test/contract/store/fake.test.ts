import { systemClock } from '../../../src/shared/clock.ts';
import { FakeEnsemble } from '../../fakes/store.ts';
import { describeStore } from './contract.ts';

const ensemble = new FakeEnsemble({ clock: systemClock });

describeStore('a store in memory', async (sessionTimeoutMs) => {
  const store = ensemble.connect({ sessionTimeoutMs });
  return {
    store,
    cut: () => store.cut('reset'),
    silence: (...directions) => {
      for (const direction of directions) store.cut(direction);
    },
    heal: () => store.heal(),
    dispose: async () => store.kill(),
  };
});
