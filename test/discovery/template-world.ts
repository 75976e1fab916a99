/** The templates of one host, w9, over a pretended ZooKeeper, with real files in a folder of their own. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import { templateData } from '../../src/discovery/template-data.ts';
import type { TemplateProgram } from '../../src/discovery/template-file.ts';
import { renderTemplate } from '../../src/discovery/template-render.ts';
import { Templates } from '../../src/discovery/templates.ts';
import { encodeDesired, encodeMember, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { CommandResult } from '../../src/shared/run-command.ts';
import type { Template } from '../../src/shared/spec.ts';
import { DESIRED, DISCOVERY, desiredPath, discoveryPath, MEMBERS, memberPath, SPEC } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

export const SERVERS = '{{#each discovery.web}}{{id}} {{/each}}';

export const CHECKED = {
  check: ['look', '{file}'],
  reload: { kind: 'unit', unit: 'web.service' },
} satisfies Partial<Template>;

/** A daemon on w9. */
interface Daemon {
  readonly templates: Templates;
  readonly store: FakeStore;
}

export class TemplateWorld {
  /** The template that `template` is of, unless it says otherwise. */
  readonly source: string;
  readonly clock = new FakeClock();
  /** How long each message takes. */
  latencyMs = 1;
  readonly ensemble = new FakeEnsemble({ clock: this.clock, latencyMs: () => this.latencyMs });
  /** Writes what the rest of the cluster would. */
  readonly others = this.ensemble.connect({ sessionTimeoutMs: 600_000 });
  readonly log = new MemoryLog();
  labels: Record<string, string> = {};
  /** Units that were reloaded, each with the file it was reloaded for. */
  readonly reloaded: string[] = [];
  /** Why a reload does not succeed. */
  refusal: string | undefined;
  /** The checks that were run, each with what it looked at. */
  checked: string[] = [];
  /** How often files were written. */
  written = 0;
  /** How a check ends; default: well, after 20 ms. */
  endOf: (content: string, options: TemplateProgram) => Promise<CommandResult> = () =>
    this.later(20, { kind: 'exited', code: 0, output: '' });
  /** The last one. */
  private daemon: Daemon | undefined;

  private constructor(readonly folder: string) {
    this.source = join(folder, 'web.tpl');
  }

  static async create(): Promise<TemplateWorld> {
    // it is loaded at the first rendering, which takes real time
    const facts = { host: 'w1', address: 'w1', members: [], registrations: [], desired: [], leases: [] };
    await renderTemplate('x', '', templateData(facts));
    const world = new TemplateWorld(await mkdtemp(join(tmpdir(), 'servicewatcher-templates-')));
    await world.clock.until('a session', () => world.others.state.kind === 'connected');
    for (const path of [MEMBERS, DESIRED, DISCOVERY]) await world.done(world.others.ensure(path));
    await world.place('w9');
    return world;
  }

  async end(): Promise<void> {
    await this.clock.finish('the end', this.daemon?.templates.close() ?? Promise.resolve());
    await rm(this.folder, { recursive: true });
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish('ZooKeeper', promise);
  }

  later<T>(ms: number, value: T): Promise<T> {
    return new Promise((resolve) => void this.clock.after(ms, () => resolve(value)));
  }

  file(name = 'out'): string {
    return join(this.folder, name);
  }

  read(name = 'out'): Promise<string> {
    return readFile(this.file(name), 'utf8').catch(() => 'none');
  }

  template(more: Partial<Template> = {}): Template {
    return { source: this.source, destination: this.file(), on: {}, mode: 0o644, debounceMs: 50, ...more };
  }

  /** The daemon on w9 becomes a member: its templates begin, and two seconds pass. */
  async boot(...declared: readonly Template[]): Promise<void> {
    if (declared.length > 0) await this.propose(...declared);
    const store = this.ensemble.connect({ sessionTimeoutMs: 4_000 });
    await this.clock.until('a session', () => store.state.kind === 'connected');
    const templates = new Templates({
      host: 'w9',
      address: () => 'w9.lan',
      labels: () => this.labels,
      store,
      clock: this.clock,
      log: this.log,
      folder: join(this.folder, 'marks'),
      reloadUnit: async (unit) => {
        this.reloaded.push(`${unit}: ${await this.read()}`);
        return this.refusal;
      },
      run: async (program) => {
        const content = await readFile(program.argv[1] ?? '', 'utf8');
        this.checked.push(content);
        return await this.endOf(content, program);
      },
      onWritten: () => {
        this.written += 1;
      },
    });
    this.daemon = { templates, store };
    templates.start();
    await this.clock.advance(2_000);
  }

  /** The daemon ends, and begins anew. */
  async reboot(): Promise<void> {
    await this.clock.finish('the end', this.templates.close());
    await this.boot();
  }

  private get running(): Daemon {
    if (!this.daemon) throw new Error('no daemon was booted');
    return this.daemon;
  }

  get templates(): Templates {
    return this.running.templates;
  }

  /** How often the daemon has read something. */
  get reads(): number {
    return this.running.store.reads;
  }

  async put(path: string, data: Buffer): Promise<void> {
    const there = await this.done(this.others.get(path));
    if (there) await this.done(this.others.set(path, data));
    else await this.done(this.others.create(path, data, 'persistent'));
  }

  /** The spec has these templates from now on. */
  async propose(...declared: readonly Template[]): Promise<void> {
    const spec = { ...specOf(), templates: declared };
    const record = { spec, digest: 'sha256:x', proposedBy: 'w1', at: '2026-01-01', earlier: [] };
    await this.put(SPEC, encodeSpecRecord(record));
  }

  async register(id: string, label = 'web'): Promise<void> {
    await this.done(this.others.ensure(discoveryPath(label)));
    const value = { label, id, host: id, address: `${id}.lan`, port: 80, healthy: true, source: 'service' } as const;
    await this.put(registrationPath(label, id), encodeRegistration(value));
  }

  async place(host: string, ...services: readonly string[]): Promise<void> {
    const units = services.map(
      (service) => ({ unit: `${service}.service`, service, isolation: 'keep', why: { kind: 'kept' } }) as const,
    );
    await this.put(desiredPath(host), encodeDesired({ host, epoch: 1, generation: 1, spec: 'x', units }));
  }

  async joins(host: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.put(
      memberPath(host),
      encodeMember({
        host,
        machineId: host,
        address: `${host}.lan`,
        url: 'http://x',
        labels,
        software: '1',
        file: 'x',
        election: '/election/n_1',
      }),
    );
  }

  /** `FILE STATE` of each template of this host. */
  get states(): string[] {
    return this.templates.states.map(
      ({ destination, state }) => `${destination.slice(this.folder.length + 1)} ${state}`,
    );
  }

  get problem(): string {
    return this.templates.states.flatMap((state) => state.problem ?? []).join();
  }
}
