/**
 * One template on this host: rendered, checked and put in place whenever something has changed, and now and then, so that
 * a changed template, a file changed by hand and a check that failed are looked at again. It delays no other template.
 * The first change after a rest is acted upon at once; after that it rests for `debounce`, or, when nothing came of it, for
 * as long as it took; and longer when all rendering on the host takes more than its share of the time.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import type { Share } from '../shared/share.ts';
import type { Template } from '../shared/spec.ts';
import type { FollowedLabels } from './directory.ts';
import type { TemplateData } from './template-data.ts';
import { TemplateFile, type TemplateFileOptions } from './template-file.ts';
import { renderTemplate, templateLabels } from './template-render.ts';

/** As `/status` shows it. `waiting`: not all has been read from ZooKeeper yet. */
export interface TemplateState {
  readonly destination: string;
  readonly state: 'waiting' | 'current' | 'failed';
  /** One sentence; only when `failed`. */
  readonly problem?: string;
}

export interface TemplateRunnerOptions {
  readonly template: Template;
  readonly clock: Clock;
  readonly log: Logger;
  readonly folder: string;
  readonly reloadUnit: TemplateFileOptions['reloadUnit'];
  readonly run: TemplateFileOptions['run'];
  /** Of the daemon's time, for rendering. */
  readonly share: Share;
  /** Told which labels the template can see before `data` is asked for. */
  readonly needs: (labels: FollowedLabels) => void;
  /** Undefined: nothing may be touched now. */
  readonly data: () => TemplateData | undefined;
  /** A file was written. */
  readonly onWritten: () => void;
  /** What went before at this destination has ended. */
  readonly after: Promise<void>;
}

/** How often it is looked at when nothing is told, ms. */
const TICK_MS = 15_000;
/** What changes at once, as when a host dies with all that is registered there, is read within so many ms. */
const GATHER_MS = 5;
/** A rendering that failed is followed by a rest so many times as long. */
const REST_AFTER_FAILURE = 20;
/** A template may have so many bytes. */
export const MAX_SOURCE_BYTES = 1024 * 1024;

export class TemplateRunner {
  private readonly abort = new AbortController();
  private readonly file: TemplateFile;
  private readonly loop: Loop;
  private current: TemplateState;
  /** What the template can see, by its text. */
  private seen: { readonly text: string; readonly labels: FollowedLabels } | undefined;
  /** How long it rests after the last pass. */
  private restMs = 0;
  /** The problem that was said last. */
  private told: string | undefined;

  constructor(private readonly options: TemplateRunnerOptions) {
    const { template, clock, log, folder, reloadUnit, run } = options;
    this.current = { destination: template.destination, state: 'waiting' };
    this.file = new TemplateFile({ template, folder, reloadUnit, run, signal: this.abort.signal });
    this.loop = new Loop({
      name: `template ${template.source}`,
      clock,
      log,
      gatherMs: GATHER_MS,
      restMs: () => Math.max(this.restMs, this.options.share.restMs),
      tickMs: () => Math.max(TICK_MS, template.debounceMs),
      pass: () => this.pass(),
    });
  }

  get state(): TemplateState {
    return this.current;
  }

  look(): void {
    this.loop.trigger();
  }

  /** What is wrong is said again, should it still be so. */
  tellAgain(): void {
    this.told = undefined;
    this.loop.trigger();
  }

  /** Resolves when nothing of it is under way: a check or reload that runs is ended. */
  async close(): Promise<void> {
    this.abort.abort(new Error('the template is no longer for this host, or the daemon ends'));
    await this.loop.stop();
  }

  private async pass(): Promise<void> {
    const { template, data, needs, share, clock, log, onWritten, after } = this.options;
    await after;
    if (data() === undefined) return;
    const begun = clock.now();
    this.restMs = template.debounceMs;
    const source = await readSource(template.source);
    if (source.ok && this.seen?.text !== source.text)
      this.seen = { text: source.text, labels: await templateLabels(source.text) };
    if (this.abort.signal.aborted) return;
    if (this.seen) needs(this.seen.labels);
    // what was read meanwhile counts; silence that began meanwhile does, too
    const works = clock.now();
    const facts = data();
    if (facts === undefined) return;
    const rendered = source.ok ? await renderTemplate(template.source, source.text, facts) : source;
    share.spend(clock.now() - works);
    if (this.abort.signal.aborted) return;
    if (!rendered.ok) {
      // what fails after much work must not do it again at each change
      this.restMs = Math.max(this.restMs, REST_AFTER_FAILURE * (clock.now() - begun));
      return this.failed(rendered.problem, false);
    }
    const applied = await this.file.apply(rendered.text);
    if (this.abort.signal.aborted) return;
    switch (applied.kind) {
      case 'same':
        this.restMs = Math.min(template.debounceMs, clock.now() - begun);
        break;
      case 'done': {
        const { reload } = template;
        const told = reload?.kind === 'unit' ? `${reload.unit} was reloaded` : 'its reload was run';
        const words = [applied.written && 'was written', applied.reloaded && told].filter((word) => word !== false);
        log.info(`${template.destination} ${applied.written ? '' : 'is as it was: '}${words.join(', ')}`);
        break;
      }
      case 'failed':
        if (applied.written) onWritten();
        return this.failed(applied.problem, applied.written);
      default:
        applied satisfies never;
    }
    if (applied.kind === 'done' && applied.written) onWritten();
    if (this.current.state === 'failed') log.info(`the template ${template.source} is right again`);
    this.current = { destination: template.destination, state: 'current' };
    this.told = undefined;
  }

  /** Said once, as long as it stays the same. */
  private failed(problem: string, written: boolean): void {
    const { template, log } = this.options;
    const { source, destination } = template;
    if (this.told !== problem)
      log.error(
        `the template ${source}: ${problem}; ${written ? `${destination} is written` : `${destination} stays as it was`}, it is tried again in ${TICK_MS / 1000} s and when something changes`,
      );
    this.current = { destination, state: 'failed', problem };
    this.told = problem;
  }
}

type Source = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: string };

/** The text of a template. Never rejects. */
export async function readSource(path: string): Promise<Source> {
  try {
    // a named pipe must not be waited for
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) return { ok: false, problem: `${path} is no file` };
      if (stat.size > MAX_SOURCE_BYTES)
        return { ok: false, problem: `${path} has ${stat.size} bytes; ${MAX_SOURCE_BYTES} are the most` };
      return { ok: true, text: await file.readFile('utf8') };
    } finally {
      await file.close();
    }
  } catch (error) {
    return { ok: false, problem: `${path} cannot be read: ${messageOf(error)}` };
  }
}
