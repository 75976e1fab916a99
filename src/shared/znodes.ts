/** Paths of the znodes (ARCHITECTURE.md), below the chroot, and how much one may hold. */
import { MAX_PAYLOAD_BYTES } from './store.ts';

export const ELECTION = '/election';
export const ELECTION_PREFIX = '/election/n_';
export const EPOCH = '/epoch';
export const MEMBERS = '/members';
export const SPEC = '/spec';
export const DESIRED = '/desired';
export const OBSERVED = '/observed';
export const HOSTS = '/hosts';
export const HISTORY = '/history';
export const BEATS = '/beats';
export const DISCOVERY = '/discovery';
export const LEASES = '/leases';
export const CLIENTS = '/clients';
export const REBALANCE = '/rebalance';
export const LEADER = '/leader';

export const memberPath = (host: string): string => `${MEMBERS}/${host}`;
export const desiredPath = (host: string): string => `${DESIRED}/${host}`;
export const observedPath = (host: string): string => `${OBSERVED}/${host}`;
export const beatPath = (host: string): string => `${BEATS}/${host}`;
export const discoveryPath = (label: string): string => `${DISCOVERY}/${label}`;
export const leasePath = (label: string): string => `${LEASES}/${label}`;
export const clientsPath = (label: string): string => `${CLIENTS}/${label}`;
export const intentPath = (host: string): string => `${HOSTS}/${host}`;

/** The most that one of our znodes may hold: what a request may carry, less room for the paths in it. */
export const MAX_DATA_BYTES = MAX_PAYLOAD_BYTES - 1024;

/** Parents that must exist before anything else is written. */
export const PARENTS = [ELECTION, MEMBERS, DESIRED, OBSERVED, HOSTS, HISTORY, DISCOVERY] as const;
