/** Tests that need real hosts: where those are impossible they are left out, and the reporter says so. */
import { describe } from 'vitest';
import { readiness } from './machine.ts';

/**
 * As `describe`, for tests on a `Lab`. Left out for who is not root, or in a container that may not create namespaces;
 * a machine that only lacks packages is an error that names them.
 */
export function describeOnHosts(name: string, fn: () => void): void {
  const machine = readiness();
  switch (machine.kind) {
    case 'ready':
      describe(name, fn);
      return;
    case 'packages missing':
      throw new Error(machine.why);
    case 'impossible':
      describe.skip(`${name} (left out: ${machine.why})`, fn);
      return;
    default:
      machine satisfies never;
  }
}
