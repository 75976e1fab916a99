import { describe, expect, it } from 'vitest';
import { accept } from '../../src/executor/accept.ts';
import type { Desired } from '../../src/shared/state.ts';
import { compareVersions } from '../../src/shared/version.ts';

function desired(epoch: number, generation: number, change: Partial<Desired> = {}): Desired {
  return { host: 'w1', epoch, generation, spec: 'sha256:', units: [], ...change };
}

const applied = { epoch: 3, generation: 7 };

describe('a desired state', () => {
  it.each([
    [3, 8],
    [4, 1],
    [4, 7],
  ])('of (%i, %i) is accepted after (3, 7)', (epoch, generation) => {
    expect(accept(desired(epoch, generation), 'w1', applied, desired(3, 7))).toEqual({ kind: 'accept' });
  });

  it.each([
    [3, 6],
    [2, 99],
    [0, 0],
  ])('of (%i, %i) is refused after (3, 7), naming both', (epoch, generation) => {
    const answer = accept(desired(epoch, generation), 'w1', applied, desired(3, 7));
    expect(answer.kind === 'refuse' && answer.why).toContain(
      `(epoch ${epoch}, generation ${generation}) is older than (epoch 3, generation 7)`,
    );
  });

  it('of the same version is unchanged with the same content, and refused with any other', () => {
    expect(accept(desired(3, 7), 'w1', applied, desired(3, 7))).toEqual({ kind: 'unchanged' });
    const other = accept(desired(3, 7, { spec: 'sha256:other' }), 'w1', applied, desired(3, 7));
    expect(other.kind === 'refuse' && other.why).toContain('a second time with other content');
  });

  it('of the version obeyed before a restart is accepted by a process that has not seen its content', () => {
    expect(accept(desired(3, 7), 'w1', applied, undefined)).toEqual({ kind: 'accept' });
    expect(accept(desired(3, 6), 'w1', applied, undefined).kind).toBe('refuse');
  });

  it('of another host is refused, whatever its version', () => {
    const answer = accept(desired(9, 9, { host: 'w2' }), 'w1', applied, undefined);
    expect(answer.kind === 'refuse' && answer.why).toContain('of host w2');
  });
});

describe('the order of versions', () => {
  it('is by epoch, then by generation', () => {
    const versions = [desired(2, 1), desired(1, 9), desired(2, 0), desired(1, 10)].sort(compareVersions);
    expect(versions.map(({ epoch, generation }) => `${epoch}.${generation}`)).toEqual(['1.9', '1.10', '2.0', '2.1']);
    expect(compareVersions(applied, applied)).toBe(0);
  });
});
