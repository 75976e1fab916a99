import { defineConfig } from 'vitest/config';

/** Tests that boot real hosts: two files at a time, as each boots several; they mostly wait. */
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
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: onHosts, testTimeout: 30_000 },
      },
      {
        test: {
          name: 'hosts',
          include: onHosts,
          maxWorkers: 2,
          // After the others: failovers are timed, and the machine may be small.
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
