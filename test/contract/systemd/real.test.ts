import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { Lab } from '../../harness/lab.ts';
import { describeOnHosts } from '../../harness/requirements.ts';
import { connectionCases } from './connection-cases.ts';
import { failureCases } from './failure-cases.ts';
import { guardCases } from './guard-cases.ts';
import { KeptLog, realRig } from './real-rig.ts';
import type { Rig } from './rig.ts';
import { unitCases } from './unit-cases.ts';

describeOnHosts('the systemd of a host', () => {
  let lab: Lab;
  let rig: Rig;
  const log = new KeptLog();
  beforeAll(async () => {
    lab = await Lab.create({ hosts: 1 });
    rig = realRig(lab.host('w1'), log);
  });
  afterEach(() => {
    expect(log.errors).toEqual([]);
  });
  afterAll(() => lab?.destroy());

  describe('its units', () => unitCases(() => rig));
  describe('its failures', () => failureCases(() => rig));
  describe('its guards', () => guardCases(() => rig));
  describe('its connection', () => connectionCases(() => rig));
});
