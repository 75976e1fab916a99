/**
 * Keeps `observed/<host>` equal to the latest report: an ephemeral of the present session, written as soon as the report
 * changes, one write at a time, the latest report winning.
 */
import { type Clock, delay } from '../shared/clock.ts';
import { claimEphemeral } from '../shared/ephemeral.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { encodeObserved } from '../shared/payloads.ts';
import type { Observed } from '../shared/state.ts';
import { isStoreError, type Store, type Watch } from '../shared/store.ts';
import { MAX_DATA_BYTES, OBSERVED, observedPath } from '../shared/znodes.ts';

/** Pause after a failed write. */
const RETRY_MS = 200;

export class Publisher {
  private latest: Buffer | undefined;
  /** `version`: of the znode since then; undefined: it was made anew, or is not known. */
  private written:
    | { readonly session: string; readonly data: Buffer; readonly version: number | undefined }
    | undefined;
  /** Session in which the host's membership is confirmed. */
  private joinedIn: string | undefined;
  private writing: Promise<void> | undefined;
  private readonly abort = new AbortController();
  private readonly unsubscribe: () => void;
  private readonly watch: Watch;

  constructor(
    private readonly store: Store,
    private readonly host: string,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {
    this.unsubscribe = store.onState((state) => {
      if (state.kind === 'connected') this.kick();
    });
    this.watch = store.watch(observedPath(host), (node) => {
      // what is being written now has not been read; and what was written last is there, unless someone else wrote, too
      if (node && (this.writing !== undefined || !this.written || node.data.equals(this.written.data))) return;
      this.written = undefined;
      this.kick();
    });
  }

  /** Publishes `observed` unless it was the last one published. */
  publish(observed: Observed): void {
    const data = encodeObserved(observed);
    if (data.length > MAX_DATA_BYTES) {
      this.log.error(
        `the report of ${this.host} is ${data.length} bytes, more than ZooKeeper takes; it is not written. Declare fewer units`,
      );
      return;
    }
    this.latest = data;
    this.kick();
  }

  /** The host's membership in the present session is confirmed: reports may be written. */
  enable(): void {
    const { state } = this.store;
    this.joinedIn = state.kind === 'connected' ? state.session : undefined;
    this.kick();
  }

  /** Reports may be written. */
  get enabled(): boolean {
    const { state } = this.store;
    return state.kind === 'connected' && state.session === this.joinedIn;
  }

  /** The host's name is not ours any more: nothing is written. */
  disable(): void {
    this.joinedIn = undefined;
  }

  async close(): Promise<void> {
    this.joinedIn = undefined;
    this.unsubscribe();
    this.watch.close();
    this.abort.abort(new Error('closing'));
    await this.writing;
  }

  private kick(): void {
    if (this.writing !== undefined || !this.due()) return;
    this.writing = this.writeAll().finally(() => {
      this.writing = undefined;
      if (this.due() && !this.abort.signal.aborted) this.kick();
    });
  }

  private due(): Buffer | undefined {
    const { state } = this.store;
    if (!this.latest || state.kind !== 'connected' || !this.enabled) return undefined;
    if (this.written?.session === state.session && this.written.data.equals(this.latest)) return undefined;
    return this.latest;
  }

  private async writeAll(): Promise<void> {
    for (let data = this.due(); data; data = this.due()) {
      try {
        await this.write(data);
      } catch (error) {
        this.written = undefined;
        if (this.abort.signal.aborted) return;
        // somebody else has written meanwhile: it is looked at, and written, anew
        if (isStoreError(error, 'bad-version')) continue;
        this.log.warn(`${observedPath(this.host)} could not be written: ${messageOf(error)}`);
        await delay(this.clock, RETRY_MS, this.abort.signal).catch(() => undefined);
      }
    }
  }

  private async write(data: Buffer): Promise<void> {
    const { state } = this.store;
    if (state.kind !== 'connected') return;
    const path = observedPath(this.host);
    let version: number | undefined;
    // what a killed daemon sent last may arrive when the next one has written already: by its version it comes to nothing
    if (this.written?.session === state.session) version = await this.store.set(path, data, this.written.version);
    // the host's name is ours by `members/<host>`: a report left by an earlier session may always be replaced
    else {
      await this.store.ensure(OBSERVED);
      await claimEphemeral(this.store, path, data, () => true);
    }
    this.written = { session: state.session, data, version };
  }
}
