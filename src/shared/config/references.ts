/** Checks that what prestart scripts refer to is declared somewhere in the file. */
import { toUnitName, unitsOf } from '../names.ts';
import { references } from '../prestart-text.ts';
import type { Service } from '../spec.ts';
import { quote } from './endpoints.ts';
import type { Findings } from './findings.ts';
import { locate } from './located.ts';
import { nearest } from './nearest.ts';
import type { DeclaredService } from './services.ts';

/** What bash makes of the same text: the expansion of a variable. */
const SHELL_EXPANSION = /\$\{instance:([^{}\n]*)\}/g;

/**
 * Reports references to units that no service declares, and warns of those that stay unplaced as the file stands.
 * `broken` holds the names of services that have mistakes of their own: what they declare is not certain.
 *
 * A service may refer to its own units, and services to each other's: placement precedes every start, so none waits
 * for another's start.
 */
export function checkReferences(
  declared: readonly DeclaredService[],
  broken: ReadonlySet<string>,
  source: string,
  findings: Findings,
): void {
  const owners = new Map<string, Service>();
  for (const { service } of declared) for (const unit of unitsOf(service)) owners.set(unit, service);
  const names = [...owners.keys()].map(stem);
  for (const { service, index } of declared) {
    const script = service.prestart;
    if (script === undefined) continue;
    const place = (text: string): number => placeOf(text, index, source, findings);
    for (const name of references(script)) {
      const reference = `{instance:${name}}`;
      const owner = owners.get(toUnitName(name));
      if (owner === undefined) {
        if (!broken.has(templateOf(name)))
          findings.problemAt(
            place(reference),
            `${reference} names a unit that no service declares; ${hint(name, names)}`,
          );
      } else if (service.enabled && !isPlaced(owner, toUnitName(name))) {
        findings.warningAt(
          place(reference),
          `${quote(name)} runs nowhere as the file stands, so ${service.name} waits before its start`,
        );
      }
    }
    for (const [whole, name = ''] of script.matchAll(SHELL_EXPANSION)) {
      if (owners.has(toUnitName(name))) {
        findings.warningAt(
          place(whole),
          `${whole} is left to the shell; to have the hosts of ${name}, write {instance:${name}} without the $`,
        );
      }
    }
  }
}

function hint(name: string, names: readonly string[]): string {
  if (names.length === 0) return 'the file declares none';
  const near = nearest(stem(name), names);
  if (near !== undefined) return `did you mean {instance:${near}}?`;
  const siblings = names.filter((candidate) => templateOf(candidate) === templateOf(name));
  const shown = siblings.length > 0 ? siblings : names;
  return `declared: ${shown.slice(0, 8).join(', ')}${shown.length > 8 ? ', …' : ''}`;
}

function isPlaced(service: Service, unit: string): boolean {
  if (!service.enabled) return false;
  switch (service.type) {
    case 'global':
      return true;
    case 'shared':
      return service.count > 0;
    case 'multi':
      return Object.entries(service.instances).some(
        ([key, count]) => count > 0 && unit === `${service.name}@${key}.service`,
      );
  }
}

/** Where the text stands inside the script, when the script holds it as written; else where the script starts. */
function placeOf(text: string, index: number, source: string, findings: Findings): number {
  const script = locate(findings.root, ['services', index, 'prestart']);
  if (script.kind !== 'text') return script.start;
  for (let from = script.start; ; from += 1) {
    from = source.indexOf(text, from);
    if (from < 0 || from >= script.end) return script.start;
    if (source[from - 1] !== '$') return from;
  }
}

function stem(unit: string): string {
  return unit.endsWith('.service') ? unit.slice(0, -'.service'.length) : unit;
}

function templateOf(name: string): string {
  return stem(name).split('@')[0] ?? name;
}
