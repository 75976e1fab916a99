/**
 * Templates: files of this host that are rendered from what is registered and placed. Each follows from znodes and its
 * source alone, so that a daemon that begins anew and finds nothing changed touches nothing. While ZooKeeper is silent
 * nothing is touched either.
 */
import { digestOf } from '../shared/digest.ts';
import type { Template } from '../shared/model.ts';
import type { TemplateData } from './template-data.ts';
import { TemplateRunner, type TemplateRunnerOptions, type TemplateState } from './template-runner.ts';
import { TemplateSources, type TemplateSourcesOptions } from './template-sources.ts';

export interface TemplatesOptions
  extends Omit<TemplateSourcesOptions, 'onChange'>,
    Pick<TemplateRunnerOptions, 'folder' | 'reloadUnit' | 'run' | 'onWritten'> {}

export class Templates {
  /** By what makes a template what it is. */
  private readonly runners = new Map<string, TemplateRunner>();
  /** Destination → the end of those that wrote it before. */
  private readonly endings = new Map<string, Promise<void>>();
  private sources: TemplateSources | undefined;
  private readonly unsubscribe: () => void;
  private ended = false;

  constructor(private readonly options: TemplatesOptions) {
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
    sources.follow(selected.length > 0);
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

  private arrange(selected: readonly Template[]): void {
    const wanted = new Map(selected.map((template) => [digestOf(template), template]));
    for (const [key, runner] of [...this.runners]) if (!wanted.has(key)) this.drop(key, runner);
    for (const [key, template] of wanted) {
      if (this.runners.has(key)) continue;
      const after = this.endings.get(template.destination) ?? Promise.resolve();
      this.runners.set(key, new TemplateRunner({ ...this.options, template, data: () => this.data(), after }));
    }
  }

  /** Its file stays. */
  private drop(key: string, runner: TemplateRunner): void {
    this.runners.delete(key);
    const { destination } = runner.state;
    const earlier = this.endings.get(destination);
    const ending = Promise.all([earlier, runner.close()]).then(() => {
      if (this.endings.get(destination) === ending) this.endings.delete(destination);
    });
    this.endings.set(destination, ending);
  }
}
