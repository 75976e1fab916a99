/**
 * Streams of server-sent events: the whole list first, then each change of it, as `event: set` with the registration and
 * `event: remove` with its id. A client that reads slowly gets fewer, larger steps; one that does not read at all is
 * hung up on, and so is the one that has not read for the longest when too much waits for clients. Bounded in number.
 */
import type { ServerResponse } from 'node:http';
import type { Registration } from '../discovery/registration.ts';
import { changesBetween, type Selection, select } from '../discovery/select.ts';
import type { Backlog } from './backlog.ts';
import type { DiscoverySource } from './discovery.ts';

/** Each holds a connection and the list that it sent last. */
export const MAX_STREAMS = 100;
/** So that proxies, and clients, know that the other side lives. */
const HEARTBEAT_MS = 15_000;

export class EventStreams {
  private readonly streams = new Set<EventStream>();
  private readonly steps = new Steps();

  constructor(
    private readonly source: Pick<DiscoverySource, 'read' | 'follow'>,
    private readonly backlog: Pick<Backlog, 'full'>,
  ) {}

  get full(): boolean {
    return this.streams.size >= MAX_STREAMS;
  }

  /** Answers with a stream on `response`, which is this one's from now on. */
  open(label: string, selection: Selection, response: ServerResponse): void {
    const stream = new EventStream(this.source, this.steps, label, selection, response, {
      onWritten: () => this.relieve(),
      onEnd: () => this.streams.delete(stream),
    });
    this.streams.add(stream);
  }

  private relieve(): void {
    while (this.backlog.full) {
      const waiting = [...this.streams].filter(({ fullSince }) => fullSince !== undefined);
      const [longest] = waiting.sort((a, b) => (a.fullSince ?? 0) - (b.fullSince ?? 0));
      if (!longest) return;
      longest.hangUp();
    }
  }

  close(): void {
    for (const stream of this.streams) stream.end();
  }
}

class EventStream {
  private sent: readonly Registration[] | undefined;
  /** The client has not taken what was written before, since then: ms of a monotonic clock. */
  fullSince: number | undefined;
  /** It has not since the last heartbeat. */
  private wasFull = false;
  private sending = false;
  private again = false;
  private readonly unfollow: () => void;
  private readonly heart: NodeJS.Timeout;

  constructor(
    private readonly source: Pick<DiscoverySource, 'read' | 'follow'>,
    private readonly steps: Steps,
    private readonly label: string,
    private readonly selection: Selection,
    private readonly response: ServerResponse,
    private readonly options: { readonly onWritten: () => void; readonly onEnd: () => void },
  ) {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    response.on('close', () => this.end());
    response.on('error', () => this.end());
    response.on('drain', () => {
      this.fullSince = undefined;
      void this.send();
    });
    this.unfollow = source.follow(label, () => void this.send());
    this.heart = setInterval(() => this.beat(), HEARTBEAT_MS);
    void this.send();
  }

  end(): void {
    clearInterval(this.heart);
    this.unfollow();
    this.response.end();
    this.options.onEnd();
  }

  /** What waits for the client is dropped. */
  hangUp(): void {
    this.fullSince = undefined;
    this.response.destroy();
  }

  private beat(): void {
    const isFull = this.fullSince !== undefined;
    if (isFull && this.wasFull) {
      this.hangUp();
      return;
    }
    this.wasFull = isFull;
    if (!isFull) this.write(': alive\n\n');
  }

  /** Brings the client from what was sent last to what is so now. */
  private async send(): Promise<void> {
    this.again = true;
    if (this.sending) return;
    this.sending = true;
    while (this.again && this.fullSince === undefined && !this.response.destroyed && !this.response.writableEnded) {
      this.again = false;
      const all = await this.source.read(this.label).catch(() => undefined);
      // silence is not news
      if (all) this.step(this.steps.select(all, this.selection));
    }
    this.sending = false;
  }

  private step(now: readonly Registration[]): void {
    const before = this.sent;
    this.sent = now;
    if (!before) {
      this.write(event('list', now));
      return;
    }
    const text = this.steps.between(before, now);
    if (text !== '') this.write(text);
  }

  private write(text: string): void {
    if (this.response.writableEnded || this.response.destroyed) return;
    if (!this.response.write(text)) this.fullSince ??= performance.now();
    this.options.onWritten();
  }
}

/** What streams of the same label have in common, made once for all of them: a hundred cost as much as one. */
class Steps {
  private readonly selected = new WeakMap<readonly Registration[], Map<string, readonly Registration[]>>();
  private readonly texts = new WeakMap<
    readonly Registration[],
    { readonly now: readonly Registration[]; readonly text: string }
  >();

  /** As `select`; the same list for the same arguments. */
  select(all: readonly Registration[], selection: Selection): readonly Registration[] {
    const known = this.selected.get(all) ?? new Map<string, readonly Registration[]>();
    this.selected.set(all, known);
    const key = JSON.stringify([selection.healthy, selection.role ?? null]);
    const selected = known.get(key) ?? select(all, selection);
    known.set(key, selected);
    return selected;
  }

  /** The events that lead from one list to another; the last ones from each list are kept. */
  between(before: readonly Registration[], now: readonly Registration[]): string {
    if (before === now) return '';
    const known = this.texts.get(before);
    if (known?.now === now) return known.text;
    const { set, removed } = changesBetween(before, now);
    const text = [...removed.map((id) => event('remove', { id })), ...set.map((entry) => event('set', entry))].join('');
    this.texts.set(before, { now, text });
    return text;
  }
}

/** JSON has no raw newlines, so each event is one line of data. */
function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
