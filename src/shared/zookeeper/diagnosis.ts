/**
 * Why there is no connection to ZooKeeper: while there is none, each server is asked what it is, so that the log and
 * `/status` say whether the ensemble has lost its quorum, this host its cable, or neither. It decides nothing.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { SessionState, Store } from '../store.ts';
import { describeEnsemble, type EnsembleStatus } from './ensemble.ts';

export interface DiagnosisOptions {
  readonly store: Pick<Store, 'state' | 'onState'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks all servers; must answer in bounded time and never reject, as `askEnsemble` does. */
  readonly ask: () => Promise<EnsembleStatus>;
  /** 0 ≤ random() < 1: hosts that lost ZooKeeper at one moment do not ask at one moment. Default Math.random. */
  readonly random?: () => number;
}

/** First look after a connection was lost, ms: most are made anew before it. */
const FIRST_LOOK_MS = 500;
/** The pauses between later ones grow to this, ms: an ensemble that struggles is not to answer questions. */
const LONGEST_PAUSE_MS = 30_000;

export class Diagnosis {
  private found: string | undefined;
  /** Since when there has been no connection, ms of the clock; undefined while there is one. */
  private since: number | undefined;
  private cancel = () => {};
  private closed = false;
  private readonly unsubscribe: () => void;

  constructor(private readonly options: DiagnosisOptions) {
    this.unsubscribe = options.store.onState((state) => this.onState(state));
    this.onState(options.store.state);
  }

  /** What was found out, while there is no connection; undefined while there is one, or nothing is known yet. */
  get text(): string | undefined {
    return this.found;
  }

  close(): void {
    this.closed = true;
    this.unsubscribe();
    this.cancel();
  }

  private onState(state: SessionState): void {
    const { clock, log } = this.options;
    switch (state.kind) {
      case 'connected': {
        this.cancel();
        const seconds = (clock.now() - (this.since ?? clock.now())) / 1000;
        if (this.found !== undefined) log.info(`ZooKeeper serves this host again after ${seconds.toFixed(1)} s`);
        this.found = undefined;
        this.since = undefined;
        return;
      }
      case 'connecting':
      case 'suspended':
      case 'lost':
        if (this.since !== undefined) return;
        this.since = clock.now();
        this.lookAfter(FIRST_LOOK_MS);
        return;
      case 'closed':
        this.close();
        return;
    }
  }

  private lookAfter(ms: number): void {
    const { clock, random = Math.random } = this.options;
    this.cancel();
    this.cancel = clock.after(ms * (0.75 + random() / 2), () => void this.look(ms));
  }

  private async look(pauseMs: number): Promise<void> {
    const lostAt = this.since;
    const status = await this.options.ask();
    if (this.closed || lostAt === undefined || this.since !== lostAt) return;
    // reconnecting takes a moment too: not worth a word before the next look finds the same
    if (!status.quorum || pauseMs > FIRST_LOOK_MS) this.tell(status);
    this.lookAfter(Math.min(pauseMs * 2, LONGEST_PAUSE_MS));
  }

  private tell(status: EnsembleStatus): void {
    const sentence = describeEnsemble(status);
    const text = status.quorum ? `ZooKeeper has a ${sentence}, and this host is not connected to it yet` : sentence;
    if (this.found !== text) this.options.log.warn(text);
    this.found = text;
  }
}
