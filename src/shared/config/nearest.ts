/** Suggestions for misspelt words. */
import { closest, distance } from 'fastest-levenshtein';

/** The known word that `word` was probably meant to be; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const candidate = closest(word.toLowerCase(), known);
  const allowed = Math.max(2, Math.floor(Math.max(word.length, candidate.length) / 3));
  return distance(word.toLowerCase(), candidate.toLowerCase()) <= allowed ? candidate : undefined;
}

/** `did you mean X?`, or the list of what is allowed when nothing is near. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? `allowed: ${known.join(', ')}` : `did you mean ${near}?`;
}
