/**
 * A command that runs as the client of a server, and is told when that is another one: restarted, or sent a signal.
 *
 * Invariants: one command at a time, in a process group of its own, of which nothing is left when the next one starts; when
 * it ends and nobody has ended it for a restart, that is the end, and its code is ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Registration } from '../discovery/registration.ts';
import { fillCommand, serverAddress, serverEnvironment } from '../discovery/server-text.ts';
import type { Command } from '../shared/attachments.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';

export interface ServedCommandOptions {
  readonly command: Command;
  /** Sent to the command when it has another server; undefined: it is restarted. */
  readonly signal?: NodeJS.Signals;
  readonly log: Logger;
  /** How long the command may take to end before another server's is started, ms; then it is killed. Default 10 s. */
  readonly stopMs?: number;
}

/** `signal`: the one that it died of. */
export interface CommandEnd {
  readonly code: number;
  readonly signal?: NodeJS.Signals;
}

const STOP_MS = 10_000;
/** As shells answer a command that cannot be run. */
const NOT_STARTED = 127;

export class ServedCommand {
  /** Resolves when it has ended for good. */
  readonly ended: Promise<CommandEnd>;
  private end: (end: CommandEnd) => void = () => {};
  private child: ChildProcess | undefined;
  private server: Registration | undefined;
  private restarting = false;
  private killTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: ServedCommandOptions) {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** Starts the command with its first server, or tells it of another. */
  use(server: Registration): void {
    this.server = server;
    if (!this.child) {
      this.start(server);
      return;
    }
    const { signal, log } = this.options;
    if (signal !== undefined) {
      log.info(`sending ${signal} to the command: its server is ${serverAddress(server)} now`);
      this.child.kill(signal);
      return;
    }
    if (this.restarting) return;
    log.info(`restarting the command: its server is ${serverAddress(server)} now`);
    this.restarting = true;
    this.terminate();
  }

  /** Passes a signal on to all processes of the command. False when there is none yet. */
  pass(signal: NodeJS.Signals): boolean {
    if (!this.child) return false;
    // whoever ends it does not want it started again
    if (signal === 'SIGTERM' || signal === 'SIGINT' || signal === 'SIGQUIT') this.restarting = false;
    this.signalGroup(signal);
    return true;
  }

  /** Ends it, if it has not ended: SIGTERM, and SIGKILL 10 s later. */
  stop(): void {
    this.restarting = false;
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) this.terminate();
    else this.end({ code: 0 });
  }

  private start(server: Registration): void {
    const { command, log } = this.options;
    const filled = fillCommand(command, server);
    if (!filled) {
      log.error(`the command asks for {port}, but ${server.id} is registered as ${server.label} without a port`);
      this.end({ code: NOT_STARTED });
      return;
    }
    const [program, ...args] = filled;
    const onFailure = (error: unknown) => {
      log.error(`${program} cannot be run: ${messageOf(error)}`);
      this.end({ code: NOT_STARTED });
    };
    try {
      const env = { ...process.env, ...serverEnvironment(server) };
      const child = spawn(program, args, { detached: true, env, stdio: 'inherit' });
      this.child = child;
      child.once('error', (error) => {
        if (child.pid === undefined) onFailure(error);
      });
      child.once('exit', (code, signal) => this.exited(code, signal));
    } catch (error) {
      // an argument with a NUL byte, say
      onFailure(error);
    }
  }

  private exited(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.killTimer);
    const { server } = this;
    if (this.restarting && server) {
      // what it left in the background is still with the old server
      this.signalGroup('SIGKILL');
      this.restarting = false;
      this.child = undefined;
      this.start(server);
    } else if (signal === null) this.end({ code: code ?? 0 });
    else this.end({ code: 128 + constants.signals[signal], signal });
  }

  private terminate(): void {
    this.signalGroup('SIGTERM');
    clearTimeout(this.killTimer);
    const { log, stopMs = STOP_MS } = this.options;
    this.killTimer = setTimeout(() => {
      log.warn(`the command did not end within ${stopMs / 1000} s of SIGTERM; killing it`);
      this.signalGroup('SIGKILL');
    }, stopMs);
  }

  private signalGroup(signal: NodeJS.Signals): void {
    if (this.child?.pid === undefined) return;
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // ESRCH: nobody is left in it
    }
  }
}
