/** Programs with their arguments: a list of words, or a text that is split into words. No shell is ever involved. */
import { split } from 'shlex';
import * as z from 'zod';
import type { Command } from '../attachments.ts';
import { quote, type Read } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { locate } from './located.ts';
import { describe, refusal } from './values.ts';

/** Together, in UTF-16 code units: far below what Linux takes (execve(2)), far above what anybody writes into a line. */
const MAX_LENGTH = 16 * 1024;
const ALLOWED = 'write a program and its arguments, as a text or as a list of words';
const HALF = `has a quote or a backslash without its other half; write "it's" in double quotes, or a list of words`;
/** Programs that make of such words what a person expects. */
const SHELL = /(^|\/)(sh|bash|dash|ash|zsh|ksh|busybox|env|ssh)$/;
const OPERATOR = /^([|&;]+$|[0-9&]?[<>])/;
const VARIABLE = /\$([A-Za-z_]\w*|\{\w+\}|\()/;

/** Splits as a POSIX shell does, as far as quotes and backslashes go; variables, pipes and patterns stay as they are. */
export function splitCommand(text: string): Read<Command> {
  try {
    return fromWords(split(text));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { ok: false, problem: HALF };
  }
}

function fromWords(words: readonly string[]): Read<Command> {
  const [program, ...args] = words;
  if (program === undefined || program === '') return { ok: false, problem: `names no program; ${ALLOWED}` };
  if (words.some((word) => word.includes('\0')))
    return { ok: false, problem: 'has a NUL character, which no argument can hold' };
  if (words.join(' ').length > MAX_LENGTH) {
    return {
      ok: false,
      problem: `is longer than ${MAX_LENGTH} characters; put it into a script on the hosts and name that`,
    };
  }
  return { ok: true, value: [program, ...args] };
}

export const command = z.unknown().transform((input, context): Command => {
  const fail = (message: string, path: PropertyKey[] = []): never => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  if (typeof input !== 'string' && !Array.isArray(input)) return fail(refusal(input, ALLOWED));
  const words: string[] = [];
  for (const [index, word] of typeof input === 'string' ? [] : input.entries()) {
    if (typeof word === 'string') words.push(word);
    // taken away because it was reported
    else if (word === undefined) return UNKNOWN;
    else return fail(`is ${describe(word)}; write a word, in quotes when it is empty`, [index]);
  }
  const read = typeof input === 'string' ? splitCommand(input) : fromWords(words);
  return read.ok ? read.value : fail(read.problem);
});

/** Stands for a command with a mistake, so that the rest of the file is looked at. */
const UNKNOWN: Command = ['?'];

/** Warns of words of a text that only a shell would understand. */
export function warnOfShell(words: Command, path: Path, findings: Findings): void {
  if (locate(findings.root, path).kind !== 'text' || SHELL.test(words[0])) return;
  const strange = words.find((word) => OPERATOR.test(word) || VARIABLE.test(word));
  if (strange === undefined) return;
  findings.warning(
    path,
    `${quote(strange)} is passed on as it is, since no shell is involved; to have one, write [sh, -c, '…']`,
  );
}
