/** A file for `servicewatcher watch --file`: a YAML list of maps, their keys the command's options. Pure. */
import type { ZodError } from 'zod';
import { readWatch, type WatchCheck, watchText } from '../discovery/watch-check.ts';
import { byPosition, type ConfigProblem } from '../shared/config/config.ts';
import { keyOffset, type LocatedDocument, parseLocated, toPlain } from '../shared/config/located.ts';
import { suggestion } from '../shared/config/nearest.ts';

export type WatchFile =
  | { readonly ok: true; readonly checks: readonly WatchCheck[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** One process does not watch more. */
const MAX_CHECKS = 1_000;
const FORM = 'write a list of checks: - {label: web, service-id: web-1, monitor-url: "http://127.0.0.1:80/"}';

/** All problems at once, sorted by position. Never throws. */
export function parseWatchFile(source: string, here: { readonly host: string; readonly address: string }): WatchFile {
  const document = parseLocated(source);
  if (document.problems.length > 0) return { ok: false, problems: document.problems };
  const { root, at } = document;
  if (root.kind !== 'list' || root.items.length === 0) return { ok: false, problems: [at(root.start, FORM)] };
  if (root.items.length > MAX_CHECKS) {
    const what = `${root.items.length} checks are more than the ${MAX_CHECKS} that one process watches; make two files`;
    return { ok: false, problems: [at(root.start, what)] };
  }
  const problems: ConfigProblem[] = [];
  const checks: WatchCheck[] = [];
  const places = new Set<string>();
  for (const [index, item] of root.items.entries()) {
    const text = watchText.safeParse(toPlain(item));
    if (!text.success) {
      problems.push(...shapeProblems(text.error, document, index));
      continue;
    }
    const read = readWatch(text.data, here);
    if (!read.ok) {
      for (const { key, what } of read.faults) problems.push(at(keyOffset(root, [index, key]), `${key} ${what}`));
      continue;
    }
    const { label, id } = read.check.registration;
    if (places.has(`${label}/${id}`))
      problems.push(at(item.start, `${label} has this service-id already; use another one`));
    places.add(`${label}/${id}`);
    checks.push(read.check);
  }
  return problems.length === 0 ? { ok: true, checks } : { ok: false, problems: problems.sort(byPosition) };
}

function shapeProblems(error: ZodError, { root, at }: LocatedDocument, index: number): ConfigProblem[] {
  const keys = Object.keys(watchText.shape);
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) =>
        at(keyOffset(root, [index, key]), `${key} is no key here; ${suggestion(key, keys)}`),
      );
    const path = [index, ...issue.path];
    const [key] = issue.path;
    return [at(keyOffset(root, path), key === undefined ? FORM : `${String(key)} is not understood; write a text`)];
  });
}
