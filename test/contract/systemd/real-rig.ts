/** The contract's rig over the systemd of a host of the laboratory. */
import { connectSystemd } from '../../../src/executor/systemd/connect.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Logger } from '../../../src/shared/log.ts';
import { STEADY, type UnitScript } from '../../fakes/systemd-script.ts';
import type { Host } from '../../harness/host.ts';
import { addUnits, service } from '../../harness/units.ts';
import type { Rig } from './rig.ts';

/** Keeps warnings and errors, so that a test can demand one, or that there was none. */
export class KeptLog implements Logger {
  readonly errors: string[] = [];
  readonly warnings: string[] = [];
  debug(): void {}
  info(): void {}
  warn(message: string): void {
    this.warnings.push(message);
  }
  error(message: string, fields?: object): void {
    this.errors.push(`${message} ${JSON.stringify(fields)}`);
  }
}

export function realRig(host: Host, log: Logger): Rig {
  return {
    connect: (events) => connectSystemd({ address: host.busAddress, clock: systemClock, log, events }),
    async define(units) {
      const files = Object.entries(units).map(([unit, script]) => [unit, unitFile({ ...STEADY, ...script })]);
      await addUnits(host, Object.fromEntries(files));
    },
    async mask(unit) {
      await host.systemctl('mask', '--runtime', unit);
    },
    async breakFile(unit) {
      await addUnits(host, { [unit]: '[Service]\nType=oneshot\n' });
    },
    async alias(alias, unit) {
      await host.mustSh('ln', '-sf', `/etc/systemd/system/${unit}`, `/etc/systemd/system/${alias}`);
      await host.systemctl('daemon-reload');
    },
    async systemctl(verb, unit) {
      await host.systemctl(...(verb === 'reset-failed' ? [] : ['--no-block']), verb, unit);
    },
    async kill(unit, signal) {
      await host.systemctl('kill', `--signal=${signal}`, unit);
    },
    async daemonReload() {
      await host.systemctl('daemon-reload');
    },
    async restartBus() {
      // Several tests do this within the ten seconds in which systemd allows five starts.
      await host.systemctl('reset-failed', 'dbus.service', 'dbus.socket');
      await host.systemctl('restart', 'dbus.service');
    },
    command: ({ afterMs, exitStatus }) => ['/bin/sh', '-c', `sleep ${afterMs / 1000}; exit ${exitStatus}`],
    async close() {},
  };
}

/** A unit file that behaves as the script tells. */
function unitFile(script: UnitScript): string {
  const lines = [`TimeoutStartSec=${script.startTimeoutMs}ms`, `TimeoutStopSec=${script.stopTimeoutMs}ms`];
  if (script.restartMs !== undefined) lines.push('Restart=always', `RestartSec=${script.restartMs}ms`);
  const simple = script.start === 'succeeds' && script.startMs === 0;
  if (!simple) lines.push('Type=notify', 'NotifyAccess=all');
  if (script.start === 'hangs-before') lines.push('ExecStartPre=/bin/sleep infinity');
  if (simple && script.exitsAfterMs === undefined && script.stop === 'sigterm' && script.stopMs === 0) {
    lines.push('ExecStart=/bin/sleep infinity');
  } else {
    lines.push(`ExecStart=/bin/sh -c '${shell(script)}'`);
  }
  return service(lines.join('\n'));
}

function shell(script: UnitScript): string {
  const pause = (ms: number) => `sleep ${ms / 1000}`;
  // systemd sends SIGTERM to what the unit starts meanwhile, too, as long as it finds any
  const stopping = `${pause(script.stopMs)} || ${pause(script.stopMs)}`;
  const onStop = {
    sigterm: `${stopping}; trap - TERM; kill -TERM $$$$`,
    'exit-143': `${stopping}; exit 143`,
    'ignores-sigterm': ':',
  }[script.stop];
  const trap = script.stop === 'sigterm' && script.stopMs === 0 ? [] : [`trap "${onStop}" TERM`];
  const forever = 'while :; do sleep 60 & wait; done';
  const life = () => {
    switch (script.start) {
      case 'hangs':
      case 'hangs-before':
        return [forever];
      case 'fails':
        return [pause(script.startMs), `exit ${script.exitStatus}`];
      case 'succeeds': {
        const ready = script.startMs === 0 ? [] : [pause(script.startMs), 'systemd-notify --ready'];
        const end = script.exitsAfterMs;
        return [...ready, ...(end === undefined ? [forever] : [pause(end), `exit ${script.exitStatus}`])];
      }
    }
  };
  return [...trap, ...life()].join('; ');
}
