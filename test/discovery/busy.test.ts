/** What discovery costs a daemon while thousands of things change: a share of its time, however long each look takes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { EMPTY_VIEW } from '../../src/discovery/hook-view.ts';
import { Hooks } from '../../src/discovery/hooks.ts';
import { templateData } from '../../src/discovery/template-data.ts';
import { renderTemplate } from '../../src/discovery/template-render.ts';
import { TemplateRunner } from '../../src/discovery/template-runner.ts';
import { encodeSpecRecord } from '../../src/shared/payloads.ts';
import { Share } from '../../src/shared/share.ts';
import type { Hook } from '../../src/shared/spec.ts';
import { discoveryPath, SPEC } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble } from '../fakes/store.ts';

/** A process on whose clock work takes time. */
class Worker extends FakeProcess {
  private worked = 0;

  override now(): number {
    return super.now() + this.worked;
  }

  work(ms: number): void {
    this.worked += ms;
  }
}

let clock: FakeClock;
let worker: Worker;
let ensemble: FakeEnsemble;

beforeEach(() => {
  clock = new FakeClock();
  worker = new Worker(clock);
  ensemble = new FakeEnsemble({ clock });
});

/** Something happens every 20 ms, for 20 s. */
async function busyTime(happens: (n: number) => void): Promise<void> {
  for (let n = 0; n < 1_000; n++) {
    happens(n);
    await clock.advance(20);
  }
}

it('hooks compare registrations no more often than their share of the time allows', async () => {
  let looks = 0;
  const [store, others] = [ensemble.connect(), ensemble.connect()];
  await clock.finish('the label', others.ensure(discoveryPath('web')));
  const hook: Hook = { events: ['registered'], on: {}, filter: {}, run: ['/told'], timeoutMs: 1_000 };
  const spec = { ...specOf(), hooks: [hook] };
  const record = encodeSpecRecord({ spec, digest: 'sha256:x', proposedBy: 'w1', at: '2026-01-01', earlier: [] });
  await clock.finish('the spec', others.create(SPEC, record, 'persistent'));
  const hooks = new Hooks({
    host: 'w9',
    labels: () => {
      looks += 1;
      worker.work(50);
      return {};
    },
    store,
    clock: worker,
    log: new MemoryLog(),
    file: { load: async () => ({ seen: EMPTY_VIEW, queues: new Map() }), save: async () => {} },
    run: async () => ({ kind: 'done' }),
    metrics: { ran: () => {}, leftOut: () => {} },
  });
  await clock.finish('the start', hooks.start());
  await clock.advance(1_000);
  looks = 0;
  await busyTime((n) => void others.create(`${discoveryPath('web')}/w${n}`, Buffer.from('{}'), 'persistent'));
  // the labels are asked for three times at each look; without a limit there would be 200 looks
  expect(looks / 3).toBeLessThan(100);
  expect(looks / 3).toBeGreaterThan(20);
  await clock.finish('the end', hooks.close());
});

it('templates are rendered no more often than the share of all of them allows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'servicewatcher-busy-'));
  const source = join(folder, 'x.tpl');
  await writeFile(source, '{{host}}');
  const facts = { host: 'w9', address: 'w9', members: [], registrations: [], desired: [], leases: [] };
  const data = templateData(facts);
  // it is loaded at the first rendering, which takes real time
  await renderTemplate('x', '', data);
  const share = new Share({ clock: worker, share: 0.1, savedMs: 1_000 });
  let asked = 0;
  const runners = [1, 2].map(
    (n) =>
      new TemplateRunner({
        template: { source, destination: join(folder, `out${n}`), on: {}, mode: 0o644, debounceMs: 0 },
        clock: worker,
        log: new MemoryLog(),
        folder,
        reloadUnit: async () => undefined,
        run: async () => ({ kind: 'exited', code: 0, output: '' }),
        share,
        needs: () => {},
        data: () => {
          asked += 1;
          worker.work(50);
          return data;
        },
        onWritten: () => {},
        after: Promise.resolve(),
      }),
  );
  await busyTime(() => {
    for (const runner of runners) runner.look();
  });
  // data is asked for twice at each rendering; each of the two may have half of the share
  expect(asked / 2).toBeLessThan(100);
  expect(asked / 2).toBeGreaterThan(20);
  for (const runner of runners) await clock.finish('the end', runner.close());
  await rm(folder, { recursive: true });
});
