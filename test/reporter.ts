/** Ends a test run with the slowest files and tests, what was left out and why, and one plain line of counts. */
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule, TestRunEndReason } from 'vitest/node';
import { readiness } from './harness/machine.ts';

const SLOWEST = 5;

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    console.log(`Slowest files:\n${slowest(modules, (m) => m.diagnostic().duration, fileOf)}`);
    console.log(`Slowest tests:\n${slowest(tests, (t) => t.diagnostic()?.duration ?? 0, titleOf)}`);
    const leftOut = sayLeftOut(modules);
    if (leftOut !== undefined) console.log(`\n${leftOut}`);
    console.log(`\n${countLine(modules, tests, errors.length, reason)}`);
  }
}

/** `N passed, N failed`, and `, N skipped` when there are any. A run that failed never shows 0 failed. */
function countLine(
  modules: readonly TestModule[],
  tests: TestCase[],
  errors: number,
  reason: TestRunEndReason,
): string {
  const count = (state: string) => tests.filter((test) => test.result().state === state).length;
  // A file that cannot be loaded, or whose set-up fails, has failed though it counts no test.
  const broken = modules.filter((module) => module.errors().length > 0 || suiteFailed(module)).length;
  const failed = count('failed') + broken + errors;
  const skipped = count('skipped') + count('pending');
  const shown = failed === 0 && reason !== 'passed' ? 1 : failed;
  return `${count('passed')} passed, ${shown} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function suiteFailed(module: TestModule): boolean {
  return [...module.children.allSuites()].some((suite) => suite.errors().length > 0);
}

/** The sentence on files whose tests need real hosts where there can be none; undefined when nothing was left out. */
function sayLeftOut(modules: readonly TestModule[]): string | undefined {
  const machine = readiness();
  if (machine.kind !== 'impossible') return undefined;
  const files = modules
    .filter((module) =>
      [...module.children.allTests()].some((test) => test.fullName.includes(`left out: ${machine.why}`)),
    )
    .map(fileOf);
  if (files.length === 0) return undefined;
  return `Left out, as ${machine.why}: ${files.join(', ')}`;
}

function slowest<T>(items: readonly T[], duration: (item: T) => number, name: (item: T) => string): string {
  return [...items]
    .sort((a, b) => duration(b) - duration(a))
    .slice(0, SLOWEST)
    .map((item) => `  ${(duration(item) / 1000).toFixed(1).padStart(6)} s  ${name(item)}`)
    .join('\n');
}

function fileOf(module: TestModule): string {
  return relative(process.cwd(), module.moduleId);
}

function titleOf(test: TestCase): string {
  return `${fileOf(test.module)}: ${test.fullName}`;
}
