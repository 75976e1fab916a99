/** What the leader waits for, as sentences: why nothing is moved, or placed on a host, at the moment. Pure. */
import type { Snapshot } from '../shared/snapshot.ts';

/** Hosts that are named where many are meant. */
const NAMED = 8;

/** One line for each thing that it waits for. */
export function describeNotes({ notes, members, spec }: Pick<Snapshot, 'notes' | 'members' | 'spec'>): string[] {
  if (notes === undefined) return [];
  const lines: string[] = [];
  const held = notes.held.filter((host) => !members.has(host));
  if (held.length > 0) {
    const seconds = (spec?.spec.brake.holdMs ?? 0) / 1000;
    lines.push(
      notes.brake
        ? `the brake is engaged, as many hosts were lost at once (${named(held)}): what they had is moved when ${seconds} s are over`
        : `${named(held)} may be on the way back: what they had is not moved yet`,
    );
  }
  const joining = notes.joining.filter((host) => members.has(host));
  if (joining.length > 0)
    lines.push(`${named(joining)} joined a moment ago: new instances wait until no more hosts join`);
  return lines;
}

function named(hosts: readonly string[]): string {
  if (hosts.length <= NAMED) return hosts.join(', ');
  return `${hosts.slice(0, NAMED).join(', ')} and ${hosts.length - NAMED} more`;
}
