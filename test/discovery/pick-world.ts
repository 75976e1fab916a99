/** A pretended ensemble with servers of one label and clients that choose among them. */
import { type Client, countClients } from '../../src/discovery/choose.ts';
import type { ClaimOptions } from '../../src/discovery/claim.ts';
import { clientsAmong } from '../../src/discovery/client-entry.ts';
import { hold, type Replaced } from '../../src/discovery/hold.ts';
import { encodeRegistration, type Registration, registrationPath } from '../../src/discovery/registration.ts';
import { clientsPath, discoveryPath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

export const LABEL = 'mqtt';

/** A client of the world, and what it was told. */
export interface Held {
  readonly client: string;
  readonly store: FakeStore;
  readonly process: FakeProcess;
  readonly log: MemoryLog;
  /** `id@address:port`, in order. */
  readonly told: string[];
  readonly end: Promise<Replaced | undefined>;
  /** As SIGTERM does. */
  stop(): Promise<void>;
}

export class PickWorld {
  readonly clock = new FakeClock({ files: false });
  readonly ensemble: FakeEnsemble;
  readonly operator: FakeStore;
  private readonly registrars = new Map<string, FakeStore>();
  private count = 0;

  constructor(latencyMs: () => number = () => 1) {
    this.ensemble = new FakeEnsemble({ clock: this.clock, latencyMs });
    this.operator = this.ensemble.connect();
  }

  /** Registers servers, each by a daemon of its own. */
  async register(...ids: readonly string[]): Promise<void> {
    await this.clock.finish('the parent', this.operator.ensure(discoveryPath(LABEL)));
    for (const id of ids) await this.write(id);
  }

  async write(id: string, change: Partial<Registration> = {}): Promise<void> {
    const registrar = this.registrars.get(id) ?? this.ensemble.connect();
    this.registrars.set(id, registrar);
    const value = { label: LABEL, id, host: id, address: `10.0.0.${id.slice(1)}`, port: 1883, healthy: true };
    const data = encodeRegistration({ ...value, source: 'service', ...change });
    const path = registrationPath(LABEL, id);
    const put = async () => {
      if (await registrar.get(path)) await registrar.set(path, data);
      else await registrar.create(path, data, 'ephemeral');
    };
    await this.clock.finish(`${id} to be registered`, put());
  }

  async unregister(id: string): Promise<void> {
    await this.clock.finish(`${id} to be gone`, this.operator.remove(registrationPath(LABEL, id)));
  }

  registrar(id: string): FakeStore {
    const registrar = this.registrars.get(id);
    if (!registrar) throw new Error(`${id} was never registered`);
    return registrar;
  }

  options(client: string, process = new FakeProcess(this.clock), sessionTimeoutMs = 4_000) {
    this.count += 1;
    const store = this.ensemble.connect({ process, sessionTimeoutMs });
    const who = `00000000-0000-4000-8000-${String(this.count).padStart(12, '0')}`;
    const log = new MemoryLog();
    const by = `process ${this.count}`;
    return { store, clock: process, log, label: LABEL, client, who, by } satisfies ClaimOptions;
  }

  /** A client that holds a server until it is stopped. */
  hold(client: string, sessionTimeoutMs?: number): Held {
    const process = new FakeProcess(this.clock);
    const options = this.options(client, process, sessionTimeoutMs);
    const abort = new AbortController();
    const told: string[] = [];
    const onServer = ({ id, address, port }: Registration) => void told.push(`${id}@${address}:${port}`);
    const end = hold({ ...options, onServer }, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
      return undefined;
    });
    const { store, log } = options;
    const stop = async () => {
      abort.abort(new Error('told to stop'));
      await store.close();
    };
    return { client, store, process, log, told, end, stop };
  }

  /** Who counts at this moment. */
  clients(): Client[] {
    return clientsAmong([...(this.ensemble.tree.get(clientsPath(LABEL))?.children ?? [])].sort());
  }

  /** `c1=w1` of all that count, sorted. */
  entries(): string[] {
    return this.clients().map(({ client, server }) => `${client}=${server}`);
  }

  /** Clients of the fullest of these servers, less those of the emptiest. */
  spread(servers: readonly string[]): number {
    const counts = countClients(this.clients());
    const loads = servers.map((id) => counts.get(id) ?? 0);
    return Math.max(...loads) - Math.min(...loads);
  }

  /** Names of what is left of turns. */
  turns(): string[] {
    return [...(this.ensemble.tree.get(clientsPath(LABEL))?.children ?? [])].filter((name) => name.startsWith('turn-'));
  }
}
