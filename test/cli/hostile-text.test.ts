/** Whatever other hosts write into ZooKeeper, no command tells a terminal what to do. */
import { expect, it } from 'vitest';
import { clusterStatus } from '../../src/cli/cluster-status.ts';
import { renderUnit } from '../../src/cli/explain.ts';
import { explainUnits } from '../../src/cli/explanation.ts';
import { render } from '../../src/cli/status.ts';
import type { Member } from '../../src/shared/cluster.ts';
import type { Snapshot } from '../../src/shared/snapshot.ts';
import type { Desired, Observed } from '../../src/shared/state.ts';

const EVIL = '\u001b[2Jx\u0007\r\u009b31m\u2028y';
/** All but the ends of lines, and the colours that are our own. */
const CONTROL = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}]/u;
const withoutColours = (text: string) => text.replaceAll(/\p{Cc}\[\d+m/gu, '');

const member = (host: string): Member => ({
  host,
  machineId: EVIL,
  address: EVIL,
  url: EVIL,
  labels: { [EVIL]: EVIL },
  software: EVIL,
  file: EVIL,
  election: EVIL,
});
const version = { epoch: 1, generation: 1 };
const desired: Desired = {
  ...version,
  host: 'w1',
  spec: EVIL,
  units: [
    {
      unit: 'web.service',
      service: 'web',
      isolation: 'keep',
      why: { kind: 'moved', from: EVIL, because: { kind: 'displaced', by: EVIL } },
    },
  ],
};
const observed: Observed = {
  ...version,
  host: 'w1',
  refused: EVIL,
  units: [
    {
      unit: 'web.service',
      load: 'loaded',
      active: 'active',
      sub: EVIL,
      failure: { kind: 'failed', message: EVIL },
      waiting: EVIL,
      health: { state: 'unhealthy', output: EVIL, action: EVIL },
    },
  ],
};
const SNAPSHOT: Snapshot = {
  leader: 'w1',
  epoch: 1,
  spec: {
    spec: {
      services: [{ name: 'web', type: 'shared', count: 1, enabled: true, isolation: 'keep' }],
      brake: { above: 0.5, atLeast: 3, holdMs: 60_000 },
    },
    digest: EVIL,
    proposedBy: EVIL,
    at: EVIL,
    earlier: [],
  },
  members: new Map(['w1', 'w2'].map((host) => [host, member(host)])),
  desired: new Map([['w1', desired]]),
  observed: new Map([['w1', observed]]),
  intents: new Map([['w2', { host: 'w2', state: 'draining', since: EVIL, why: EVIL }]]),
  problems: [`/members/w3 is not valid: ${EVIL}`],
};

it('status shows what others wrote as text', () => {
  const shown = withoutColours(render(clusterStatus(SNAPSHOT)));
  expect(shown).toContain('x\\x07');
  expect(shown).not.toMatch(CONTROL);
});

it('explain does', () => {
  const shown = explainUnits('web', SNAPSHOT, 0).map(renderUnit).join('\n');
  expect(shown).toContain('moved from');
  expect(withoutColours(shown)).not.toMatch(CONTROL);
});
