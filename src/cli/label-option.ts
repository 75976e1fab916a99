/** `--label` of the commands that look for what is registered, or register it. */
import { isLabel } from '../shared/names.ts';

/** What is wrong with it, if anything, one sentence. */
export function labelFault(label: string): string | undefined {
  if (isLabel(label)) return undefined;
  return `--label: ${JSON.stringify(label.slice(0, 200))} is no label: 1 to 100 letters, digits and _ . - are, beginning with a letter or digit`;
}
