/**
 * What hooks must remember across restarts of the daemon, in one small file: the state of the cluster that was told last,
 * how far the history was read, and what waits for each hook. It is written as a whole: whatever moment it is of, what came
 * after that moment is found again by comparing. No hook is told what is not in it yet: one that was told of a departure
 * by a daemon that died at once would not be told of the return.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { host, natural } from '../shared/payload-parts.ts';
import { clusterEvent } from './hook-event.ts';
import type { SavedQueue } from './hook-queue.ts';
import { EMPTY_VIEW, registrationKey, type View } from './hook-view.ts';

/** How far the history was read. */
export interface Position {
  /** Which history: the zxid of its znode's creation. */
  readonly history: string;
  /** Number of the newest batch that was read. */
  readonly number: number;
}

export interface HookState {
  readonly seen: View;
  readonly position?: Position | undefined;
  /** By the hook's key. */
  readonly queues: ReadonlyMap<string, SavedQueue>;
}

export interface HookFile {
  /** What was saved last; nothing when there is no readable file. Never rejects. */
  load(): Promise<HookState>;
  /** Replaces the file atomically, unless it holds just that. Rejects when the disk refuses. */
  save(state: HookState): Promise<void>;
}

const NOTHING: HookState = { seen: EMPTY_VIEW, queues: new Map() };

const registration = z.object({
  label: z.string(),
  id: z.string(),
  host,
  address: z.string(),
  port: natural.optional(),
  role: z.string().optional(),
  unit: z.string().optional(),
});
const schema = z.object({
  version: z.literal(1),
  members: z.record(
    host,
    z.object({ address: z.string(), labels: z.record(z.string(), z.string()), leaving: z.boolean() }),
  ),
  registrations: z.array(registration),
  leader: host.optional(),
  position: z.object({ history: z.string(), number: z.int() }).optional(),
  queues: z.record(z.string(), z.object({ events: z.array(clusterEvent), leftOut: natural })),
});

/** Keeps the memory in `path`. */
export function hookFile(path: string, log: Logger): HookFile {
  let saved: string | undefined;
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!missing) log.error(`${path} cannot be read (${String(error)}); hooks are told anew of all that is there`);
        return NOTHING;
      }
      const parsed = schema.safeParse(parseJson(text));
      if (!parsed.success) {
        log.error(`${path} is not readable and starts afresh; hooks are told anew of all that is there`);
        return NOTHING;
      }
      const { members, registrations, leader, position, queues } = parsed.data;
      const seen: View = {
        members: new Map(Object.entries(members)),
        registrations: new Map(registrations.map((each) => [registrationKey(each), each])),
        leader,
      };
      return { seen, position, queues: new Map(Object.entries(queues)) };
    },
    async save({ seen, position, queues }) {
      const text = JSON.stringify({
        version: 1,
        members: Object.fromEntries(seen.members),
        registrations: [...seen.registrations.values()],
        leader: seen.leader,
        position,
        queues: Object.fromEntries(queues),
      });
      if (text === saved) return;
      const temporary = `${path}.new`;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, path);
      saved = text;
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Shortest time from the end of one write to the next, ms; more for a file that takes long. */
const PAUSE_MS = 100;
/** Writing takes at most this share of the time, */
const SHARE = 20;
/** but no hook waits for longer than this because the disk, or this host, was busy once. */
const LONGEST_PAUSE_MS = 2_000;

/** Keeps the file up to date: what changes while it is written, or in the pause after, becomes one more write. */
export class HookMemory {
  /** Whoever waits for the next write. */
  private waiting: (() => void)[] = [];
  private writing: Promise<void> | undefined;
  private endPause = () => {};
  private closed = false;

  /** `state` is asked at the moment of each write. */
  constructor(
    private readonly file: HookFile,
    private readonly state: () => HookState,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Asks for a write; resolves when what is the state now is on disk, or the disk has refused. */
  save(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.writing ??= this.work();
    });
  }

  /** From now on there is no pause between writes; resolves when all that was asked for is on disk, or the disk has refused. */
  async close(): Promise<void> {
    this.closed = true;
    this.endPause();
    await this.writing;
  }

  private async work(): Promise<void> {
    // what changes at the same moment is one write
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const served = this.waiting.splice(0);
      const begun = this.clock.now();
      try {
        await this.file.save(this.state());
      } catch (error) {
        this.log.error(
          `what hooks are to be told could not be saved: ${messageOf(error)}; should the daemon be killed now, they may not be told of all`,
        );
      }
      for (const resolve of served) resolve();
      await this.pause(Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, SHARE * (this.clock.now() - begun))));
    }
    this.writing = undefined;
  }

  private pause(ms: number): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.clock.after(ms, resolve);
      this.endPause = () => {
        cancel();
        resolve();
      };
    });
  }
}
