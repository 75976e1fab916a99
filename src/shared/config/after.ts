/** Checks what services wait for: that it is declared, can ever run, and does not wait for them in turn. */
import { unitsOf } from '../names.ts';
import { whyNowhere } from '../runs-nowhere.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { suggestion } from './nearest.ts';
import type { RawService } from './schema.ts';
import type { DeclaredService } from './services.ts';
import { serviceNameOf } from './start-order.ts';

/** `broken` holds the names of services that have mistakes of their own, and may be missing from `declared`. */
export function checkAfter(
  raw: readonly (RawService | undefined)[],
  declared: readonly DeclaredService[],
  broken: ReadonlySet<string>,
  findings: Findings,
): void {
  const known = new Map(declared.map(({ service }) => [service.name, service]));
  const waits = new Map(declared.map(({ service, index }) => [service.name, waitsOf(raw[index], index)]));
  for (const { service } of declared) {
    const seen = new Set<string>();
    for (const { name, path } of waits.get(service.name) ?? []) {
      const other = known.get(name);
      if (seen.has(name)) findings.problem(path, `after names ${quote(name)} twice; keep one of them`);
      else if (other === undefined && !broken.has(name)) findings.problem(path, unknownService(name, declared));
      const isFirst = service.enabled && !seen.has(name);
      const nowhere = other !== undefined && isFirst ? whyNowhere(other) : undefined;
      if (nowhere !== undefined) {
        const until = `${service.name} is not started until that changes, or ${name} is left out here`;
        findings.warning(path, `${name} runs nowhere as the file stands, as ${nowhere}: ${until}`);
      }
      seen.add(name);
    }
  }
  for (const { names, path } of cycles(waits)) {
    findings.problem(path, `${chain(names)}: none of them could ever start; remove one of these`);
  }
}

/** One entry of `after`, and where it is written. */
interface Wait {
  readonly name: string;
  readonly path: Path;
}

function waitsOf(raw: RawService | undefined, index: number): Wait[] {
  return (raw?.after ?? []).flatMap((entry, position) => {
    const name = serviceNameOf(entry?.service);
    return name === undefined ? [] : [{ name, path: ['services', index, 'after', position] }];
  });
}

function unknownService(name: string, declared: readonly DeclaredService[]): string {
  const whole = declared.find(({ service }) => unitsOf(service).includes(`${name}.service`))?.service.name;
  if (whole !== undefined) {
    return `after names ${quote(name)}, one unit of ${whole}, but only whole services can be waited for; write ${whole}`;
  }
  const names = declared.map(({ service }) => service.name);
  return `after names ${quote(name)}, which no service of the file is called; ${suggestion(name, names)}`;
}

/** `a waits for b waits for a`, without the middle of a long one. */
function chain(names: readonly string[]): string {
  const shown = names.length > 8 ? [...names.slice(0, 6), '…', ...names.slice(-1)] : names;
  return shown.join(' waits for ');
}

interface Cycle {
  /** The first name is the last one too. */
  readonly names: readonly string[];
  /** Of the entry that closes it. */
  readonly path: Path;
}

/** One for each entry that leads back to a service the search came through, in the order of the file. */
function cycles(waits: ReadonlyMap<string, readonly Wait[]>): Cycle[] {
  const found: Cycle[] = [];
  const seen = new Set<string>();
  const open = new Set<string>();
  const way: { readonly name: string; readonly rest: Iterator<Wait, undefined> }[] = [];
  const enter = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    open.add(name);
    way.push({ name, rest: (waits.get(name) ?? []).values() });
  };
  for (const start of waits.keys()) {
    enter(start);
    for (let last = way.at(-1); last !== undefined; last = way.at(-1)) {
      const wait = last.rest.next().value;
      if (wait === undefined) {
        open.delete(last.name);
        way.pop();
      } else if (open.has(wait.name)) {
        const names = way.map(({ name }) => name);
        found.push({ names: [...names.slice(names.indexOf(wait.name)), wait.name], path: wait.path });
      } else enter(wait.name);
    }
  }
  return found;
}
