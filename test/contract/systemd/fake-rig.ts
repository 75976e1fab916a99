/** The contract's rig over the fake systemd, on the real clock. */
import { systemClock } from '../../../src/shared/clock.ts';
import { FakeSystemd } from '../../fakes/systemd.ts';
import type { CommandScript } from '../../fakes/systemd-script.ts';
import type { Rig } from './rig.ts';

export function fakeRig(): Rig {
  const systemd = new FakeSystemd(systemClock);
  const commands = new Map<string, CommandScript>();
  systemd.onCommand = ({ argv }) => commands.get(argv.join(' ')) ?? { afterMs: 5, exitStatus: 0 };
  return {
    connect: (events) => systemd.connect(events),
    async define(units) {
      for (const [unit, script] of Object.entries(units)) systemd.define(unit, script);
      systemd.daemonReload();
    },
    async mask(unit) {
      systemd.define(unit, {}, 'masked');
    },
    async breakFile(unit) {
      systemd.define(unit, {}, 'bad-setting');
    },
    async alias(alias, unit) {
      systemd.alias(alias, unit);
    },
    async systemctl(verb, unit) {
      systemd.systemctl(verb, unit);
    },
    async kill(unit, signal) {
      systemd.kill(unit, signal);
    },
    async daemonReload() {
      systemd.daemonReload();
    },
    async restartBus() {
      systemd.disconnect();
      systemd.reconnect();
    },
    command(script) {
      const argv = ['/bin/scripted', String(script.afterMs), String(script.exitStatus)] as const;
      commands.set(argv.join(' '), script);
      return [...argv];
    },
    async close() {
      systemd.disconnect();
    },
  };
}
