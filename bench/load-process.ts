/**
 * A program of its own: the load of `discovery-load`, made with the product's own code for registering and picking, in
 * sessions of its own. Its one argument is a `LoadPlan` as JSON. It prints `LoadCounts` as a line of JSON four times a
 * second, and ends, with all that it registered, at SIGTERM.
 */
import { get, type IncomingMessage } from 'node:http';
import { createPicker } from '../src/client.ts';
import { Entry } from '../src/discovery/entry.ts';
import type { Registration } from '../src/discovery/registration.ts';
import { systemClock } from '../src/shared/clock.ts';
import type { Logger } from '../src/shared/log.ts';
import type { Store } from '../src/shared/store.ts';
import { connect } from '../src/shared/zookeeper/store.ts';
import type { LoadCounts, LoadPlan } from './load.ts';

const SESSION_TIMEOUT_MS = 4_000;
const PACE_MS = 20;
const REPORT_MS = 250;
/** How fast the first registrations come, until `present` are there: 1,000 a second. */
const FILL_PER_MINUTE = 60_000;
/** Picks that are under way at once; should they take longer than planned, they are not begun. */
const MAX_PICKS = 200;
/** Labels that clients pick from. */
const PICK_LABELS = 10;
const ASK_MS = 1_000;

/** What goes wrong is printed up to so many times: each registration of a lost session says so. */
const MAX_TOLD = 20;
let told = 0;

function tell(message: string): void {
  told += 1;
  if (told <= MAX_TOLD) process.stderr.write(`  load: ${message}\n`);
}

const logger: Logger = { debug() {}, info() {}, warn: tell, error: tell };

const labelOf = (number: number): string => `load-${number}`;

/** Calls `step` as often as the rate wants since the first call. */
class Pace {
  private readonly begun = performance.now();
  private done = 0;

  constructor(private readonly perMinute: number) {}

  run(step: () => boolean): void {
    const due = Math.floor(((performance.now() - this.begun) * this.perMinute) / 60_000);
    while (this.done < due && step()) this.done += 1;
  }
}

class Load {
  private readonly stores: readonly Store[];
  /** Oldest first. */
  private readonly present: Entry[] = [];
  private coming: Entry[] = [];
  private leaving: Entry[] = [];
  private next = 0;
  private clients = 0;
  private picking = 0;
  private readonly counts = { registered: 0, removed: 0, picked: 0, pickFailures: 0, answers: 0, events: 0 };
  private readonly pickMs: number[] = [];
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly streams: IncomingMessage[] = [];
  private ended = false;

  constructor(private readonly plan: LoadPlan) {
    this.stores = Array.from({ length: plan.sessions }, () =>
      connect({
        servers: plan.servers,
        chroot: '/servicewatcher',
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        clock: systemClock,
        log: logger,
      }),
    );
    for (const store of this.stores) {
      store.onState(({ kind }) => {
        // as whoever has entries must
        if (kind === 'connected') for (const entry of [...this.present, ...this.leaving]) entry.look();
      });
    }
  }

  run(): void {
    const fill = new Pace(FILL_PER_MINUTE);
    let filled = false;
    this.every(PACE_MS, () => {
      if (filled) return;
      fill.run(() => this.present.length < this.plan.present && this.register());
      this.tidy();
      filled = this.counts.registered >= this.plan.present;
      if (filled) this.goOn();
    });
    this.every(REPORT_MS, () => this.report(filled));
  }

  async end(): Promise<void> {
    this.ended = true;
    for (const timer of this.timers) clearInterval(timer);
    for (const stream of this.streams) stream.destroy();
    await Promise.all(this.stores.map((store) => store.close()));
  }

  /** From now on each registration that comes has an old one go. */
  private goOn(): void {
    const { perMinute, picksPerMinute } = this.plan;
    const registrations = new Pace(perMinute);
    const picks = new Pace(picksPerMinute);
    this.every(PACE_MS, () => {
      registrations.run(() => this.register() && this.unregister());
      picks.run(() => this.pick());
      this.tidy();
    });
    for (const host of this.plan.hosts) this.follow(host);
    let asked = 0;
    this.every(ASK_MS, () => {
      asked += 1;
      for (const host of this.plan.hosts) this.ask(host, labelOf(asked % this.plan.labels));
    });
  }

  private every(ms: number, work: () => void): void {
    this.timers.push(setInterval(work, ms));
  }

  private register(): boolean {
    const number = this.next++;
    const session = Math.floor(number / this.plan.labels) % this.stores.length;
    const store = this.stores[session];
    if (store === undefined) return false;
    const label = labelOf(number % this.plan.labels);
    const host = `load${session}`;
    const id = `${host}:${number}`;
    const value: Registration = {
      label,
      id,
      host,
      address: `198.18.8.${number % 250}`,
      port: 9_000 + (number % 1_000),
      healthy: true,
      info: { zone: 'a', number },
      source: 'watch',
    };
    const entry = new Entry({
      store,
      clock: systemClock,
      log: logger,
      label,
      id,
      mayWrite: () => true,
      isOurs: () => true,
    });
    entry.want({ kind: 'registered', value });
    this.coming.push(entry);
    this.present.push(entry);
    return true;
  }

  private unregister(): boolean {
    const entry = this.present.shift();
    entry?.want({ kind: 'gone' });
    if (entry) this.leaving.push(entry);
    return true;
  }

  /** Counts those that are seen to be registered, and to be gone. */
  private tidy(): void {
    const coming = this.coming.filter((entry) => !entry.registered);
    this.counts.registered += this.coming.length - coming.length;
    this.coming = coming;
    const gone = this.leaving.filter((entry) => entry.gone);
    if (gone.length === 0) return;
    this.leaving = this.leaving.filter((entry) => !entry.gone);
    this.counts.removed += gone.length;
    for (const entry of gone) void entry.close();
  }

  /** A client that comes, has its server, and goes: in a session of its own, as each client's is. */
  private pick(): boolean {
    if (this.picking >= MAX_PICKS) return false;
    this.picking += 1;
    void this.pickOne().finally(() => {
      this.picking -= 1;
    });
    return true;
  }

  private async pickOne(): Promise<void> {
    const number = this.clients++;
    const begun = performance.now();
    const label = labelOf(number % Math.min(PICK_LABELS, this.plan.labels));
    const picker = createPicker({ servers: this.plan.servers, label, client: `client-${number}` });
    try {
      for await (const _server of picker) break;
      this.counts.picked += 1;
      this.pickMs.push(performance.now() - begun);
    } catch (error) {
      this.counts.pickFailures += 1;
      if (!this.ended) logger.warn(`a pick failed: ${String(error)}`);
    }
    await picker.close();
  }

  /** Asks a daemon as Prometheus does. */
  private ask(host: string, label: string): void {
    const request = get({ host, port: 9780, path: `/discovery/${label}/prometheus`, agent: false }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) this.counts.answers += 1;
      });
    });
    request.on('error', () => {});
  }

  /** Listens to the changes of a label. */
  private follow(host: string): void {
    const request = get({ host, port: 9780, path: `/discovery/${labelOf(0)}/stream`, agent: false }, (response) => {
      this.streams.push(response);
      response.setEncoding('utf8').on('data', (text: string) => {
        this.counts.events += text.split('event: ').length - 1;
      });
      response.on('error', () => {});
    });
    request.on('error', (error) => logger.warn(`no stream of ${host}: ${error.message}`));
  }

  private report(filled: boolean): void {
    const counts: LoadCounts = {
      at: performance.now(),
      filled,
      ...this.counts,
      present: this.present.length,
      pickMs: this.pickMs.splice(0),
    };
    process.stdout.write(`${JSON.stringify(counts)}\n`);
  }
}

const load = new Load(JSON.parse(process.argv[2] ?? '{}'));
process.on('SIGTERM', () => void load.end().then(() => process.exit(0)));
load.run();
