/** What the cluster is told to run while it is tried, and the program that runs as every unit. */
import { service } from '../harness/units.ts';

/** Seen on every host, one folder of this machine. */
export const SHARED = '/chaos';
/** In it: a line for each beginning, sign of life and end of a process. */
export const PROCESS_LOG = 'processes';
/** While a file of the unit's name is in it, that unit fails or hangs in its start there. */
export const FLAGS = '/run/chaos';

export const SESSION_TIMEOUT_MS = 4000;
export const TICK_MS = 500;
/** How long the cluster may take to settle after a fault's end. */
export const SETTLE_LIMIT_MS = SESSION_TIMEOUT_MS + TICK_MS + 2000;

/** `everywhere`: global. `some`: on as many hosts as its count. `once`: count 1, `isolation: stop`. */
export type UnitClass = 'everywhere' | 'some' | 'once';

export interface DeclaredUnit {
  readonly unit: string;
  readonly class: UnitClass;
  /** On how many hosts, if there are so many. */
  readonly count: number;
}

/** Every unit of the configuration. */
export const DECLARED: readonly DeclaredUnit[] = [
  { unit: 'everywhere.service', class: 'everywhere', count: Number.POSITIVE_INFINITY },
  { unit: 'one.service', class: 'some', count: 1 },
  { unit: 'two.service', class: 'some', count: 2 },
  { unit: 'three.service', class: 'some', count: 3 },
  { unit: 'part@a.service', class: 'some', count: 1 },
  { unit: 'part@b.service', class: 'some', count: 2 },
  { unit: 'part@c.service', class: 'some', count: 1 },
  { unit: 'lingering.service', class: 'some', count: 2 },
  { unit: 'flaky.service', class: 'some', count: 2 },
  { unit: 'slow.service', class: 'some', count: 1 },
  { unit: 'restarting.service', class: 'some', count: 2 },
  { unit: 'single.service', class: 'once', count: 1 },
  { unit: 'stubborn.service', class: 'once', count: 1 },
];

/** The unit that has one instance less while `reload-changed` lasts. */
export const CHANGED_UNIT = 'three.service';

/** Units that run on every host from its boot on and that the configuration does not name. */
export const STRANGERS = ['stranger.service', 'part@stranger.service'] as const;

export function isDeclared(unit: string): boolean {
  return DECLARED.some((declared) => declared.unit === unit);
}

/** The configuration file: all timings are the defaults. `changed`: one instance of `CHANGED_UNIT` less. */
export function configuration(quorum: string, changed = false): string {
  return `zookeeper:
  quorum: ${quorum}
  session_timeout: ${SESSION_TIMEOUT_MS / 1000}
services:
  - {name: everywhere, type: global}
  - {name: one, count: 1}
  - {name: two, count: 2}
  - {name: three, count: ${changed ? 2 : 3}}
  - {name: part, instances: {a: 1, b: 2, c: 1}}
  - {name: lingering, count: 2}
  - {name: flaky, count: 2}
  - {name: slow, count: 1}
  - {name: restarting, count: 2}
  - {name: single, count: 1, isolation: stop}
  - {name: stubborn, count: 1, isolation: stop}
`;
}

const PROGRAM = '/usr/local/lib/chaos-unit';

/**
 * The program of every unit: `chaos-unit UNIT [once] [stubborn]`. It writes lines `WHAT UNIT HOST PID SECONDS` to the
 * shared log, SECONDS of CLOCK_MONOTONIC. `once`: it holds a lock that the kernel keeps for as long as any process of the
 * unit lives, on whatever host, and says `conflict` when it cannot have it; and it says twice a second that it lives.
 * `stubborn`: SIGTERM does not end it. SIGUSR1 is its end in good order.
 */
const PROGRAM_TEXT = `#!/bin/sh
unit=$1 kind=$2 manner=$3
read -r host < /proc/sys/kernel/hostname
say() {
  read -r now _ < /proc/uptime
  echo "$1 $unit $host $$ $now" >> ${SHARED}/${PROCESS_LOG}
}
if [ "$kind" = once ]; then
  exec 9>> "${SHARED}/lock-$unit"
  flock --nonblock 9 || say conflict
fi
if [ "$manner" = stubborn ]; then
  trap '' TERM
else
  trap 'say end; exit 0' TERM
fi
say begin
[ "$kind" = once ] || [ "$manner" = stubborn ] || exec sleep infinity
while :; do
  sleep 0.5 &
  wait $!
  [ "$kind" != once ] || say alive
done
`;

/** Ended by SIGUSR1 a unit has not failed. No limit of starts: it is struck more often than a unit in real life. */
function unitFile(lines: string, condition = ''): string {
  return `[Unit]\nStartLimitIntervalSec=0\n${condition}${service(`SuccessExitStatus=SIGUSR1\n${lines}`)}`;
}

function plain(kind = 'many', manner = ''): string {
  return `ExecStart=${PROGRAM} %n ${kind} ${manner}`;
}

/** Files that each host has, by their absolute paths; `executable` ones have mode 0755. */
export const HOST_FILES: readonly { readonly path: string; readonly text: string; readonly mode: number }[] = [
  { path: PROGRAM, text: PROGRAM_TEXT, mode: 0o755 },
  ...Object.entries({
    'everywhere.service': unitFile(plain()),
    'one.service': unitFile(plain()),
    'two.service': unitFile(plain()),
    'three.service': unitFile(plain()),
    'part@.service': `${unitFile(plain())}[Install]\nWantedBy=multi-user.target\n`,
    'lingering.service': unitFile(`TimeoutStopSec=2\n${plain('many', 'stubborn')}`),
    'flaky.service': unitFile(`ExecStartPre=test ! -e ${FLAGS}/flaky.service\n${plain()}`),
    'slow.service': unitFile(
      `ExecStartPre=sh -c 'while test -e ${FLAGS}/slow.service; do sleep 0.1; done'\n${plain()}`,
    ),
    'restarting.service': unitFile(`Restart=always\nRestartSec=100ms\n${plain()}`),
    'single.service': unitFile(`TimeoutStopSec=1\n${plain('once')}`),
    'stubborn.service': unitFile(`TimeoutStopSec=1\n${plain('once', 'stubborn')}`),
    'stranger.service': `${unitFile(plain())}[Install]\nWantedBy=multi-user.target\n`,
  }).map(([name, text]) => ({ path: `/etc/systemd/system/${name}`, text, mode: 0o644 })),
  {
    // nothing that is looked for afterwards may be dropped, nor lost with the power
    path: '/etc/systemd/journald.conf.d/chaos.conf',
    text: '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSystemMaxUse=1G\nSyncIntervalSec=1s\n',
    mode: 0o644,
  },
];
