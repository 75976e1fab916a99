/** `--label` of the commands that look for what is registered, or register it, and how what was typed is repeated. */
import { isLabel } from '../shared/names.ts';

/** A message repeats no more of an option than this. */
const MAX_SHOWN = 100;

/** What is wrong with it, if anything, one sentence. */
export function labelFault(label: string): string | undefined {
  if (isLabel(label)) return undefined;
  return `--label: ${shown(label)} is no label: 1 to 100 letters, digits and _ . - are, beginning with a letter or digit`;
}

/** In quotes, on one line, and short. */
export function shown(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
