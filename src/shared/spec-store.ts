/**
 * The one spec of the cluster, in the `spec` znode: who may replace it, and when. A replacement is a compare-and-set, so
 * that of two proposals at the same moment both are decided upon, one after the other.
 */
import { type EventKind, encodeBatches, RING_PREFIX } from './history.ts';
import { decodeSpecRecord, encodeSpecRecord } from './payloads.ts';
import type { Spec, SpecRecord } from './spec.ts';
import { isStoreError, MAX_PAYLOAD_BYTES, type Operation, type Store } from './store.ts';
import { HISTORY, MAX_DATA_BYTES, SPEC } from './znodes.ts';
import { operationBytes } from './zookeeper/checks.ts';

export interface Proposal {
  readonly spec: Spec;
  readonly digest: string;
  readonly proposedBy: string;
  /** ISO 8601. */
  readonly at: string;
  /** `start`: only if the file was never seen before. `replace`: an operator asked for it (reload, apply). */
  readonly intent: 'start' | 'replace';
  /** Asked before the cluster's spec is replaced: a sentence why it must not be, or undefined. Absent: nothing is objected. */
  readonly object?: () => Promise<string | undefined>;
}

export type ProposalOutcome =
  | { readonly kind: 'created' | 'replaced' | 'same' }
  /** This file was replaced by another one, or refused, before: it is not proposed. */
  | { readonly kind: 'stale'; readonly current: string }
  /** The spec in ZooKeeper cannot be read: only an operator's proposal replaces it. */
  | { readonly kind: 'unreadable'; readonly problem: string }
  | { readonly kind: 'too-large'; readonly bytes: number }
  /** The proposal's own objection. */
  | { readonly kind: 'refused'; readonly why: string };

/** What came of a proposal, for people. */
export function describeOutcome(
  outcome: ProposalOutcome,
  file: string,
): { level: 'info' | 'warn' | 'error'; text: string } {
  switch (outcome.kind) {
    case 'created':
      return { level: 'info', text: `${file} is the cluster's first configuration` };
    case 'replaced':
      return { level: 'info', text: `${file} is the cluster's configuration now` };
    case 'same':
      return { level: 'info', text: `${file} is what the cluster has` };
    case 'stale':
      return {
        level: 'warn',
        text: `${file} was the cluster's configuration, or was refused, before the present one (${outcome.current}) and is not proposed: bring the file up to date, or reload to make it the cluster's`,
      };
    case 'unreadable':
      return {
        level: 'error',
        text: `the cluster's configuration in ZooKeeper cannot be read (${outcome.problem}); nothing is changed: reload on one host to replace it by its file`,
      };
    case 'refused':
      return {
        level: 'error',
        text: `${file} is not taken over, the cluster's configuration stays as it is: ${outcome.why}`,
      };
    case 'too-large':
      return {
        level: 'error',
        text: `${file}: its services take ${outcome.bytes} bytes, more than the ${MAX_DATA_BYTES} that ZooKeeper takes: shorten the prestart scripts`,
      };
  }
}

/** How many replaced and refused specs are remembered, so that their files are known to be stale. */
const EARLIER_KEPT = 100;
const TRIES = 10;

/** Puts a proposal to the cluster. Rejects with a StoreError when ZooKeeper does not answer. */
export async function proposeSpec(store: Store, proposal: Proposal): Promise<ProposalOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await proposeOnce(store, proposal);
    } catch (error) {
      const overtaken = isStoreError(error, 'bad-version', 'node-exists', 'no-node');
      if (!overtaken || attempt >= TRIES) throw error;
    }
  }
}

async function proposeOnce(store: Store, proposal: Proposal): Promise<ProposalOutcome> {
  const node = await store.get(SPEC);
  if (!node) {
    const data = encode(proposal, []);
    if (data.length > MAX_DATA_BYTES) return { kind: 'too-large', bytes: data.length };
    // in one step, as version 0 cannot be checked: whoever compares and sets next needs a 1
    await write(store, proposal, undefined, [
      { op: 'create', path: SPEC, data: Buffer.alloc(0), mode: 'persistent' },
      { op: 'set', path: SPEC, data },
    ]);
    return { kind: 'created' };
  }
  const current = decodeSpecRecord(node.data, node.path);
  if (!current.ok && proposal.intent === 'start') return { kind: 'unreadable', problem: current.problem };
  if (current.ok) {
    if (current.value.digest === proposal.digest) return { kind: 'same' };
    if (proposal.intent === 'start' && current.value.earlier.includes(proposal.digest)) {
      return { kind: 'stale', current: current.value.digest };
    }
  }
  const earlier = current.ok ? [current.value.digest, ...current.value.earlier] : [];
  const data = encode(proposal, earlier);
  if (data.length > MAX_DATA_BYTES) return { kind: 'too-large', bytes: data.length };
  const version = node.version > 0 ? node.version : undefined;
  const objection = await proposal.object?.();
  if (objection !== undefined) {
    if (current.ok) await rememberRefused(store, current.value, proposal.digest, version);
    return { kind: 'refused', why: objection };
  }
  const replaced = current.ok ? current.value.digest : 'one that nobody could read';
  const set: Operation = { op: 'set', path: SPEC, data, ...(version !== undefined && { version }) };
  await write(store, proposal, replaced, [set]);
  return { kind: 'replaced' };
}

/** Writes the spec, and with it, in one step, that it was written. */
async function write(
  store: Store,
  proposal: Proposal,
  replaced: string | undefined,
  operations: readonly Operation[],
): Promise<void> {
  const { proposedBy: host, at, intent, digest } = proposal;
  const instead = replaced === undefined ? 'the first one' : `instead of ${replaced}`;
  const why = `${host} proposed ${digest}, ${instead}`;
  const event = { at, kind: 'spec-replaced' satisfies EventKind, host, reason: intent, why };
  const told = encodeBatches(host, `${host}/spec/${at}/${digest}`, [event]).map(
    (data): Operation => ({ op: 'create', path: RING_PREFIX.leader, data, mode: 'persistent-sequential' }),
  );
  await store.ensure(HISTORY);
  const all = [...operations, ...told];
  // a spec that all but fills a transaction counts for more than its mention
  await store.transaction(operationBytes(all) <= MAX_PAYLOAD_BYTES ? all : operations);
}

/** A daemon that starts with the refused file would propose it again, maybe at a moment when less runs: it is to be stale. */
async function rememberRefused(
  store: Store,
  current: SpecRecord,
  digest: string,
  version: number | undefined,
): Promise<void> {
  if (current.earlier.includes(digest)) return;
  const data = encodeSpecRecord({ ...current, earlier: [digest, ...current.earlier].slice(0, EARLIER_KEPT) });
  if (data.length <= MAX_DATA_BYTES) await store.set(SPEC, data, version);
}

function encode(proposal: Proposal, earlier: readonly string[]): Buffer {
  const kept = [...new Set(earlier)].filter((digest) => digest !== proposal.digest).slice(0, EARLIER_KEPT);
  const record: SpecRecord = {
    spec: proposal.spec,
    digest: proposal.digest,
    proposedBy: proposal.proposedBy,
    at: proposal.at,
    earlier: kept,
  };
  return encodeSpecRecord(record);
}
