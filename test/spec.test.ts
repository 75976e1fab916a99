/**
 * SPEC.md is held to the tests that it names: every invariant has some, they exist under just these names and are not left
 * out, and the planted bugs break what they are named for.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from './harness/project.ts';
import { INVARIANTS } from './simulation/invariants.ts';
import { PLANTED, type PlantedBug } from './simulation/planted.ts';

interface Named {
  readonly file: string;
  readonly name: string;
}

interface Entry {
  readonly number: string;
  readonly tests: readonly Named[];
  /** Names of the simulation's own invariants. */
  readonly simulated: readonly string[];
  /** Bugs that are planted to break it. */
  readonly planted: readonly string[];
}

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** The invariants of SPEC.md: `### INV-01 …`, and below it one line for each thing that holds it. */
function entriesOf(text: string): Entry[] {
  return text
    .split(/^(?=### INV-)/m)
    .slice(1)
    .map((whole) => {
      const part = whole.split(/^##? /m)[0] ?? '';
      return {
        number: /^### INV-(\d+)/.exec(part)?.[1] ?? '',
        tests: [...part.matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)].map(([, file = '', name = '']) => ({ file, name })),
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
function leavesTestsOut(code: string): boolean {
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
function testNames(text: string): Set<string> {
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

/** What is wrong with what an entry names, one sentence each. */
function mistakes(entries: readonly Entry[], names: (file: string) => ReadonlySet<string> | undefined): string[] {
  return entries.flatMap(({ number, tests, simulated }) => [
    ...(tests.length === 0 ? [`INV-${number} names no test`] : []),
    ...tests.flatMap(({ file, name }) => {
      const known = names(file);
      if (known === undefined) return [`INV-${number}: there is no ${file}`];
      return known.has(name) ? [] : [`INV-${number}: ${file} has no test '${name}'`];
    }),
    ...simulated
      .filter((name) => !Object.hasOwn(INVARIANTS, name))
      .map((name) => `INV-${number}: no ${name} is simulated`),
  ]);
}

/** Planted bugs that are not known, or break what their entry does not name, one sentence each. */
function misplanted(entries: readonly Entry[], bugs: readonly Pick<PlantedBug, 'what' | 'violates'>[]): string[] {
  const known = new Map(bugs.map(({ what, violates }) => [what, violates]));
  return entries.flatMap(({ number, planted, simulated }) =>
    planted.flatMap((what) => {
      const violates = known.get(what);
      if (violates === undefined) return [`INV-${number}: no bug '${what}' is planted`];
      const others = violates.filter((name) => !simulated.includes(name));
      return others.map((name) => `INV-${number}: '${what}' breaks ${name}, which is not named`);
    }),
  );
}

describe('an invariant of SPEC.md', () => {
  const entries = entriesOf(read('SPEC.md'));

  it('has a number of its own, in order', () => {
    const expected = entries.map((_, index) => String(index + 1).padStart(2, '0'));
    expect(entries.map(({ number }) => number)).toEqual(expected);
    expect(entries.length).toBeGreaterThanOrEqual(25);
  });

  it('names tests, each of which is there', () => {
    const names = (file: string) => (existsSync(join(projectRoot, file)) ? testNames(read(file)) : undefined);
    expect(mistakes(entries, names)).toEqual([]);
  });

  it('names no file in which tests are left out', () => {
    const files = [...new Set(entries.flatMap(({ tests }) => tests.map(({ file }) => file)))];
    expect(files.filter((file) => leavesTestsOut(read(file)))).toEqual([]);
  });

  it('is broken by planted bugs that the simulation knows, at least ten of them are', () => {
    expect(misplanted(entries, PLANTED)).toEqual([]);
    const named = new Set(entries.flatMap(({ planted }) => planted));
    expect(PLANTED.map(({ what }) => what).filter((what) => !named.has(what))).toEqual([]);
    expect(entries.filter(({ planted }) => planted.length > 0).length).toBeGreaterThanOrEqual(10);
  });
});

describe('the reader of SPEC.md', () => {
  const spec = [
    '# A page',
    '### INV-01 One',
    'Text.',
    '- `test/a.test.ts`: does one thing',
    '- `test/a.test.ts`: does another',
    '- simulation: `INV-ONCE`, `INV-LIVE`',
    '- planted bug: the fence is left out',
    '### INV-02 Two',
    '## Afterwards',
    '- `test/b.test.ts`: is no part of it',
  ].join('\n');

  it('finds what each entry names', () => {
    expect(entriesOf(spec)).toEqual([
      {
        number: '01',
        tests: [
          { file: 'test/a.test.ts', name: 'does one thing' },
          { file: 'test/a.test.ts', name: 'does another' },
        ],
        simulated: ['INV-ONCE', 'INV-LIVE'],
        planted: ['the fence is left out'],
      },
      { number: '02', tests: [], simulated: [], planted: [] },
    ]);
  });

  it('notices an entry without a test, a file that is not there, and a test of another name', () => {
    const names = (file: string) => (file === 'test/a.test.ts' ? new Set(['does one thing']) : undefined);
    const other = '### INV-03 Three\n- `test/c.test.ts`: is nowhere\n- simulation: `INV-NONE`\n';
    expect(mistakes(entriesOf(`${spec}\n${other}`), names)).toEqual([
      "INV-01: test/a.test.ts has no test 'does another'",
      'INV-02 names no test',
      'INV-03: there is no test/c.test.ts',
      'INV-03: no INV-NONE is simulated',
    ]);
  });

  it.each([
    ["it('is one', () => {})", ['is one']],
    ['test("is one", async () => {})', ['is one']],
    ["it.each([1, ')', \"(\"])('is %s', () => {})", ['is %s']],
    ["it.each([\n  ['a'], // )\n] as const)(\n  'is one of a table',\n  () => {},\n)", ['is one of a table']],
    ["const ROWS = [\n  [\n    'a row',\n    1,\n  ],\n];\ntest.each(ROWS)('%s', () => {})", ['a row']],
    ["it('isn\\'t \\u001b', () => {})", ["isn't \u001b"]],
    ["commit('is none'); await('is none'); text.test('is none')", []],
    ["  // it('is none', () => {})\n/* it('is none')\n   it('is none') */\nit('is one', () => {}) // it", ['is one']],
  ] as const)('finds the tests in %j', (code, expected) => {
    expect([...testNames(code)]).toEqual(expected);
  });

  it.each([
    ["it.skip('is one', () => {})", true],
    ["describe.skip('some', () => {})", true],
    ["it.skipIf(slow)('is one', () => {})", true],
    ["it.todo('is one')", true],
    ["it('is one', (context) => context.skip())", true],
    ["it('is one', () => expect(skipped).toEqual(list.skipped))", false],
    ["// it.skip('is one')\nit('is one', () => {})", false],
  ])('sees whether tests are left out in %j: %s', (code, expected) => {
    expect(leavesTestsOut(code)).toBe(expected);
  });

  it('notices a planted bug that is not there, and one that breaks what its entry does not name', () => {
    const bug = { what: 'the fence is left out', violates: ['INV-LIVE', 'INV-FENCE'] } as const;
    expect(misplanted(entriesOf(spec), [bug])).toEqual([
      "INV-01: 'the fence is left out' breaks INV-FENCE, which is not named",
    ]);
    expect(misplanted(entriesOf(spec), [])).toEqual(["INV-01: no bug 'the fence is left out' is planted"]);
  });
});
