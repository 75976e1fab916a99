/** Labels of a host as hooks remember and tell them. Pure. */
import { compare } from '../shared/names.ts';

/** Names and values together, in UTF-16 code units: they are kept with each event that waits. */
const MAX_LABELS = 4_096;

/** All of them or, of a host that has more, those that fit: first `role`, which filters ask for, then by name. */
export function labelsForHooks(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const rank = (name: string) => (name === 'role' ? 0 : 1);
  let left = MAX_LABELS;
  const kept = Object.entries(labels)
    .sort(([a], [b]) => rank(a) - rank(b) || compare(a, b))
    .filter(([name, value]) => {
      const size = name.length + value.length;
      if (size > left) return false;
      left -= size;
      return true;
    });
  return kept.length === Object.keys(labels).length ? labels : Object.fromEntries(kept);
}
