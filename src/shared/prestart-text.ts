/**
 * `{instance:UNIT}` references in prestart scripts. UNIT is taken as it stands up to the closing brace, so that every
 * name systemd allows can be written, with or without `.service`.
 *
 * `${instance:…}` is not a reference: it is the shell's own expansion of a variable called `instance`.
 */

const REFERENCE = /(?<!\$)\{instance:([^{}\n]*)\}/g;

/** Names referred to, as written, each once, in the order of their first appearance. */
export function references(script: string): string[] {
  return [...new Set(Array.from(script.matchAll(REFERENCE), (match) => match[1] ?? ''))];
}

/**
 * The script with each reference replaced by its hosts, comma-separated. `values` is keyed by the name as written;
 * a reference that has no entry in it stays as it is.
 */
export function substitute(script: string, values: Readonly<Record<string, readonly string[]>>): string {
  return script.replace(REFERENCE, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name]?.join(',') ?? whole) : whole,
  );
}
