import { expect, it } from 'vitest';
import { Publisher } from '../../src/executor/publisher.ts';
import { encodeObserved } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const PATH = '/observed/w1';

async function published() {
  const clock = new FakeClock();
  const ensemble = new FakeEnsemble({ clock });
  const store = ensemble.connect();
  await clock.until('the connection', () => store.state.kind === 'connected');
  const publisher = new Publisher(store, 'w1', clock, new MemoryLog());
  const report = { host: 'w1', epoch: 1, generation: 2, units: [] };
  publisher.enable();
  publisher.publish(report);
  const data = encodeObserved(report);
  const isThere = () => ensemble.tree.get(PATH)?.data.equals(data) === true;
  await clock.until('the report', isThere);
  await clock.advance(1_000);
  return { clock, ensemble, publisher, report, isThere };
}

it('a report is written again when somebody wrote over it, once', async () => {
  const { clock, ensemble, isThere } = await published();
  ensemble.apply('operator', [{ op: 'set', path: PATH, data: Buffer.from('{'), version: -1 }]);
  await clock.until('the report again', isThere, 1_000);
  const version = ensemble.tree.get(PATH)?.version;
  await clock.advance(10_000);
  expect(ensemble.tree.get(PATH)?.version).toBe(version);
});

it('a report is written again when somebody removed it', async () => {
  const { clock, ensemble, isThere } = await published();
  ensemble.apply('operator', [{ op: 'remove', path: PATH, version: -1 }]);
  await clock.until('the report again', isThere, 1_000);
});

it('reports that follow each other quickly are written once each at most', async () => {
  const { clock, ensemble, publisher, report } = await published();
  const before = ensemble.tree.get(PATH)?.version ?? 0;
  for (let generation = 3; generation <= 5; generation++) {
    publisher.publish({ ...report, generation });
    await clock.advance(generation);
  }
  await clock.advance(10_000);
  expect(ensemble.tree.get(PATH)?.version).toBeLessThanOrEqual(before + 3);
});
