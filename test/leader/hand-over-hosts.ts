/** A hand-over among a few hosts, each written down as what it is, is told and says. */
import { type HandOver, handOver } from '../../src/leader/hand-over.ts';
import type { HostState } from '../../src/leader/placement.ts';
import type { Isolation } from '../../src/shared/spec.ts';
import type { ActiveState, Desired, DesiredUnit, Observed } from '../../src/shared/state.ts';

export const SPEC = 'sha256:';
export const NOBODY: ReadonlySet<string> = new Set();

export function entry(name: string, isolation: Isolation = 'stop', change: Partial<DesiredUnit> = {}): DesiredUnit {
  return { unit: `${name}.service`, service: name, isolation, why: { kind: 'kept' }, ...change };
}

export const withdrawn = (name: string, isolation: Isolation = 'stop') => entry(name, isolation, { withdrawn: true });

/** What one host is, is told, and says. */
export interface At {
  readonly state?: HostState;
  readonly wanted?: readonly DesiredUnit[];
  /** Written for it now, as generation `WRITTEN` of epoch 1. */
  readonly written?: readonly DesiredUnit[];
  /** The generation that it reports; undefined: there is no report. */
  readonly obeys?: number;
  /** Default 1. */
  readonly epoch?: number;
  readonly refused?: string;
  readonly leaving?: boolean;
  readonly up?: Readonly<Record<string, ActiveState>>;
}

export const WRITTEN = 5;

/** The hand-over among these hosts; those of `lost` are members no more. */
export function decide(
  hosts: Readonly<Record<string, At>>,
  { everywhere = NOBODY, lost = NOBODY, unsure = NOBODY }: Readonly<Record<string, ReadonlySet<string>>> = {},
): HandOver {
  const all = Object.entries(hosts);
  const written = new Map<string, Desired>();
  const observed = new Map<string, Observed>();
  for (const [host, at] of all) {
    if (at.written) written.set(host, { host, epoch: 1, generation: WRITTEN, spec: SPEC, units: at.written });
    if (at.obeys === undefined) continue;
    observed.set(host, {
      host,
      epoch: at.epoch ?? 1,
      generation: at.obeys,
      ...(at.refused !== undefined && { refused: at.refused }),
      ...(at.leaving && { leaving: true }),
      units: Object.entries(at.up ?? {}).map(([name, active]) => ({
        unit: `${name}.service`,
        load: 'loaded',
        active,
        sub: 'x',
      })),
    });
  }
  const live = all.filter(([host]) => !lost.has(host));
  return handOver({
    wanted: new Map(live.map(([host, at]) => [host, at.wanted ?? []])),
    written,
    observed,
    hosts: live.map(([name, { state }]) => ({ name, state: state ?? 'ready', excluded: new Map() })),
    unsure,
    everywhere,
  });
}
