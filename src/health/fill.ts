/** What stands in braces in a check, filled in on the host that runs it. Pure. */
import type { Probe } from '../shared/attachments.ts';

/** What a check may name: `{host}`, `{address}` (of the host), `{instance}`. */
export interface Placeholders {
  readonly host: string;
  readonly address: string;
  readonly instance: string;
}

/** The key of a template unit, `web@blue.service` → `blue`; else the name without `.service`. */
export function instanceOf(unit: string): string {
  const stem = unit.replace(/\.service$/, '');
  const at = stem.indexOf('@');
  return at < 0 ? stem : stem.slice(at + 1);
}

/** The probe with its placeholders replaced; other words in braces stay as they are. */
export function fillProbe(probe: Probe, values: Placeholders): Probe {
  const bracketed = values.address.includes(':') ? `[${values.address}]` : values.address;
  switch (probe.kind) {
    case 'http':
      // in a URL a key is data: it must not become a part of its structure
      return { ...probe, url: fill(probe.url, { ...encoded(values), address: bracketed }) };
    case 'tcp':
      return { ...probe, address: fill(probe.address, { ...values, address: bracketed }) };
    case 'exec': {
      const [program, ...args] = probe.command;
      return { ...probe, command: [fill(program, values), ...args.map((arg) => fill(arg, values))] };
    }
  }
}

function encoded(values: Placeholders): Placeholders {
  return { ...values, instance: encodeURIComponent(values.instance) };
}

function fill(text: string, values: Placeholders): string {
  return text.replace(/\{(host|address|instance)\}/g, (whole, name: string) => {
    switch (name) {
      case 'host':
      case 'address':
      case 'instance':
        return values[name];
      default:
        return whole;
    }
  });
}
