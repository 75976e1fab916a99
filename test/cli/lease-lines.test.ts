import { expect, it } from 'vitest';
import { describeHolder, leaseLines } from '../../src/cli/lease-lines.ts';

const holder = { id: 'es-1', host: 'w1', since: '2026-01-01T00:00:00.000Z', timeoutMs: 300_000 };
const HELD = 'held by es-1 on w1 since 2026-01-01T00:00:00.000Z, for 300 s at most';

it('shows who has a lease and who waits for it, first come first', () => {
  const waiters = [2, 3].map((each) => ({ id: `es-${each}`, host: `w${each}` }));
  const [held, one, both] = leaseLines([
    { kind: 'lease', label: 'es', holder, waiters: [] },
    { kind: 'lease', label: 'es', holder, waiters: waiters.slice(0, 1) },
    { kind: 'lease', label: 'es', holder, waiters },
  ]);
  expect(held).toBe(`lease es: ${HELD}`);
  expect(one).toBe(`lease es: ${HELD}; 1 waits: es-2 on w2`);
  expect(both).toBe(`lease es: ${HELD}; 2 wait: es-2 on w2, es-3 on w3`);
});

it('names only the first of many', () => {
  const waiters = [1, 2, 3, 4, 5, 6, 7].map((each) => ({ unit: `es@${each}.service`, host: 'w1' }));
  const [first, ...others] = waiters;
  if (!first) throw new Error('there are seven');
  expect(leaseLines([{ kind: 'start', service: 'es', starting: [first], waiters: others }])).toEqual([
    'start of es: es@1.service on w1 now; 6 wait: es@2.service on w1, es@3.service on w1, es@4.service on w1, es@5.service on w1, es@6.service on w1, …',
  ]);
});

it('lets nothing that was written to ZooKeeper reach the terminal but text', () => {
  const [line] = leaseLines([{ kind: 'lease', label: 'es', holder: { ...holder, id: '\u001b[2J' }, waiters: [] }]);
  expect(line).not.toContain('\u001b');
});

it('tells the address of a holder that gave one, and of one that cannot be read that there is one', () => {
  expect(describeHolder({ ...holder, address: '198.18.0.1' })).toContain('es-1 on w1 (198.18.0.1) since');
  expect(describeHolder(undefined)).toBe('somebody else');
});
