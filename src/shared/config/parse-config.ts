/** The text of a configuration file → a `Config`, or everything that is wrong with it. Pure. */
import { isAbsolute } from 'node:path';
import { canonicalJson, digestOf, digestOfText } from '../digest.ts';
import { isHostName } from '../names.ts';
import { MAX_LABELS_BYTES } from '../payload-parts.ts';
import type { Spec } from '../spec.ts';
import { MAX_PAYLOAD_BYTES } from '../store.ts';
import { checkAfter } from './after.ts';
import type { HostConfig, ParsedConfig, Timings, ZookeeperConfig } from './config.ts';
import { quote, readChroot } from './endpoints.ts';
import { Findings } from './findings.ts';
import { readHooks } from './hooks.ts';
import { checkIsolation, DEFAULT_SESSION_TIMEOUT_MS } from './isolation.ts';
import { type Located, parseLocated, toPlain } from './located.ts';
import { checkReferences } from './references.ts';
import { formatDuration } from './scalars.ts';
import { type RawConfig, readShape } from './schema.ts';
import { isLabelKey, LABEL_KEY_RULE } from './selector.ts';
import { type DeclaredService, readServices } from './services.ts';
import { readTemplates } from './templates.ts';

/** Longest text that is read at all: parsing takes seconds beyond. */
const MAX_SOURCE_CHARACTERS = 2 * 1024 * 1024;
/** Room for what the `spec` znode holds beside the spec. */
const SPEC_RECORD_BYTES = 32 * 1024;

/**
 * Validates a whole file. `file` is only what the result is called by; `hostname` stands in for `host.name`. Never
 * throws, whatever the text. All problems are reported at once, except that a text which is not YAML has no others.
 */
export function parseConfig(source: string, file: string, hostname: string): ParsedConfig {
  if (source.length > MAX_SOURCE_CHARACTERS) {
    return refused(
      `the file has more than ${MAX_SOURCE_CHARACTERS} characters; move long scripts and info into files of their own`,
    );
  }
  const document = parseLocated(source);
  if (document.problems.length > 0) return { ok: false, problems: document.problems };
  if (document.root.kind !== 'map') {
    return refused('the file has no settings; it needs zookeeper: and services: at least');
  }
  const findings = new Findings(document);
  const raw = readShape(toPlain(withoutExtensions(document.root)), findings);
  if (raw === undefined) return { ok: false, problems: findings.problems() };

  const services = servicesOf(raw, findings);
  const declared = readServices(services, raw.isolation ?? 'keep', findings);
  checkIsolation(raw, declared, findings);
  const broken = brokenNames(raw, findings);
  checkReferences(declared, broken, source, findings);
  checkAfter(services, declared, broken, findings);
  const spec = readSpec(raw, declared, broken, findings);
  const zookeeper = readZookeeper(raw, findings);
  const host = readHost(raw, hostname, findings);
  checkPaths(raw, findings);

  const problems = findings.problems();
  if (problems.length > 0 || zookeeper === undefined) return { ok: false, problems };
  return {
    ok: true,
    config: {
      file,
      fileDigest: digestOfText(source),
      zookeeper,
      http: raw.http?.listen ?? { host: undefined, port: 9780 },
      host,
      onStop: raw.on_stop ?? 'stop',
      ...(raw.systemd?.bus ? { systemdBus: raw.systemd.bus } : {}),
      stateDir: raw.state_dir ?? '/var/lib/servicewatcher',
      spec,
      specDigest: digestOf(spec),
    },
    warnings: findings.warnings(),
  };
}

function refused(message: string): ParsedConfig {
  return { ok: false, problems: [{ line: 0, column: 0, message }] };
}

/** Top-level keys that start with `x-` or `.` only hold anchors. */
function withoutExtensions(root: Located & { kind: 'map' }): Located {
  return { ...root, entries: new Map([...root.entries].filter(([key]) => !/^(x-|\.)/.test(key))) };
}

function servicesOf(raw: RawConfig, findings: Findings): NonNullable<RawConfig['services']> {
  if (!findings.present(['services'])) {
    findings.problemAtKey(
      ['services'],
      'services is missing; add services: with a list, or services: [] to run nothing',
    );
  }
  return raw.services ?? [];
}

function brokenNames(raw: RawConfig, findings: Findings): Set<string> {
  const services = raw.services ?? [];
  return new Set([...findings.brokenServices].map((index) => (services[index]?.name ?? '').replace(/\.service$/, '')));
}

function readSpec(
  raw: RawConfig,
  declared: readonly DeclaredService[],
  broken: ReadonlySet<string>,
  findings: Findings,
): Spec {
  const known = { names: declared.map(({ service }) => service.name), broken };
  const templates = readTemplates(raw.templates ?? [], known, findings);
  const services = declared.map(({ service }) => service);
  const hooks = readHooks(raw.hooks ?? [], known, services, findings);
  const spec: Spec = {
    services,
    brake: {
      above: raw.brake?.above ?? 0.5,
      atLeast: raw.brake?.at_least ?? 3,
      holdMs: raw.brake?.hold ?? 60_000,
    },
    ...(templates.length > 0 && { templates }),
    ...(hooks.length > 0 && { hooks }),
  };
  const bytes = Buffer.byteLength(canonicalJson(spec));
  if (bytes > MAX_PAYLOAD_BYTES - SPEC_RECORD_BYTES) {
    const kib = (size: number): string => `${Math.ceil(size / 1024)} KiB`;
    findings.problemAtKey(
      ['services'],
      `the services take ${kib(bytes)}, more than the ${kib(MAX_PAYLOAD_BYTES - SPEC_RECORD_BYTES)} that fit into ZooKeeper; move long scripts and info into files on the hosts`,
    );
  }
  return spec;
}

function readZookeeper(raw: RawConfig, findings: Findings): ZookeeperConfig | undefined {
  const quorum = raw.zookeeper?.quorum;
  if (!findings.present(['zookeeper', 'quorum'])) {
    findings.problemAtKey(
      ['zookeeper'],
      'zookeeper.quorum is missing; write h1:2181,h2:2181, or embedded for a single host',
    );
  }
  const written = raw.zookeeper?.chroot ?? undefined;
  const chroot = written === undefined ? undefined : readChroot(written);
  if (chroot?.ok === false)
    findings.problem(['zookeeper', 'chroot'], `zookeeper.chroot is not understood: ${chroot.problem}`);
  if (quorum?.chroot !== undefined && written !== undefined && quorum.chroot !== written) {
    findings.problem(
      ['zookeeper', 'chroot'],
      `zookeeper.chroot is ${quote(written)}, but zookeeper.quorum ends in ${quote(quorum.chroot)}; keep one of them`,
    );
  }
  const timings = readTimings(raw, findings);
  if (quorum === undefined) return undefined;
  return {
    servers: quorum.servers,
    chroot: quorum.chroot ?? (chroot?.ok ? chroot.value : '/servicewatcher'),
    sessionTimeoutMs: raw.zookeeper?.session_timeout ?? DEFAULT_SESSION_TIMEOUT_MS,
    timings,
  };
}

function readTimings(raw: RawConfig, findings: Findings): Timings {
  const written = raw.zookeeper?.timings;
  const timings: Timings = {
    loopTickMs: written?.loop_tick ?? 10_000,
    failedLoopTickMs: written?.failed_loop_tick ?? 5000,
    boundaryMs: written?.partitioner_boundary ?? 1000,
    reactionMs: written?.partitioner_reaction ?? 2,
  };
  if (timings.reactionMs > timings.loopTickMs) {
    const key = written?.partitioner_reaction == null ? 'loop_tick' : 'partitioner_reaction';
    findings.problem(
      ['zookeeper', 'timings', key],
      `partitioner_reaction (${formatDuration(timings.reactionMs)}) is longer than loop_tick (${formatDuration(timings.loopTickMs)}): events would be gathered for longer than two passes may be apart; make it shorter`,
    );
  }
  return timings;
}

function readHost(raw: RawConfig, hostname: string, findings: Findings): HostConfig {
  const name = raw.host?.name ?? hostname;
  const rule = 'letters, digits, - and _, in parts parted by dots';
  if (raw.host?.name == null) {
    if (!isHostName(hostname) && !findings.present(['host', 'name'])) {
      findings.problemOfFile(
        `this machine is called ${quote(hostname)}, which cannot be the name of a host (${rule}); set host.name`,
      );
    }
  } else if (!isHostName(name)) {
    findings.problem(['host', 'name'], `host.name is ${quote(name)}, which cannot be the name of a host: ${rule}`);
  }
  const address = raw.host?.address ?? undefined;
  if (address !== undefined && !isHostName(address)) {
    findings.problem(
      ['host', 'address'],
      `host.address is ${quote(address)}; write a host name or an IPv4 address, without a port`,
    );
  }
  const labels = raw.host?.labels ?? {};
  for (const label of Object.keys(labels)) {
    if (!isLabelKey(label)) {
      findings.problemAtKey(['host', 'labels', label], `${quote(label)} cannot be a label: ${LABEL_KEY_RULE}`);
    }
  }
  const bytes = Buffer.byteLength(canonicalJson(labels));
  if (bytes > MAX_LABELS_BYTES) {
    findings.problemAtKey(
      ['host', 'labels'],
      `host.labels take ${Math.ceil(bytes / 1024)} KiB, more than the ${MAX_LABELS_BYTES / 1024} KiB that are published; shorten them`,
    );
  }
  return { name, labels, ...(address === undefined ? {} : { address }) };
}

function checkPaths(raw: RawConfig, findings: Findings): void {
  if (raw.state_dir && !isAbsolute(raw.state_dir)) {
    findings.problem(
      ['state_dir'],
      `state_dir is ${quote(raw.state_dir)}; write an absolute path, such as /var/lib/servicewatcher`,
    );
  }
  if (raw.systemd?.bus && !/^[a-z][a-z-]*:\S+$/.test(raw.systemd.bus)) {
    findings.problem(
      ['systemd', 'bus'],
      `systemd.bus is ${quote(raw.systemd.bus)}; write the address of a D-Bus, such as unix:path=/run/dbus/system_bus_socket`,
    );
  }
}
