import { afterAll, beforeAll, describe } from 'vitest';
import { connectionCases } from '../../contract/systemd/connection-cases.ts';
import { failureCases } from '../../contract/systemd/failure-cases.ts';
import { fakeRig } from '../../contract/systemd/fake-rig.ts';
import { guardCases } from '../../contract/systemd/guard-cases.ts';
import type { Rig } from '../../contract/systemd/rig.ts';
import { unitCases } from '../../contract/systemd/unit-cases.ts';

describe('the fake systemd', () => {
  let rig: Rig;
  beforeAll(() => {
    rig = fakeRig();
  });
  afterAll(() => rig.close());

  describe('its units', () => unitCases(() => rig));
  describe('its failures', () => failureCases(() => rig));
  describe('its guards', () => guardCases(() => rig));
  describe('its connection', () => connectionCases(() => rig));
});
