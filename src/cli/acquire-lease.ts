/** `servicewatcher acquire-lease`: waits for a startup lease and takes it; it is held on when the command has ended. */
import { type Acquisition, acquireLease } from '../discovery/acquire-lease.ts';
import { isLeaseId } from '../discovery/lease.ts';
import { systemClock } from '../shared/clock.ts';
import { readDuration } from '../shared/config/scalars.ts';
import { escapeControl } from '../shared/log.ts';
import { isHostName } from '../shared/names.ts';
import { labelFault, shown } from './label-option.ts';
import { describeHolder } from './lease-lines.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface AcquireLeaseOptions {
  readonly json: boolean;
  readonly label: string;
  readonly serviceId: string;
  /** Durations as in the configuration. */
  readonly acquireTimeout: string;
  readonly leaseTimeout: string;
  readonly hostIp?: string;
}

/** An IPv6 address with its zone, if any. */
const IPV6 = /^[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?$/;

/** Answers 0 when the lease is held, 1 when others had it all the time, saying who, and 2 and 3 as all commands do. */
export async function acquireLeaseCommand(file: string, options: AcquireLeaseOptions): Promise<number> {
  const { label, serviceId: id, hostIp: address } = options;
  const acquireTimeoutMs = readDuration(options.acquireTimeout);
  const leaseTimeoutMs = readDuration(options.leaseTimeout);
  const faults = [
    ...leaseFaults(options),
    acquireTimeoutMs === undefined && durationFault('--acquire-timeout', options.acquireTimeout),
    !leaseTimeoutMs && durationFault('--lease-timeout', options.leaseTimeout),
    address !== undefined && !isAddress(address) && `--host-ip: ${shown(address)} is no address`,
  ].filter((fault) => typeof fault === 'string');
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0 || acquireTimeoutMs === undefined || leaseTimeoutMs === undefined) return EXIT.usage;
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  const abort = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => abort.abort());
  return withStore(config, async (store) => {
    const acquisition = await acquireLease({
      store,
      clock: systemClock,
      label,
      id,
      host: config.host.name,
      ...(address !== undefined && { address }),
      acquireTimeoutMs,
      leaseTimeoutMs,
      signal: abort.signal,
    });
    return tell(acquisition, options, abort.signal.aborted);
  });
}

function tell(acquisition: Acquisition, options: AcquireLeaseOptions, interrupted: boolean): number {
  const { label, serviceId: id } = options;
  if (options.json) process.stdout.write(`${JSON.stringify({ label, id, ...acquisition })}\n`);
  switch (acquisition.kind) {
    case 'acquired':
      if (!options.json) process.stdout.write(`${id} holds the lease ${label}${acquiredWords[acquisition.how]}\n`);
      return EXIT.ok;
    case 'timeout': {
      const { holder, before } = acquisition;
      const when = interrupted ? 'before this was interrupted' : `within ${options.acquireTimeout}`;
      const queue = before === 0 ? '' : `; ${before} came before`;
      process.stderr.write(
        `the lease ${label} was not to be had ${when}: it is held by ${escapeControl(describeHolder(holder))}${queue}\n`,
      );
      return EXIT.no;
    }
    case 'unreachable':
      process.stderr.write(`the lease ${label} was not acquired: ZooKeeper did not answer any more\n`);
      return EXIT.unreachable;
  }
}

const acquiredWords = {
  free: '',
  'ran-out': ', as its holder had it for longer than it may',
  own: ', as before',
} as const satisfies Record<Extract<Acquisition, { kind: 'acquired' }>['how'], string>;

/** What is wrong with the names that both commands take, one sentence each. */
export function leaseFaults({ label, serviceId }: Pick<AcquireLeaseOptions, 'label' | 'serviceId'>): string[] {
  const faults = [
    labelFault(label),
    !isLeaseId(serviceId) && `--service-id: ${shown(serviceId)} is no id: 1 to 200 printable ASCII characters are`,
  ];
  return faults.filter((fault) => typeof fault === 'string');
}

function durationFault(option: string, text: string): string {
  return `${option}: ${shown(text)} is no duration: 500ms, 4s, 1m, 2h or a number of seconds, up to 24h, are`;
}

function isAddress(text: string): boolean {
  return isHostName(text) || IPV6.test(text);
}
