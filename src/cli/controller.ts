/** `servicewatcher controller`: the daemon in the foreground, as systemd runs it. */
import { writeSync } from 'node:fs';
import { startDaemon } from '../daemon.ts';
import { delay, systemClock } from '../shared/clock.ts';
import { renderProblem } from '../shared/config/config.ts';
import { loadConfig } from '../shared/config/load-config.ts';
import { messageOf, stackOf } from '../shared/error-text.ts';
import { Journal, writeEntry } from '../shared/journal.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { isNotified, notify, watchdogIntervalMs } from '../shared/notify.ts';

/** Runs until it is told to stop (SIGTERM, SIGINT); answers the exit code. */
export async function controller(
  file: string,
  options: { readonly json: boolean; readonly software: string },
): Promise<number> {
  const journal = new Journal({ clock: systemClock, writeLine, writeEntry });
  const log = createLogger({
    write: (line) => writeLine(line),
    // set by systemd where standard error is the journal
    ...(process.env.JOURNAL_STREAM !== undefined && { journal }),
    format: options.json ? 'json' : process.stderr.isTTY ? 'terminal' : 'journal',
    debug: process.env.SERVICEWATCHER_DEBUG === '1',
  });
  const parsed = await loadConfig(file);
  if (!parsed.ok) {
    for (const problem of parsed.problems) log.error(renderProblem(file, problem));
    return await refused(2);
  }
  for (const warning of parsed.warnings) log.warn(renderProblem(file, warning));
  // a bug that nobody caught: systemd starts us again, and all units run on
  const die = (error: unknown) => {
    log.error(`internal error, ending: ${stackOf(error)}`);
    process.exit(70);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  const code = await run(parsed.config, options.software, log);
  await journal.flush();
  return code === 0 ? code : await refused(code);
}

/** A crash is followed by a new process at once (RestartSec of the unit file); what a person has to mend can wait. */
const REFUSED_PAUSE_MS = 2_000;

async function refused(code: number): Promise<number> {
  if (isNotified(process.env)) await delay(systemClock, REFUSED_PAUSE_MS, new AbortController().signal);
  return code;
}

async function run(config: Parameters<typeof startDaemon>[0], software: string, log: Logger): Promise<number> {
  let stop = () => {};
  let reload = () => log.info('reload: the daemon is starting and has just read its file');
  const stopped = new Promise<'stop'>((resolve) => {
    stop = () => resolve('stop');
  });
  // before anything else: a signal that nobody handles would end the daemon
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop());
  process.on('SIGHUP', () => reload());
  const daemon = await startDaemon(config, software, log).catch((error: unknown) => {
    log.error(`cannot start: ${messageOf(error)}`);
    return undefined;
  });
  if (!daemon) return 1;
  let reloading = Promise.resolve();
  let ready = false;
  reload = () => {
    reloading = reloading.then(async () => {
      const wasReady = ready;
      if (wasReady) await tell(log, 'RELOADING=1');
      await daemon.reload();
      if (wasReady) await tell(log, 'READY=1');
    });
  };
  void daemon.ready.then(() => {
    ready = true;
    return tell(log, 'READY=1', 'STATUS=Member of the cluster');
  });
  const interval = watchdogIntervalMs(process.env);
  const watchdog = interval === undefined ? undefined : setInterval(() => void tell(log, 'WATCHDOG=1'), interval);
  const end = await Promise.race([stopped, daemon.fatal]);
  if (end !== 'stop') {
    log.error(`ending, units run on: ${end}`);
    return 1;
  }
  log.info('stopping');
  await tell(log, 'STOPPING=1');
  await reloading;
  await daemon.stop();
  clearInterval(watchdog);
  return 0;
}

async function tell(log: Logger, ...assignments: readonly string[]): Promise<void> {
  if (!isNotified(process.env)) return;
  const problem = await notify(...assignments);
  if (problem !== undefined) log.warn(`systemd-notify failed: ${problem}`);
}

/** Standard error, unless whoever read it is gone: that must not end the daemon. */
function writeLine(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // a full or closed pipe: the line is lost, the units are not
  }
}
