/** A systemd on which nothing runs but transient commands, which end as a test says. */
import type { ExitInfo, JobOutcome, Systemd, TransientCommand } from '../../src/executor/systemd.ts';
import { FakeClock } from './clock.ts';
import { FakeHost } from './daemon.ts';
import { FakeEnsemble } from './store.ts';

/** How a command ended that said that something is wrong. */
export const EXIT: ExitInfo = { result: 'exit-code', code: 'exited', status: 3 };

export interface CommandsOptions {
  /** Called with each command; its answer is the command's end. */
  readonly run: (command: TransientCommand) => Promise<JobOutcome>;
  /** Default `EXIT`. */
  readonly exit?: ExitInfo;
  /** Called with each unit that is reset. */
  readonly onReset?: (unit: string) => void;
}

export function systemdOfCommands({ run, exit = EXIT, onReset = () => {} }: CommandsOptions): Systemd {
  const clock = new FakeClock();
  const host = new FakeHost('w1', clock, new FakeEnsemble({ clock }));
  const idle = { onConnected: () => {}, onDisconnected: () => {}, onUnit: () => {}, onReloaded: () => {} };
  return {
    ...host.watched(host.systemd.connect(idle)),
    connected: true,
    run,
    exitInfo: async () => exit,
    resetFailed: async (unit) => onReset(unit),
  };
}

/** For `run`: an end. */
export function ending(outcome: JobOutcome): () => Promise<JobOutcome> {
  return async () => outcome;
}
