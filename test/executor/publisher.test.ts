import { expect, it, vi } from 'vitest';
import { Publisher } from '../../src/executor/publisher.ts';
import { encodeObserved } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const PATH = '/observed/w1';

async function published() {
  const clock = new FakeClock();
  const link = { latencyMs: 1 };
  const ensemble = new FakeEnsemble({ clock, latencyMs: () => link.latencyMs });
  const store = ensemble.connect();
  await clock.until('the connection', () => store.state.kind === 'connected');
  const log = new MemoryLog();
  const publisher = new Publisher(store, 'w1', clock, log);
  const report = { host: 'w1', epoch: 1, generation: 2, units: [] };
  publisher.enable();
  publisher.publish(report);
  const data = encodeObserved(report);
  const isThere = () => ensemble.tree.get(PATH)?.data.equals(data) === true;
  await clock.until('the report', isThere);
  await clock.advance(1_000);
  return { clock, link, ensemble, store, log, publisher, report, isThere };
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

it('a report asks for the version that the one before left, except right after the znode was made', async () => {
  const { clock, ensemble, store, publisher, report } = await published();
  const asked = vi.spyOn(store, 'set');
  for (let generation = 3; generation <= 6; generation++) {
    const found = ensemble.tree.get(PATH)?.version;
    publisher.publish({ ...report, generation });
    await clock.advance(100);
    // a version of 0 cannot be asked for
    expect(asked).toHaveBeenLastCalledWith(PATH, expect.anything(), found === 0 ? undefined : found);
    expect(ensemble.tree.get(PATH)?.version).toBe((found ?? 0) + 1);
  }
  expect(asked).toHaveBeenCalledTimes(4);
});

it('what a killed daemon sent last comes to nothing when the next one has written already', async () => {
  const { clock, link, ensemble, store, publisher, report } = await published();
  for (let generation = 3; generation <= 5; generation++) {
    publisher.publish({ ...report, generation });
    await clock.advance(100);
  }
  link.latencyMs = 1_000;
  publisher.publish({ ...report, generation: 6 });
  await clock.advance(1);
  store.kill();
  link.latencyMs = 1;

  const next = ensemble.connect();
  await clock.until('the next session', () => next.state.kind === 'connected');
  const successor = new Publisher(next, 'w1', clock, new MemoryLog());
  successor.enable();
  const said: string[] = [];
  ensemble.onApplied = (session, operations) => {
    for (const operation of operations)
      if (operation.path === PATH && operation.op === 'set') said.push(`${session}: ${operation.data}`);
  };
  for (const generation of [1, 2]) {
    successor.publish({ ...report, epoch: 2, generation });
    await clock.advance(100);
  }
  await clock.advance(2_000);
  expect(ensemble.tree.get(PATH)?.data).toEqual(encodeObserved({ ...report, epoch: 2, generation: 2 }));
  expect(said).toHaveLength(1);
});

it('a report that finds that somebody else has written meanwhile is written all the same, at once', async () => {
  const { clock, ensemble, log, publisher, report } = await published();
  publisher.publish({ ...report, generation: 3 });
  await clock.advance(100);
  publisher.publish({ ...report, generation: 4 });
  ensemble.apply('operator', [{ op: 'set', path: PATH, data: Buffer.from('{'), version: -1 }]);
  await clock.advance(20);
  expect(ensemble.tree.get(PATH)?.data).toEqual(encodeObserved({ ...report, generation: 4 }));
  expect(log.entries).toEqual([]);
});
