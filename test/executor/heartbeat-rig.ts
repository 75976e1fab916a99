/** One host's heartbeat; what it says of its session is kept, and the servers' side of it beside that. */
import { vi } from 'vitest';
import { Heartbeat } from '../../src/executor/heartbeat.ts';
import { beatPath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

export const SESSION_MS = 4_000;
export const PATH = beatPath('w1');

export class HeartbeatRig {
  readonly clock = new FakeClock({ files: false });
  readonly process = new FakeProcess(this.clock);
  latencyMs = 1;
  readonly ensemble = new FakeEnsemble({ clock: this.clock, latencyMs: () => this.latencyMs });
  readonly store: FakeStore;
  readonly heartbeat: Heartbeat;
  readonly said: { readonly confirmedAt: number; readonly at: number; readonly session: string }[] = [];
  /** Times at which a server carried out a beat. */
  readonly beats: number[] = [];
  /** Session → times at which a server heard of it; those of `greeted` were handled by the leader itself. */
  readonly heard = new Map<string, number[]>();
  readonly greeted = new Map<string, number[]>();
  onSaid: (confirmedAt: number) => void = () => {};

  constructor() {
    const { clock, ensemble } = this;
    ensemble.onApplied = (session, operations) => {
      if (operations.some(({ op, path }) => path === PATH && op !== 'remove') && session === this.session)
        this.beats.push(clock.now());
    };
    const touch = ensemble.touch.bind(ensemble);
    vi.spyOn(ensemble, 'touch').mockImplementation((id) => {
      add(this.heard, id, clock.now());
      if (this.store.state.kind !== 'connected') add(this.greeted, id, clock.now());
      return touch(id);
    });
    this.store = ensemble.connect({ sessionTimeoutMs: SESSION_MS, process: this.process });
    this.heartbeat = new Heartbeat({
      store: this.store,
      host: 'w1',
      clock: this.process,
      sessionTimeoutMs: SESSION_MS,
      onConfirmed: (confirmedAt) => {
        this.said.push({ confirmedAt, at: clock.now(), session: this.session ?? 'none' });
        this.onSaid(confirmedAt);
      },
    });
  }

  get session(): string | undefined {
    const { state } = this.store;
    return state.kind === 'connected' || state.kind === 'suspended' ? state.session : undefined;
  }

  async connected(): Promise<void> {
    await this.clock.until('the session', () => this.store.state.kind === 'connected');
  }
}

function add(to: Map<string, number[]>, id: string, at: number): void {
  const all = to.get(id) ?? [];
  all.push(at);
  to.set(id, all);
}
