/** Which desired states an executor obeys: never one that is older than what it obeyed before. Pure. */
import type { Desired, Version } from '../shared/state.ts';
import { compareVersions } from '../shared/version.ts';

export type Acceptance =
  | { readonly kind: 'accept' }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refuse'; readonly why: string };

const show = (version: Version): string => `(epoch ${version.epoch}, generation ${version.generation})`;

/**
 * `applied` is the newest version obeyed, before a restart too; `current` its content, when this process has seen it.
 * A lower version is refused, and so is the same version with other content.
 */
export function accept(next: Desired, host: string, applied: Version, current: Desired | undefined): Acceptance {
  if (next.host !== host) {
    return { kind: 'refuse', why: `desired/${host} holds the desired state of host ${next.host}; ignored` };
  }
  const order = compareVersions(next, applied);
  if (order < 0) {
    return {
      kind: 'refuse',
      why: `desired state ${show(next)} is older than ${show(applied)}, which was obeyed before`,
    };
  }
  if (order === 0 && current) {
    if (JSON.stringify(current) === JSON.stringify(next)) return { kind: 'unchanged' };
    return { kind: 'refuse', why: `desired state ${show(next)} came a second time with other content` };
  }
  return { kind: 'accept' };
}
