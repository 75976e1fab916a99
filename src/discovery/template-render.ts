/**
 * A template and data → text, by Handlebars, which is loaded when the first template is rendered and not before. Nothing
 * is escaped, as no template here is of HTML; of what a template names only own properties are read.
 */
import { messageOf } from '../shared/error-text.ts';
import type { TemplateData } from './template-data.ts';
import { HELPERS, HelperError } from './template-helpers.ts';

export type Rendered =
  | { readonly ok: true; readonly text: string }
  /** `FILE:LINE:COLUMN: what is wrong`, or `FILE: …` where no place is known. One line. */
  | { readonly ok: false; readonly problem: string };

/** What is rendered may have so many bytes. */
export const MAX_RENDERED_BYTES = 4 * 1024 * 1024;

/** Once for all templates. */
let loading: Promise<typeof import('handlebars')> | undefined;

/** `source` names the template in problems. Never rejects. */
export async function renderTemplate(source: string, template: string, data: TemplateData): Promise<Rendered> {
  loading ??= import('handlebars');
  const handlebars = (await loading).default;
  const environment = handlebars.create();
  environment.registerHelper({ ...HELPERS });
  // it would write to the daemon's own output
  environment.unregisterHelper('log');
  const known = Object.fromEntries([...Object.keys(HELPERS), 'log'].map((name) => [name, name !== 'log']));
  let parsed = false;
  try {
    const program = environment.parse(template);
    parsed = true;
    const render = environment.compile(program, { noEscape: true, knownHelpers: known, knownHelpersOnly: true });
    // said in so many words, as otherwise each denial is told on the daemon's own output
    const text = render(data, { allowProtoPropertiesByDefault: false, allowProtoMethodsByDefault: false });
    const bytes = Buffer.byteLength(text);
    if (bytes <= MAX_RENDERED_BYTES) return { ok: true, text };
    return { ok: false, problem: `${source}: it renders to ${bytes} bytes; ${MAX_RENDERED_BYTES} are the most` };
  } catch (error) {
    const at = placeOf(error) ?? (parsed ? undefined : lastToken(environment));
    const place = at ? `${source}:${at.line}:${at.column + 1}` : source;
    return { ok: false, problem: `${place}: ${wordsOf(error)}` };
  }
}

interface Place {
  readonly line: number;
  /** From 0. */
  readonly column: number;
}

/** What Handlebars, or one of our helpers, knows of where it happened. */
function placeOf(error: unknown): Place | undefined {
  if (error instanceof HelperError) return error.at;
  return place(of(error, 'lineNumber'), of(error, 'column'));
}

/** The parser's own error tells the line only: the token that it stumbled over is the one it read last. */
function lastToken(environment: unknown): Place | undefined {
  const location = of(of(of(environment, 'Parser'), 'lexer'), 'yylloc');
  return place(of(location, 'first_line'), of(location, 'first_column'));
}

function place(line: unknown, column: unknown): Place | undefined {
  return typeof line === 'number' && typeof column === 'number' ? { line, column } : undefined;
}

function of(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

/** One line, without the place, and without the parser's drawing. */
function wordsOf(error: unknown): string {
  const message = messageOf(error);
  const expected = /^Expecting (.+)$/m.exec(message)?.[0];
  if (/^(Parse|Lexical) error on line/.test(message)) return `it cannot be parsed${expected ? `: ${expected}` : ''}`;
  const unknown = /knownHelpersOnly, but used the unknown helper (\S+)/.exec(message)?.[1];
  if (unknown !== undefined) return `there is no helper ${unknown}; there are ${Object.keys(HELPERS).join(', ')}`;
  return message.replace(/ - \d+:\d+$/, '').replace(/\s*\n\s*/g, ' ');
}
