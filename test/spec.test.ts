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
import { type Entry, entriesOf, leavesTestsOut, type Named, testNames, testsOf } from './spec-reader.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

type NamesIn = (file: string) => ReadonlySet<string> | undefined;

/** Tests that are not there, one sentence each. */
function missing(tests: readonly Named[], names: NamesIn): string[] {
  return tests.flatMap(({ file, name }) => {
    const known = names(file);
    if (known === undefined) return [`there is no ${file}`];
    return known.has(name) ? [] : [`${file} has no test '${name}'`];
  });
}

/** What is wrong with what an entry names, one sentence each. */
function mistakes(entries: readonly Entry[], names: NamesIn): string[] {
  return entries.flatMap(({ number, tests, simulated }) => [
    ...(tests.length === 0 ? [`INV-${number} names no test`] : []),
    ...missing(tests, names).map((what) => `INV-${number}: ${what}`),
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
  const text = read('SPEC.md');
  const entries = entriesOf(text);
  const names = (file: string) => (existsSync(join(projectRoot, file)) ? testNames(read(file)) : undefined);

  it('has a number of its own, in order', () => {
    const expected = entries.map((_, index) => String(index + 1).padStart(2, '0'));
    expect(entries.map(({ number }) => number)).toEqual(expected);
    expect(entries.length).toBeGreaterThanOrEqual(25);
  });

  it('names tests, each of which is there', () => {
    expect(mistakes(entries, names)).toEqual([]);
  });

  it('comes after tables beside which tests are named, each of which is there', () => {
    const [tables = ''] = text.split(/^### INV-/m);
    expect(testsOf(tables).length).toBeGreaterThan(20);
    expect(missing(testsOf(tables), names)).toEqual([]);
  });

  it('names no file in which tests are left out', () => {
    const files = [...new Set(testsOf(text).map(({ file }) => file))];
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
