/** Reads what SPEC.md names, and the names of the tests in a file. Pure. */

export interface Named {
  readonly file: string;
  readonly name: string;
}

export interface Entry {
  readonly number: string;
  readonly tests: readonly Named[];
  /** Names of the simulation's own invariants. */
  readonly simulated: readonly string[];
  /** Bugs that are planted to break it. */
  readonly planted: readonly string[];
}

/** What lines name as tests: ``- `FILE`: NAME``. */
export function testsOf(text: string): Named[] {
  return [...text.matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)].map(([, file = '', name = '']) => ({ file, name }));
}

/** The invariants of SPEC.md: `### INV-01 …`, and below it one line for each thing that holds it. */
export function entriesOf(text: string): Entry[] {
  return text
    .split(/^(?=### INV-)/m)
    .slice(1)
    .map((whole) => {
      const part = whole.split(/^##? /m)[0] ?? '';
      return {
        number: /^### INV-(\d+)/.exec(part)?.[1] ?? '',
        tests: testsOf(part),
        simulated: [...part.matchAll(/^- simulation: (.+)$/gm)].flatMap(([, names = '']) => quoted(names)),
        planted: [...part.matchAll(/^- planted bug: (.+)$/gm)].map(([, what = '']) => what),
      };
    });
}

/** Without lines that are nothing but a comment. */
function withoutComments(code: string): string {
  return code.replace(/^[ \t]*(?:\/\/.*|\/\*[\s\S]*?\*\/)/gm, '');
}

/** Whether some tests of a file are not run, or not always. */
export function leavesTestsOut(code: string): boolean {
  return /\.(?:skip|skipIf|runIf|todo|only|fails)\b/.test(withoutComments(code));
}

/** What stands between backticks. */
function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
}

/**
 * Names of the tests in a file, as written: `it('…')`, `test('…')`, and those with a table, `it.each(…)('…')`. Where that is
 * a mere `%s`, what each row begins with.
 */
export function testNames(text: string): Set<string> {
  const code = withoutComments(text);
  const names = new Set<string>();
  for (const { index, 0: word } of code.matchAll(/(?<![\w.$'"`])(?:it|test)(?=[.(])/g)) {
    const name = nameAfter(code, index + word.length);
    if (name === '%s') for (const [, row = ''] of code.matchAll(/\[\s*'([^'\n]+)'/g)) names.add(row);
    else if (name !== undefined) names.add(name);
  }
  return names;
}

/** Follows `.each(…)` and the like to the first bracket that opens with a string. */
function nameAfter(code: string, from: number): string | undefined {
  let at = from;
  for (;;) {
    const member = /^\s*\.\w+/.exec(code.slice(at, at + 100));
    if (member) {
      at += member[0].length;
      continue;
    }
    const bracket = /^\s*\(\s*/.exec(code.slice(at, at + 1_000));
    if (!bracket) return undefined;
    const inside = at + bracket[0].length;
    const quote = code[inside];
    if (quote === "'" || quote === '"' || quote === '`')
      return unquote(code.slice(inside + 1, endOfString(code, inside)));
    at = endOfBracket(code, at + bracket[0].indexOf('('));
  }
}

/** Index of the quote that closes the string which opens at `at`. */
function endOfString(code: string, at: number): number {
  const quote = code[at];
  let end = at + 1;
  while (end < code.length && code[end] !== quote) end += code[end] === '\\' ? 2 : 1;
  return end;
}

/** Index behind the bracket that closes the one at `at`; brackets in strings and comments do not count. */
function endOfBracket(code: string, at: number): number {
  let depth = 0;
  for (let index = at; index < code.length; index++) {
    const character = code[index] ?? '';
    if (code.startsWith('//', index)) index = Math.max(index, code.indexOf('\n', index));
    else if (code.startsWith('/*', index)) index = Math.max(index, code.indexOf('*/', index) + 1);
    else if (`'"\``.includes(character)) index = endOfString(code, index);
    else if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth === 0) return index + 1;
  }
  return code.length;
}

function unquote(text: string): string {
  return text
    .replace(/\\u([0-9a-fA-F]{4})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\(.)/g, '$1');
}
