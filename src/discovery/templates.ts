/**
 * Templates: files of this host that are rendered from what is registered and placed. Each follows from znodes and its
 * source alone, so that a daemon that begins anew and finds nothing changed touches nothing. While ZooKeeper is silent
 * nothing is touched either.
 */
import { digestOf } from '../shared/digest.ts';
import { Share } from '../shared/share.ts';
import type { Template } from '../shared/spec.ts';
import type { FollowedLabels } from './directory.ts';
import type { TemplateData } from './template-data.ts';
import { TemplateRunner, type TemplateRunnerOptions, type TemplateState } from './template-runner.ts';
import { TemplateSources, type TemplateSourcesOptions } from './template-sources.ts';

export interface TemplatesOptions
  extends Omit<TemplateSourcesOptions, 'onChange'>,
    Pick<TemplateRunnerOptions, 'folder' | 'reloadUnit' | 'run' | 'onWritten'> {}

/** Rendering takes at most this share of the daemon's time, of all templates together, however fast things change. */
const RENDERING_SHARE = 0.1;
/** After a quiet time 100 ms of rendering may come at once. */
const RENDERING_SAVED_MS = 1_000;

export class Templates {
  /** By what makes a template what it is. */
  private readonly runners = new Map<string, TemplateRunner>();
  /** Destination → the end of those that wrote it before. */
  private readonly endings = new Map<string, Promise<void>>();
  /** By the same: the labels that each can see. */
  private readonly labels = new Map<string, FollowedLabels>();
  private readonly keys = new WeakMap<Template, string>();
  private readonly share: Share;
  private sources: TemplateSources | undefined;
  private readonly unsubscribe: () => void;
  private ended = false;

  constructor(private readonly options: TemplatesOptions) {
    this.share = new Share({ clock: options.clock, share: RENDERING_SHARE, savedMs: RENDERING_SAVED_MS });
    this.unsubscribe = options.store.onState((state) => {
      if (state.kind === 'connected') this.look();
    });
  }

  /** Begins to watch: to be called when this host is a member. */
  start(): void {
    if (this.ended) return;
    this.sources ??= new TemplateSources({ ...this.options, onChange: () => this.look() });
  }

  /** Something may have changed. */
  look(): void {
    const { sources } = this;
    const selected = sources?.selected;
    if (!sources || !selected || this.ended || !this.connected) return;
    this.arrange(selected);
    sources.follow(selected.length > 0, this.seenLabels);
    for (const runner of this.runners.values()) runner.look();
  }

  /** An operator asked for a look: whatever is still wrong is said again. */
  reload(): void {
    this.look();
    for (const runner of this.runners.values()) runner.tellAgain();
  }

  /** All templates of this host. */
  get states(): readonly TemplateState[] {
    return [...this.runners.values()].map(({ state }) => state);
  }

  /** Those that could not be rendered, checked, written or told. */
  get failed(): number {
    return this.states.filter(({ state }) => state === 'failed').length;
  }

  /** Resolves when no file is written, and no program of a template runs, any more. */
  async close(): Promise<void> {
    this.ended = true;
    this.unsubscribe();
    this.sources?.close();
    for (const [key, runner] of [...this.runners]) this.drop(key, runner);
    await Promise.all(this.endings.values());
  }

  private get connected(): boolean {
    return this.options.store.state.kind === 'connected';
  }

  private data(): TemplateData | undefined {
    return this.connected && !this.ended ? this.sources?.data : undefined;
  }

  private get seenLabels(): FollowedLabels {
    const each = [...this.labels.values()];
    const some = each.flatMap((labels) => (labels === 'all' ? [] : [...labels]));
    return each.includes('all') ? 'all' : new Set(some);
  }

  private keyOf(template: Template): string {
    const key = this.keys.get(template) ?? digestOf(template);
    this.keys.set(template, key);
    return key;
  }

  /** What the template can see is read from now on. */
  private needs(key: string, labels: FollowedLabels): void {
    if (!this.runners.has(key)) return;
    this.labels.set(key, labels);
    this.sources?.follow(true, this.seenLabels);
  }

  private arrange(selected: readonly Template[]): void {
    const wanted = new Map(selected.map((template) => [this.keyOf(template), template]));
    for (const [key, runner] of [...this.runners]) if (!wanted.has(key)) this.drop(key, runner);
    for (const [key, template] of wanted) {
      if (this.runners.has(key)) continue;
      const after = this.endings.get(template.destination) ?? Promise.resolve();
      const { share } = this;
      const needs = (labels: FollowedLabels) => this.needs(key, labels);
      const runner = new TemplateRunner({ ...this.options, template, share, needs, data: () => this.data(), after });
      this.runners.set(key, runner);
    }
  }

  /** Its file stays. */
  private drop(key: string, runner: TemplateRunner): void {
    this.runners.delete(key);
    this.labels.delete(key);
    const { destination } = runner.state;
    const earlier = this.endings.get(destination);
    const ending = Promise.all([earlier, runner.close()]).then(() => {
      if (this.endings.get(destination) === ending) this.endings.delete(destination);
    });
    this.endings.set(destination, ending);
  }
}
