/** Reads configurations for tests: what they say, and what is said of them. */
import { type Config, type ConfigProblem, renderProblem } from '../../../src/shared/config/config.ts';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';
import type { Service, Spec } from '../../../src/shared/spec.ts';

/** A line with a quorum. */
export const HEAD = 'zookeeper: {quorum: zk1}\n';

/** What the mistake is, the file, and what is said. */
export type Mistake = readonly [name: string, source: string, ...expected: string[]];

/** `source` below a line with a quorum; services are missing where it starts with another key. */
function whole(source: string): string {
  const services = source.startsWith('- ') ? 'services:\n' : source.startsWith('services:') ? '' : 'services: []\n';
  return `${HEAD}${services}${source}`;
}

const lines = (all: readonly ConfigProblem[]): string[] => all.map((problem) => renderProblem('c.yml', problem));

function accept(source: string): { config: Config; warnings: readonly ConfigProblem[] } {
  const parsed = parseConfig(whole(source), 'c.yml', 'w1');
  if (!parsed.ok) throw new Error(lines(parsed.problems).join('\n'));
  return parsed;
}

/** Of a list of services when it starts with a dash; a service's first line is the third. */
export const spec = (source: string): Spec => accept(source).config.spec;
export const digest = (source: string): string => accept(source).config.specDigest;
export const warnings = (source: string): string[] => lines(accept(source).warnings);

export const problems = (source: string): string[] => fileProblems(whole(source));

/** Of a file as it stands; of a list of services below a line with a quorum when it starts with a dash. */
export function fileProblems(source: string): string[] {
  const parsed = parseConfig(source.startsWith('- ') ? whole(source) : source, 'c.yml', 'w1');
  return parsed.ok ? [] : lines(parsed.problems);
}

/** The first service, written as `- {name: a, count: 1, KEYS}`, or with other keys than `count: 1`. */
export function service(keys: string, placement = 'count: 1'): Service {
  const [first] = spec(`- {name: a, ${placement}, ${keys}}`).services;
  if (first === undefined) throw new Error('there is no service');
  return first;
}
