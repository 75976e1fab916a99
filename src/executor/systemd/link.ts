/** Keeps a session with systemd open for as long as the program runs: opens it, and opens another whenever one ends. */
import { type Clock, delay } from '../../shared/clock.ts';
import { messageOf } from '../../shared/error-text.ts';
import type { Logger } from '../../shared/log.ts';
import type { Bus, BusSignal } from './bus.ts';
import { openSession } from './session.ts';

/** The wait after a failed attempt doubles between these bounds: a bus that restarts is back within tens of milliseconds. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

export interface LinkOptions {
  /** Addresses as `parseBusAddress` gives them, tried in turn. */
  readonly addresses: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly log: Logger;
  /** Called for systemd's signals, between `onUp` and `onDown` only. */
  readonly onSignal: (signal: BusSignal) => void;
  readonly onUp: () => void;
  /** Called once after each `onUp`, unless `close()` ended the session. */
  readonly onDown: (why: string) => void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;
  #bus: Bus | undefined;
  #whyDown = 'still connecting';

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** The open session's bus; undefined while there is none. */
  get bus(): Bus | undefined {
    return this.#bus;
  }

  /** Why there is no session, for error messages. */
  get whyDown(): string {
    return this.#whyDown;
  }

  /** Ends the session and stops opening others; resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#bus = undefined;
    this.#whyDown = 'closed by this program';
    this.#closing.abort(new Error(this.#whyDown));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { log, clock } = this.#options;
    const closing = this.#closing.signal;
    let wait = FIRST_WAIT_MS;
    for (let attempt = 0; !closing.aborted; attempt++) {
      try {
        await this.#hold(attempt);
        wait = FIRST_WAIT_MS;
        // Even a session that was fine is not followed at once: a bus that hangs up on everybody must not be hammered.
        await delay(clock, wait, closing).catch(() => undefined);
      } catch (error) {
        if (closing.aborted) return;
        const why = messageOf(error);
        if (why !== this.#whyDown) log.warn('Cannot reach systemd over D-Bus; trying until it answers', { error: why });
        this.#whyDown = why;
        await delay(clock, wait, closing).catch(() => undefined);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
  }

  /** Opens a session and resolves when it has ended; rejects when it could not be opened. */
  async #hold(attempt: number): Promise<void> {
    const { addresses, clock, log, onSignal, onUp, onDown } = this.#options;
    const closing = this.#closing.signal;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const bus = await openSession({
      address: addresses[attempt % addresses.length] ?? addresses[0],
      clock,
      log,
      signal: closing,
      onSignal: (signal) => {
        if (this.#bus) onSignal(signal);
      },
      onEnded: (why) => {
        this.#bus = undefined;
        this.#whyDown = why;
        log.warn('Lost the connection to systemd; connecting again', { error: why });
        end();
        onDown(why);
      },
    });
    if (closing.aborted) return;
    closing.addEventListener('abort', end, { once: true });
    this.#bus = bus;
    log.info('Connected to systemd over D-Bus');
    onUp();
    await ended;
    closing.removeEventListener('abort', end);
  }
}
