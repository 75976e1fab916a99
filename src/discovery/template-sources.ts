/**
 * What this host reads for its templates: which there are, whether they concern it, and what they are rendered from. Only
 * the spec and this host's own placement are looked at where no template is.
 */
import type { Clock } from '../shared/clock.ts';
import type { Member } from '../shared/cluster.ts';
import { Collection } from '../shared/collection.ts';
import type { Logger } from '../shared/log.ts';
import { decodeDesired, decodeMember, decodeSpecRecord } from '../shared/payloads.ts';
import type { Template } from '../shared/spec.ts';
import type { Desired } from '../shared/state.ts';
import type { Store, Watch } from '../shared/store.ts';
import { DESIRED, desiredPath, MEMBERS, SPEC } from '../shared/znodes.ts';
import { Directory, type FollowedLabels } from './directory.ts';
import { selects } from './hook-match.ts';
import { type TemplateData, templateData } from './template-data.ts';
import { TemplateLeases } from './template-leases.ts';

export interface TemplateSourcesOptions {
  readonly host: string;
  /** Where others reach this host: a host name or an IP address. */
  readonly address: () => string;
  /** Labels of this host. */
  readonly labels: () => Readonly<Record<string, string>>;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: () => void;
}

/** Members, placements, leases, and what is registered under the labels that are asked for, kept up to date. */
export class TemplateFacts {
  private readonly members: Collection<Member>;
  private readonly desired: Collection<Desired>;
  private directory: Directory;
  private labels: FollowedLabels = new Set();
  private readonly leases: TemplateLeases;
  private made: TemplateData | undefined;

  constructor(
    private readonly options: Omit<TemplateSourcesOptions, 'labels'>,
    labels: FollowedLabels,
  ) {
    const { store, log } = options;
    const onChange = () => this.onChange();
    this.members = new Collection(store, MEMBERS, decodeMember, log, onChange);
    this.desired = new Collection(store, DESIRED, decodeDesired, log, onChange);
    this.directory = this.newDirectory();
    this.followLabels(labels);
    this.leases = new TemplateLeases(store, log, onChange);
  }

  /** The same object until something changes; undefined: not all has been read yet. */
  get data(): TemplateData | undefined {
    const { members, desired, directory, leases } = this;
    if (!members.ready || !desired.ready || !directory.ready || !leases.ready) return undefined;
    this.made ??= templateData({
      host: this.options.host,
      address: this.options.address(),
      members: members.values.values(),
      desired: desired.values.values(),
      registrations: directory.labels().flatMap((label) => directory.entries(label)),
      leases: leases.leases,
    });
    return this.made;
  }

  /** These and no others. There is no data until those that are new have been read. */
  followLabels(labels: FollowedLabels): void {
    if (isPart(labels, this.labels) && isPart(this.labels, labels)) return;
    if (!isPart(this.labels, labels)) {
      this.directory.close();
      this.directory = this.newDirectory();
    }
    this.labels = labels;
    this.made = undefined;
    if (labels === 'all') this.directory.followAll();
    else for (const label of labels) this.directory.follow(label);
  }

  private newDirectory(): Directory {
    const { store, clock, log } = this.options;
    return new Directory({ store, clock, log, onChange: () => this.onChange(), gatherMs: 0 });
  }

  private onChange(): void {
    this.made = undefined;
    this.options.onChange();
  }

  close(): void {
    this.members.close();
    this.desired.close();
    this.directory.close();
    this.leases.close();
  }
}

export class TemplateSources {
  private declared: readonly Template[] | undefined;
  /** Services of which this host is to run an instance; undefined: not read yet. */
  private placed: ReadonlySet<string> | undefined;
  private facts: TemplateFacts | undefined;
  private readonly watches: readonly Watch[];

  constructor(private readonly options: TemplateSourcesOptions) {
    const { store, host, log, onChange } = options;
    this.watches = [
      store.watch(SPEC, (node) => {
        const decoded = node && decodeSpecRecord(node.data, node.path);
        // one that cannot be read is reported by whoever proposes and leads; the templates stay as they are
        if (decoded?.ok) this.declared = decoded.value.spec.templates ?? [];
        onChange();
      }),
      store.watch(desiredPath(host), (node) => {
        const decoded = node && decodeDesired(node.data, node.path);
        if (decoded && !decoded.ok) log.debug(`${decoded.problem}; templates stay where they are`);
        else {
          const units = decoded?.value.units.filter(({ withdrawn }) => !withdrawn) ?? [];
          this.placed = new Set(units.map(({ service }) => service));
        }
        onChange();
      }),
    ];
  }

  /** The templates that concern this host; undefined: not known yet. */
  get selected(): readonly Template[] | undefined {
    const { declared, placed } = this;
    if (declared === undefined || placed === undefined) return undefined;
    const facts = { labels: this.options.labels(), services: placed };
    return declared.filter(({ on }) => selects(on, facts));
  }

  /** Begins or ends to read what templates are rendered from; `labels`: those that some template can see. */
  follow(needed: boolean, labels: FollowedLabels): void {
    if (needed) {
      this.facts ??= new TemplateFacts(this.options, labels);
      this.facts.followLabels(labels);
    } else {
      this.facts?.close();
      this.facts = undefined;
    }
  }

  get data(): TemplateData | undefined {
    return this.facts?.data;
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    this.follow(false, new Set());
  }
}

/** Whether all of `some` are among `all`. */
function isPart(some: FollowedLabels, all: FollowedLabels): boolean {
  if (all === 'all') return true;
  return some !== 'all' && [...some].every((label) => all.has(label));
}
