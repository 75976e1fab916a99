/** What every `Store` must do, whatever stands behind it. */
import { afterEach, describe } from 'vitest';
import { confirmationCases } from './confirmation-cases.ts';
import { operationCases } from './operation-cases.ts';
import { type Client, rigOf } from './rig.ts';
import { sessionCases } from './session-cases.ts';
import { transactionCases } from './transaction-cases.ts';
import { watchCases } from './watch-cases.ts';

/** `client` makes a new client, with sessions of so many ms, on a tree that all clients of the run share. */
export function describeStore(name: string, client: (sessionMs: number) => Promise<Client>): void {
  describe(name, () => {
    const rig = rigOf(name, client);

    afterEach(() => rig.dispose());

    describe('operations', () => operationCases(rig));
    describe('transactions', () => transactionCases(rig));
    describe('watches', () => watchCases(rig));
    describe('sessions', () => sessionCases(rig));
    describe('confirmations', () => confirmationCases(rig));
  });
}
