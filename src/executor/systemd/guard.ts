/**
 * A guard as a transient service: it sleeps, says why, stops the units and kills what is left. systemd runs it in a
 * control group of its own, so that nothing that befalls the daemon concerns it. Property names: systemd's
 * src/core/dbus-service.c and dbus-execute.c.
 */
import type { Guard } from '../systemd.ts';
import { variant } from './bus.ts';

/**
 * A shell, because of several ExecStart= commands systemd starts the next one even while it stops the service: a guard
 * that is ended between its stop and its kill would still kill what was started again meanwhile. What has stopped by then
 * has no processes that the kill could reach. $1, $2: seconds; $3: why; the rest: units.
 */
const SCRIPT = `sleep "$1" || exit
stop_within=$2
echo "$3"
shift 3
timeout "$stop_within" systemctl stop -- "$@"
systemctl kill --signal=SIGKILL -- "$@" 2>/dev/null
exit 0`;
const SHELL = '/bin/sh';
/** syslog's `err`: the only messages about guards that go to the journal, of which one begins several times a second. */
const LOG_ERR = 3;
/** USEC_INFINITY */
const NEVER = 0xffff_ffff_ffff_ffffn;

/** Arguments of StartTransientUnit. */
export function guardUnit(guard: Guard): unknown[] {
  const names = guard.units.join(' ');
  const reason = `<${LOG_ERR}>stopping ${names}: the daemon has not been confirmed by ZooKeeper for too long, and others may soon run them (isolation: stop)`;
  // systemd expands $VARIABLES in the arguments of every service; "$$" stands for a plain "$" (systemd.service(5))
  const argv = [SHELL, '-c', SCRIPT, 'guard', seconds(guard.afterMs), seconds(guard.stopMs), reason, ...guard.units];
  const command = [SHELL, argv.map((argument) => argument.replaceAll('$', '$$$$')), false];
  const properties = [
    ['Description', variant('s', `Stops ${names} unless ServiceWatcher prevents it`)],
    ['Type', variant('s', 'oneshot')],
    ['CollectMode', variant('s', 'inactive-or-failed')],
    ['ExecStart', variant('a(sasb)', [command])],
    ['TimeoutStartUSec', variant('t', NEVER)],
    ['LogLevelMax', variant('i', LOG_ERR)],
    ['SyslogIdentifier', variant('s', 'servicewatcher')],
    // it must be able to begin while the host is still booting, or already shutting down
    ['DefaultDependencies', variant('b', false)],
    ['OOMScoreAdjust', variant('i', -900)],
  ];
  return [guard.unit, 'fail', properties, []];
}

function seconds(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3);
}
