/** `servicewatcher watch`: registers what is no service of the configuration, as long as it is healthy. */
import { readFile } from 'node:fs/promises';
import { readWatch, type WatchCheck, type WatchText } from '../discovery/watch-check.ts';
import { Turns } from '../health/turns.ts';
import { systemClock } from '../shared/clock.ts';
import { type Config, renderProblem } from '../shared/config/config.ts';
import { messageOf } from '../shared/error-text.ts';
import { createLogger } from '../shared/log.ts';
import { describeState } from '../shared/session-text.ts';
import { connect } from '../shared/zookeeper/store.ts';
import { EXIT, readConfig, serversOf } from './session.ts';
import { parseWatchFile } from './watch-file.ts';
import { Watcher } from './watcher.ts';

export interface WatchOptions {
  readonly json: boolean;
  /** YAML list of checks, instead of the options of one. */
  readonly file?: string;
  readonly check: WatchText;
}

/** Probes at once, however many are watched. */
const PROBES_AT_ONCE = 32;

/** Runs until SIGTERM or SIGINT; answers 0 then, and 2 for what cannot be watched. It connects to ZooKeeper by itself, again and again. */
export async function watch(configFile: string, options: WatchOptions): Promise<number> {
  const config = await readConfig(configFile);
  if (!config) return EXIT.usage;
  const checks = await checksOf(options, config);
  if (!checks) return EXIT.usage;
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  const log = createLogger({
    write: (line) => process.stderr.write(`${line}\n`),
    format: options.json ? 'json' : process.env.JOURNAL_STREAM === undefined ? 'terminal' : 'journal',
    debug: false,
  });
  // whoever reads the log is gone: what is registered matters more
  process.stderr.on('error', () => {});
  const { chroot, sessionTimeoutMs } = config.zookeeper;
  const clock = systemClock;
  const store = connect({ servers: serversOf(config), chroot, sessionTimeoutMs, clock, log });
  store.onState((state) => {
    if (state.kind === 'suspended' || state.kind === 'lost') log.warn(describeState(state));
  });
  const turns = new Turns(PROBES_AT_ONCE);
  const watchers = checks.map((check) => new Watcher({ store, clock, log, check, turns }));
  await stopped;
  // the end of the session removes all entries at once
  await store.close();
  await Promise.all(watchers.map((watcher) => watcher.close()));
  return EXIT.ok;
}

/** Undefined when something is wrong, which was told. */
async function checksOf({ file, check }: WatchOptions, config: Config): Promise<readonly WatchCheck[] | undefined> {
  const { name: host, address = host } = config.host;
  const complain = (lines: readonly string[]): undefined => {
    for (const line of lines) process.stderr.write(`${line}\n`);
  };
  try {
    if (file === undefined) {
      const read = readWatch(await withInfo(check), { host, address });
      return read.ok ? [read.check] : complain(read.faults.map(({ key, what }) => `--${key} ${what}`));
    }
    if (Object.keys(check).length > 0) return complain(['--file stands alone: its checks have their own settings']);
    const parsed = parseWatchFile(await readFile(file, 'utf8'), { host, address });
    return parsed.ok ? parsed.checks : complain(parsed.problems.map((problem) => renderProblem(file, problem)));
  } catch (error) {
    return complain([`cannot be read: ${messageOf(error)}`]);
  }
}

/** `--service-info @FILE` takes it from a file. */
async function withInfo(check: WatchText): Promise<WatchText> {
  const { 'service-info': info } = check;
  if (typeof info !== 'string' || !info.startsWith('@')) return check;
  return { ...check, 'service-info': await readFile(info.slice(1), 'utf8') };
}
