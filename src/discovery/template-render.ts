/**
 * A template and data → text, by Handlebars, which is loaded when the first template is rendered and not before. Nothing
 * is escaped, as no template here is of HTML; of what a template names only own properties are read.
 */
import { type ConfigProblem, renderProblem } from '../shared/config/config.ts';
import { messageOf } from '../shared/error-text.ts';
import type { FollowedLabels } from './directory.ts';
import { Budget } from './template-budget.ts';
import type { TemplateData } from './template-data.ts';
import { HELPERS, HelperError } from './template-helpers.ts';
import { labelsSeenBy } from './template-labels.ts';

export type Rendered =
  | { readonly ok: true; readonly text: string }
  /** `FILE:LINE:COLUMN: what is wrong`, or `FILE: …` where no place is known. One line. */
  | { readonly ok: false; readonly problem: string };

/** What is rendered may have so many bytes. */
export const MAX_RENDERED_BYTES = 4 * 1024 * 1024;

const load = () => import('handlebars');
/** Once for all templates. */
let loading: ReturnType<typeof load> | undefined;

const KNOWN = Object.fromEntries([...Object.keys(HELPERS), 'log'].map((name) => [name, name !== 'log']));
const COMPILED = { noEscape: true, knownHelpers: KNOWN, knownHelpersOnly: true };
// said in so many words, as otherwise each denial is told on the daemon's own output
const GUARDED = { allowProtoPropertiesByDefault: false, allowProtoMethodsByDefault: false };

/** `source` names the template in problems. Never rejects. */
export async function renderTemplate(source: string, template: string, data: TemplateData): Promise<Rendered> {
  const environment = await newEnvironment();
  const rendered = attempt(environment, template, (program) => environment.compile(program, COMPILED)(data, GUARDED));
  if (!rendered.ok) return { ok: false, problem: renderProblem(source, rendered.mistake) };
  const { length } = rendered.value;
  const bytes = length > MAX_RENDERED_BYTES ? length : Buffer.byteLength(rendered.value);
  if (bytes <= MAX_RENDERED_BYTES) return { ok: true, text: rendered.value };
  return { ok: false, problem: `${source}: it renders to ${bytes} bytes; ${MAX_RENDERED_BYTES} are the most` };
}

/** What is wrong with a template whatever it is rendered from: it cannot be parsed, or there is no such helper. Never rejects. */
export async function templateMistake(template: string): Promise<ConfigProblem | undefined> {
  const environment = await newEnvironment();
  const compiled = attempt(environment, template, (program) => environment.precompile(program, COMPILED));
  return compiled.ok ? undefined : compiled.mistake;
}

/** The labels that a template can see; of one that cannot be parsed, none. Never rejects. */
export async function templateLabels(template: string): Promise<FollowedLabels> {
  const seen = attempt(await newEnvironment(), template, labelsSeenBy);
  return seen.ok ? seen.value : new Set();
}

type Environment = ReturnType<typeof import('handlebars').create>;
type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly mistake: ConfigProblem };

async function newEnvironment(): Promise<Environment> {
  loading ??= load();
  const environment = (await loading).default.create();
  const budget = new Budget(MAX_RENDERED_BYTES);
  for (const [name, helper] of Object.entries(HELPERS)) environment.registerHelper(name, budget.counted(helper));
  const { each } = environment.helpers;
  if (each) environment.registerHelper('each', budget.limited(each));
  // it would write to the daemon's own output
  environment.unregisterHelper('log');
  return environment;
}

function attempt<T>(
  environment: Environment,
  template: string,
  work: (program: ReturnType<Environment['parse']>) => T,
): Attempt<T> {
  let parsed = false;
  try {
    const program = environment.parse(template);
    parsed = true;
    return { ok: true, value: work(program) };
  } catch (error) {
    const at = placeOf(error) ?? (parsed ? undefined : lastToken(environment));
    const place = at ? { line: at.line, column: at.column + 1 } : { line: 0, column: 0 };
    return { ok: false, mistake: { ...place, message: wordsOf(error) } };
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
