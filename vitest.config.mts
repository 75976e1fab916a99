import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Whole clusters in memory: each file has a thread for each core, and nothing else runs beside it. */
const simulation = ['test/simulation/**/*.test.ts'];

/** Tests that boot real hosts. */
const onHosts = [
  'test/e2e/**/*.test.ts',
  'test/contract/systemd/**/*.test.ts',
  'test/**/*.hosts.test.ts',
  'test/harness.test.ts',
];

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...onHosts, ...simulation],
          // by default one of two cores does nothing
          maxWorkers: Math.max(2, availableParallelism() - 1),
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'simulation',
          include: simulation,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'hosts',
          include: onHosts,
          // they mostly wait; with three at a time a small machine lets sessions of two seconds expire
          maxWorkers: 2,
          // After the others: failovers are timed, and the machine may be small.
          sequence: { groupOrder: 2 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
