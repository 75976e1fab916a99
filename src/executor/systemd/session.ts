/**
 * One life of the connection to systemd: from a subscribed connection to its end. Only signals of the process that owns
 * systemd's name count; any local user may send look-alikes straight to a connection.
 */
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Bus, type BusSignal, openBus } from './bus.ts';
import { text } from './decode.ts';

/** How long it may take to connect and authenticate to the bus, which is a local socket. */
const OPEN_DEADLINE_MS = 5_000;

const BUS = 'org.freedesktop.DBus';
const BUS_PATH = '/org/freedesktop/DBus';
/** Well-known name of PID 1. */
export const SYSTEMD = 'org.freedesktop.systemd1';
export const MANAGER_PATH = '/org/freedesktop/systemd1';
export const MANAGER = 'org.freedesktop.systemd1.Manager';
export const PROPERTIES = 'org.freedesktop.DBus.Properties';

const OWNER_RULE = `type='signal',sender='${BUS}',interface='${BUS}',member='NameOwnerChanged',arg0='${SYSTEMD}'`;
const SYSTEMD_RULES = [
  `type='signal',sender='${SYSTEMD}',path_namespace='${MANAGER_PATH}/unit',interface='${PROPERTIES}',member='PropertiesChanged',arg0='${SYSTEMD}.Unit'`,
  `type='signal',sender='${SYSTEMD}',path='${MANAGER_PATH}',interface='${MANAGER}',member='JobRemoved'`,
  `type='signal',sender='${SYSTEMD}',path='${MANAGER_PATH}',interface='${MANAGER}',member='Reloading'`,
];

export interface SessionOptions {
  /** One address as `parseBusAddress` gives it. */
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted: the session ends, or is not opened, and `onEnded` is not called. */
  readonly signal: AbortSignal;
  /** Called for systemd's signals only, in order, from the moment that `openSession` subscribes. */
  readonly onSignal: (signal: BusSignal) => void;
  /** Called once, when the bus or systemd on it went away after `openSession` had resolved. */
  readonly onEnded: (why: string) => void;
}

/**
 * Connects and subscribes to systemd's signals. Rejects with an Error when the bus cannot be reached or systemd is not
 * on it (yet).
 */
export async function openSession(options: SessionOptions): Promise<Bus> {
  const { address, clock, log, signal: closing } = options;
  let owner: string | undefined;
  let ready = false;
  let endedEarly: string | undefined;
  const ended = (why: string) => {
    if (ready) options.onEnded(why);
    else endedEarly ??= why;
  };
  const bus = await openBus({
    address,
    clock,
    log,
    signal: closing,
    openDeadlineMs: OPEN_DEADLINE_MS,
    onClosed: ended,
    onSignal: (signal) => {
      if (signal.sender === owner) return options.onSignal(signal);
      if (signal.sender !== BUS || signal.member !== 'NameOwnerChanged' || signal.body[0] !== SYSTEMD) return;
      bus.close('systemd left the bus');
    },
  });
  try {
    const onBus = (member: string, argument: string) =>
      bus.call({ destination: BUS, path: BUS_PATH, interface: BUS, member, signature: 's', body: [argument] });
    await onBus('AddMatch', OWNER_RULE);
    owner = text((await onBus('GetNameOwner', SYSTEMD))[0], 'GetNameOwner');
    for (const rule of SYSTEMD_RULES) await onBus('AddMatch', rule);
    await bus.call({ destination: SYSTEMD, path: MANAGER_PATH, interface: MANAGER, member: 'Subscribe' });
    if (endedEarly !== undefined) throw new Error(endedEarly);
    ready = true;
    return bus;
  } catch (error) {
    bus.close('setting up failed');
    throw error;
  }
}
