/**
 * A guard as a transient service: it sleeps, says why, stops the units and kills what is left. systemd runs it in a
 * control group of its own, so that nothing that befalls the daemon concerns it. Property names: systemd's
 * src/core/dbus-service.c and dbus-execute.c.
 */
import type { Guard } from '../systemd.ts';
import { variant } from './bus.ts';

const SLEEP = '/bin/sleep';
const ECHO = '/bin/echo';
const TIMEOUT = '/usr/bin/timeout';
const SYSTEMCTL = '/bin/systemctl';
/** syslog's `err`: the only messages about guards that go to the journal, of which one begins every second, say. */
const LOG_ERR = 3;
/** USEC_INFINITY */
const NEVER = 0xffff_ffff_ffff_ffffn;

/** Arguments of StartTransientUnit. */
export function guardUnit(guard: Guard): unknown[] {
  const reason = `<${LOG_ERR}>stopping ${guard.units.join(' ')}: the daemon has not been confirmed by ZooKeeper for too long, and others may soon run them (isolation: stop)`;
  const commands: readonly (readonly [string, ...string[]])[] = [
    [SLEEP, seconds(guard.afterMs)],
    [ECHO, reason],
    [TIMEOUT, seconds(guard.stopMs), SYSTEMCTL, 'stop', '--', ...guard.units],
    // what has stopped by now has no processes that this could reach
    [SYSTEMCTL, 'kill', '--signal=SIGKILL', '--', ...guard.units],
  ];
  const properties = [
    ['Description', variant('s', `Stops ${guard.units.join(' ')} unless ServiceWatcher prevents it`)],
    ['Type', variant('s', 'oneshot')],
    ['CollectMode', variant('s', 'inactive-or-failed')],
    ['ExecStart', variant('a(sasb)', commands.map(command))],
    ['TimeoutStartUSec', variant('t', NEVER)],
    ['LogLevelMax', variant('i', LOG_ERR)],
    ['SyslogIdentifier', variant('s', 'servicewatcher')],
    // it must be able to begin while the host is still booting, or already shutting down
    ['DefaultDependencies', variant('b', false)],
    ['OOMScoreAdjust', variant('i', -900)],
  ];
  return [guard.unit, 'fail', properties, []];
}

/**
 * Each is tried whatever came of the one before, but for the sleep: a guard that is ended in time does nothing. (SIGTERM
 * must count as a failure of it: after a success systemd goes on to the next command, though the service is stopping.)
 */
function command(argv: readonly [string, ...string[]], index: number): unknown[] {
  // systemd expands $VARIABLES in the arguments of every service; "$$" stands for a plain "$" (systemd.service(5))
  return [argv[0], argv.map((argument) => argument.replaceAll('$', '$$$$')), index > 0];
}

function seconds(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3);
}
