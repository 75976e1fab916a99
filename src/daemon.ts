/** The daemon: the only place where its parts are given the real world (`agent.ts` wires them to each other). It holds no rule of its own. */
import { readFile } from 'node:fs/promises';
import { join, resolve as resolvePath } from 'node:path';
import { Agent } from './agent.ts';
import { hookFile } from './discovery/hook-memory.ts';
import { Hooks } from './discovery/hooks.ts';
import { LabelViews } from './discovery/label-views.ts';
import { Templates } from './discovery/templates.ts';
import { HookPrograms } from './executor/hook-programs.ts';
import { memoryFile } from './executor/memory-file.ts';
import { connectSystemd } from './executor/systemd/connect.ts';
import { endingOf } from './executor/systemd/ending.ts';
import { TemplatePrograms } from './executor/template-programs.ts';
import { reloadRunning } from './executor/unit-reload.ts';
import { listen } from './http/listen.ts';
import { Metrics } from './http/metrics.ts';
import { createServer, type DaemonStatus } from './http/server.ts';
import { delay, systemClock } from './shared/clock.ts';
import { type Config, renderProblem } from './shared/config/config.ts';
import { changedFixedParts } from './shared/config/fixed-parts.ts';
import { loadConfig } from './shared/config/load-config.ts';
import { leaderFinder } from './shared/find-leader.ts';
import type { Logger } from './shared/log.ts';
import { decodeSpecRecord } from './shared/payloads.ts';
import { describeConnection, describeState } from './shared/session-text.ts';
import { SPEC } from './shared/znodes.ts';
import { Diagnosis } from './shared/zookeeper/diagnosis.ts';
import { askEnsemble } from './shared/zookeeper/ensemble.ts';
import { startServer } from './shared/zookeeper/server.ts';
import { connect } from './shared/zookeeper/store.ts';

/** Longest time that an orderly stop waits for the host's units; the unit file's TimeoutStopSec leaves room for it. */
const STOP_UNITS_MS = 85_000;
const EMBEDDED_PORT = 2181;
/** How long a ZooKeeper server may take to say what it is, while there is no connection to any. */
const ENSEMBLE_DEADLINE_MS = 1_000;
/** Longest time that a daemon which is started again takes to end: the session must still be there for the next process. */
const MAKE_WAY_MS = 1_000;

export interface Daemon {
  /** Resolves when the daemon cannot go on, with the reason; never rejects. */
  readonly fatal: Promise<string>;
  /** Resolves when the host has joined the cluster and systemd has answered for the first time. */
  readonly ready: Promise<void>;
  /** Reads the configuration file again; a bad one changes nothing. */
  reload(): Promise<void>;
  /**
   * Stops the host's units (unless `on_stop: keep`) and leaves the cluster. Where systemd is about to start the daemon
   * again, the units run on and the host stays a member: the session is left open for the next process to take over.
   */
  stop(): Promise<void>;
}

/** Starts everything; resolves as soon as it is under way. Rejects when a local precondition fails (port in use, no machine id). */
export async function startDaemon(initial: Config, software: string, log: Logger): Promise<Daemon> {
  const clock = systemClock;
  const { host, zookeeper } = initial;
  let config = initial;
  const address = () => config.host.address ?? host.name;
  let clusterSpec: string | undefined;
  let hasJoined = false;
  let markReady = () => {};
  let markFatal = (_why: string) => {};
  const ready = new Promise<void>((resolve) => {
    markReady = resolve;
  });
  const fatal = new Promise<string>((resolve) => {
    markFatal = resolve;
  });

  const systemdAt = initial.systemdBus === undefined ? {} : { address: initial.systemdBus };
  const machineId = (await readFile('/etc/machine-id', 'utf8')).trim();
  const embedded = zookeeper.servers === 'embedded' ? await startEmbedded(initial, log) : undefined;
  const servers = zookeeper.servers === 'embedded' ? [`127.0.0.1:${EMBEDDED_PORT}`] : zookeeper.servers;
  const { chroot, sessionTimeoutMs, timings } = zookeeper;
  const store = connect({ servers, chroot, sessionTimeoutMs, clock, log });
  const diagnosis = new Diagnosis({ store, clock, log, ask: () => askEnsemble(servers, ENSEMBLE_DEADLINE_MS) });

  const metrics = new Metrics(() => ({
    leading: election.leading,
    zookeeperConnected: store.state.kind === 'connected',
    specStale: isStale(),
    registrations: agent.registrar.registered,
    hookEvents: hooks.waiting,
    failedTemplates: templates.failed,
  }));
  const isStale = () => clusterSpec !== undefined && clusterSpec !== config.specDigest;

  let programs: HookPrograms | undefined;
  let templatePrograms: TemplatePrograms | undefined;
  let reloadUnit: ReturnType<typeof reloadRunning> | undefined;
  const agent = new Agent({
    host: host.name,
    machineId,
    store,
    clock,
    log,
    connectSystemd: (events) => {
      const systemd = connectSystemd({ ...systemdAt, clock, log, events });
      reloadUnit = reloadRunning(systemd);
      programs = new HookPrograms(systemd, join(initial.stateDir, 'hooks'));
      templatePrograms = new TemplatePrograms(systemd, join(initial.stateDir, 'template-programs'));
      return systemd;
    },
    memory: memoryFile(join(initial.stateDir, 'units.json'), log),
    prestartFolder: join(initial.stateDir, 'prestart'),
    sessionTimeoutMs,
    ...timings,
    executorMetrics: metrics.executor,
    leaderMetrics: metrics.leader,
    file: () => ({ name: config.file, spec: config.spec, digest: config.specDigest }),
    describe: () => {
      const at = address();
      return { address: at, url: `http://${at}:${config.http.port}`, labels: config.host.labels, software };
    },
    onJoined: () => {
      if (!hasJoined) void startHooks();
      hasJoined = true;
      readyIfAll();
    },
    onSystemdConnected: () => readyIfAll(),
    onNameTaken: (why) => markFatal(why),
    onTerm: (term) => {
      if (!term) metrics.stoppedLeading();
    },
  });
  const { executor, election, membership } = agent;

  const hooks = new Hooks({
    host: host.name,
    labels: () => config.host.labels,
    store,
    clock,
    log,
    file: hookFile(join(initial.stateDir, 'hooks.json'), log),
    run: async (run) => (await programs?.run(run)) ?? { kind: 'unknown', why: 'there is no systemd yet' },
    metrics: metrics.hooks,
  });
  const templates = new Templates({
    host: host.name,
    address,
    labels: () => config.host.labels,
    store,
    clock,
    log,
    folder: join(initial.stateDir, 'templates'),
    run: async (program) =>
      (await templatePrograms?.run(program)) ?? { kind: 'failed', why: 'there is no systemd yet' },
    reloadUnit: async (unit, signal) => (reloadUnit ? await reloadUnit(unit, signal) : 'there is no systemd yet'),
    onWritten: () => metrics.templateWritten(),
  });
  const startHooks = async () => {
    await programs?.clean();
    await hooks.start();
  };

  const readyIfAll = () => {
    if (!hasJoined || !executor.systemdConnected) return;
    // what checks and reloads needs systemd
    templates.start();
    markReady();
  };
  const specWatch = store.watch(SPEC, (node) => {
    const decoded = node && decodeSpecRecord(node.data, node.path);
    clusterSpec = decoded?.ok ? decoded.value.digest : clusterSpec;
  });
  const unsubscribe = store.onState((state) => {
    if (state.kind === 'suspended' || state.kind === 'lost')
      log.warn(`${describeState(state)}; units run on, those with isolation: stop for as long as is safe`);
  });

  const status = (): DaemonStatus => ({
    host: host.name,
    software,
    leading: election.leading,
    ready: membership.joined && executor.systemdConnected,
    zookeeper: { state: store.state.kind, detail: describeConnection(store.state, diagnosis.text) },
    systemd: { connected: executor.systemdConnected },
    spec: { file: config.specDigest, cluster: clusterSpec, stale: isStale() },
    configuration: { file: resolvePath(initial.file), zookeeper: { servers, chroot, sessionTimeoutMs } },
    templates: templates.states,
    observed: executor.observed,
  });
  const labels = new LabelViews({ store, clock, log });
  const http = createServer({
    status,
    assignments: () => agent.leader?.assignments,
    findLeader: leaderFinder(store, clock),
    metrics: metrics.registry,
    discovery: labels,
  });

  // first, because a port in use is how a second daemon of the same file on this machine finds out
  await listen(http, { ...initial.http, file: initial.file });
  await agent.start();
  log.info(`servicewatcher ${software} on host ${host.name}, ZooKeeper ${servers.join(',')}${chroot}`);

  return {
    fatal,
    ready,
    async reload() {
      const parsed = await loadConfig(config.file);
      if (!parsed.ok) {
        for (const problem of parsed.problems) log.error(renderProblem(config.file, problem));
        log.error(`${config.file} was not taken over: the configuration stays as it was`);
        return;
      }
      for (const warning of parsed.warnings) log.warn(renderProblem(config.file, warning));
      for (const part of changedFixedParts(config, parsed.config))
        log.warn(`${config.file}: \`${part}\` has changed and takes effect when the daemon is restarted`);
      config = parsed.config;
      templates.reload();
      await agent.reload();
    },
    async stop() {
      specWatch.close();
      labels.close();
      const templatesEnded = templates.close();
      if ((await endingOf(process.pid, { ...systemdAt, clock, log })) === 'restart') {
        const madeWay = Promise.allSettled([
          hooks.close(),
          templatesEnded,
          agent.makeWay(),
          http.close(),
          embedded?.stop(),
        ]);
        await Promise.race([madeWay, delay(clock, MAKE_WAY_MS, new AbortController().signal)]);
        return;
      }
      const which = config.onStop === 'stop' ? 'all' : 'once-only';
      // a run that is under way ends for us, at the latest, when the agent lets go of systemd
      const hooksEnded = hooks.close();
      if (!(await agent.leave(which, AbortSignal.timeout(STOP_UNITS_MS)))) return;
      await hooksEnded;
      await templatesEnded;
      diagnosis.close();
      await store.close();
      unsubscribe();
      await http.close();
      await embedded?.stop();
    },
  };
}

async function startEmbedded(config: Config, log: Logger) {
  log.info('running a ZooKeeper server of our own (zookeeper.quorum: embedded): for one host only');
  return startServer({
    dataDir: join(config.stateDir, 'zookeeper'),
    clientPort: EMBEDDED_PORT,
    log: (line) => log.debug(`zookeeper: ${line}`),
  });
}
