/**
 * Why this process is being ended: systemd starts it again, or it does not. Asked over a connection of its own, so that
 * the answer does not depend on the one that the executor keeps.
 */
import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/error-text.ts';
import type { Logger } from '../../shared/log.ts';
import { type Bus, openBus, variantValue } from './bus.ts';
import { parseBusAddress, systemBusAddress } from './bus-address.ts';
import { decodePath, text } from './decode.ts';
import { MANAGER, MANAGER_PATH, PROPERTIES, SYSTEMD } from './session.ts';

/** `restart`: systemd starts the service again at once. `stop`: it does not, or nobody can tell. */
export type Ending = 'restart' | 'stop';

export interface EndingOptions {
  /** D-Bus address(es); default: the system bus, as DBUS_SYSTEM_BUS_ADDRESS or the well-known socket. */
  readonly address?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** For connecting, and again for each answer: both are a matter of milliseconds unless the bus is being stopped, too. */
const DEADLINE_MS = 2_000;
/** `systemctl restart`, and what becomes of try-restart and reload-or-restart when systemd carries them out (252 shows `restart`). */
const RESTART_JOBS: ReadonlySet<string> = new Set(['restart', 'try-restart']);
/** `Restart=` under which systemd starts a service again that ended well without having been asked to. */
const RESTARTED_AFTER_SUCCESS: ReadonlySet<string> = new Set(['always', 'on-success']);

/**
 * What systemd is about to do with the service that process `pid` belongs to, while that is being terminated: a restart
 * has a job of that type, a stop (by hand, by a shutdown, by `isolate`) one of type `stop`. Without a job nobody but a
 * person sent the signal, and `Restart=` decides. Never rejects: whatever cannot be learnt is a `stop`, and logged.
 */
export async function endingOf(pid: number, options: EndingOptions): Promise<Ending> {
  try {
    const bus = await open(options);
    try {
      return await ask(bus, pid);
    } finally {
      bus.close('asked');
    }
  } catch (error) {
    options.log.warn(`systemd did not say whether it starts this service again, so it is stopped: ${messageOf(error)}`);
    return 'stop';
  }
}

async function open({ address, clock, log }: EndingOptions): Promise<Bus> {
  const [first, ...others] = parseBusAddress(address ?? systemBusAddress(process.env));
  const connect = (one: string) =>
    openBus({
      address: one,
      clock,
      log,
      openDeadlineMs: DEADLINE_MS,
      signal: new AbortController().signal,
      onSignal: () => {},
      onClosed: () => {},
    });
  let opened = connect(first);
  for (const other of others) opened = opened.catch(() => connect(other));
  return await opened;
}

async function ask(bus: Bus, pid: number): Promise<Ending> {
  const call = (path: string, iface: string, member: string, signature: string, body: readonly unknown[]) =>
    bus.call({ destination: SYSTEMD, path, interface: iface, member, signature, body }, DEADLINE_MS);
  const property = async (path: string, iface: string, name: string) =>
    variantValue((await call(path, PROPERTIES, 'Get', 'ss', [`${SYSTEMD}.${iface}`, name]))[0]);

  const unit = decodePath(await call(MANAGER_PATH, MANAGER, 'GetUnitByPID', 'u', [pid]), 'GetUnitByPID');
  const job = await property(unit, 'Unit', 'Job');
  if (!Array.isArray(job)) throw new Error("systemd's property Job has an unexpected shape");
  const [id, path] = job;
  if (id !== 0)
    return RESTART_JOBS.has(text(await property(text(path, 'Job'), 'Job', 'JobType'), 'JobType')) ? 'restart' : 'stop';
  // run by hand it belongs to a scope, which knows no Restart=, or is a child of some service that goes on without it
  if (!unit.endsWith('_2eservice') || (await property(unit, 'Service', 'MainPID')) !== pid) return 'stop';
  return RESTARTED_AFTER_SUCCESS.has(text(await property(unit, 'Service', 'Restart'), 'Restart')) ? 'restart' : 'stop';
}
