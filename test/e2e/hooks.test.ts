/** Hooks on real hosts: programs that are told what happens to members, registrations and units, whatever becomes of them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 100 };
const DAEMON = 'servicewatcher.service';

/** `told NAME`: adds the run to /var/lib/told/NAME: event, number, role and labels by its variables, then its lines. */
const TOLD = `mkdir -p /var/lib/told
while [ -e /var/lib/hold-$1 ]; do sleep 0.05; done
{ echo "$SERVICEWATCHER_EVENT $SERVICEWATCHER_COUNT role=$SERVICEWATCHER_ROLE labels=$SERVICEWATCHER_LABELS"; cat; } >> /var/lib/told/$1
echo "heard of $SERVICEWATCHER_EVENT"
`;
/** Hangs the first time, and so does what it started: in a session of its own, and deaf to SIGTERM. */
const HANGS = `mkdir /var/lib/hung || exit 0
setsid sh -c 'trap "" TERM; while :; do sleep 6161; done' &
sleep 6161
`;
/** Forks for ever the first time: one process after the other, each of which stays. */
const FORKS = `mkdir /var/lib/forked || exit 0
while :; do
  sleep 6262 &
  sleep 0.02
done
`;

const LABELS_OF_W2 = 'rack=r1,role=backend';
const told = (name: string) => `run: [/bin/sh, /opt/told, ${name}]`;
const HOOKS = `hooks:
  - {on: [member-join, member-leave, member-failed], ${told('members')}}
  - {on: member-join, filter: {role: backend}, ${told('backends')}}
  - {on: [registered, unregistered], filter: {label: web}, ${told('web')}}
  - {on: [unit-started, unit-moved, unit-failed], filter: {service: job}, ${told('job')}}
  - {on: leader-changed, hosts: {service: web}, ${told('leader')}}
  - {on: member-join, filter: {role: backend}, hosts: {labels: {zone: a}}, run: [/bin/sh, /opt/hangs], timeout: 1}
  - {on: member-join, filter: {role: backend}, hosts: {labels: {zone: a}}, run: [/bin/sh, /opt/forks], timeout: 2}
`;

describeOnHosts('hooks on three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      daemons: 1,
      units: { 'web.service': sleeping, 'job.service': sleeping },
      files: { '/opt/told': TOLD, '/opt/hangs': HANGS, '/opt/forks': FORKS },
      sessionTimeout: 4,
      settings: HOOKS,
      services: ['{name: web, type: global, discovery: {port: 8080, role: server}}', '{name: job, count: 1}'],
    });
  });
  afterAll(() => cluster?.destroy());

  const host = (name: string): Host => cluster.lab.host(name);
  /** What was told on a host, one run a line, its lines after it. */
  const heard = async (on: string, what: string): Promise<string[]> => {
    const text = await host(on)
      .read(`/var/lib/told/${what}`)
      .catch(() => '');
    return text
      .trimEnd()
      .split(/\n(?=\S+ \d+ role=)/)
      .map((run) => run.replaceAll('\t', ' ').replaceAll('\n', '; '));
  };
  const untilHeard = (on: string, what: string, run: string) =>
    until(
      async () => {
        const runs = await heard(on, what);
        if (runs.includes(run)) return true;
        throw new Error(runs.join('\n'));
      },
      { ...WAIT, what: `"${run}" to be told on ${on}` },
    );

  it('are told of a member that joins: event, host, address, role and labels, as variables and as a line', async () => {
    await cluster.deploy(host('w2'), `host: {address: 198.18.0.12, labels: {role: backend, rack: r1}}\n`);
    const run = 'member-join 1 role=backend labels=rack=r1,role=backend; w2 198.18.0.12 backend rack=r1,role=backend';
    await untilHeard('w1', 'members', run);
    await untilHeard('w1', 'backends', run);
  });

  it('that are new on a host are told of several at once, filtered by role', async () => {
    await cluster.deploy(host('w3'), `host: {labels: {role: frontend, zone: a}}\n`);
    await untilHeard(
      'w3',
      'members',
      [
        'member-join 3 role= labels=',
        'w1 w1 - -',
        'w2 198.18.0.12 backend rack=r1,role=backend',
        'w3 w3 frontend role=frontend,zone=a',
      ].join('; '),
    );
    const backend =
      'member-join 1 role=backend labels=rack=r1,role=backend; w2 198.18.0.12 backend rack=r1,role=backend';
    await untilHeard('w3', 'backends', backend);
    await untilHeard(
      'w1',
      'members',
      'member-join 1 role=frontend labels=role=frontend,zone=a; w3 w3 frontend role=frontend,zone=a',
    );
    expect(await heard('w1', 'backends')).toEqual([backend]);
    expect(await heard('w3', 'backends')).toEqual([backend]);
  });

  it('are told that a unit failed, where it moved and then that it runs there, wherever they are', async () => {
    // a host that joined a moment ago takes nothing new yet: the unit would go nowhere, and then be placed
    await cluster.untilSettled();
    const [from = ''] = await cluster.runsOn('job.service');
    await cluster.killUnit(host(from), 'job.service');
    const to = await until(async () => (await cluster.runsOn('job.service')).find((name) => name !== from), {
      ...WAIT,
      what: 'job.service to run elsewhere',
    });
    const expected = [
      new RegExp(`^unit-failed .*; ${from} \\S+ \\S+ \\S+ job.service job systemd reports it failed`),
      new RegExp(`^unit-moved .*; ${to} \\S+ \\S+ \\S+ job.service job ${from} ${to} failed there$`),
      new RegExp(`^unit-started .*; ${to} `),
    ] as const;
    for (const on of ['w1', 'w2', 'w3']) {
      const places = await until(
        async () => {
          const runs = await heard(on, 'job');
          const found = expected.map((one) => runs.findLastIndex((run) => one.test(run)));
          if (!found.includes(-1)) return found;
          throw new Error(runs.join('\n'));
        },
        { ...WAIT, what: `all of it to be told on ${on}` },
      );
      // the host where it failed tells of it itself, on a busy machine after the leader has told of the move
      const [, moved = 0, started = 0] = places;
      expect(moved, on).toBeLessThan(started);
      const kinds = (await heard(on, 'job')).map((run) => run.split(' ')[0]);
      for (const kind of ['unit-failed', 'unit-moved'])
        expect(
          kinds.filter((each) => each === kind),
          `${kind} on ${on}`,
        ).toHaveLength(1);
    }
  });

  it('run as units of their own, within limits, and are told what was under way when their daemon was killed, and what happened afterwards, in order', async () => {
    const [watcher, leaver] = [host('w1'), host('w2')];
    await watcher.mustSh('touch', '/var/lib/hold-members');
    await leaver.systemctl('stop', DAEMON);
    const running = async () => (await watcher.sh('pgrep', '-f', '^/bin/sh /opt/told members')).code === 0;
    await until(running, { ...WAIT, what: 'the hook to run on w1' });
    const limits = await watcher.systemctl('show', 'servicewatcher-hook-*', '--property=TasksMax,MemoryMax');
    expect(new Set(limits.trim().split(/\n+/))).toEqual(new Set(['MemoryMax=536870912', 'TasksMax=128']));
    const { mainPid } = await watcher.unitState(DAEMON);
    await watcher.systemctl('kill', '--signal=KILL', '--kill-who=main', DAEMON);
    await until(async () => ![0, mainPid].includes((await watcher.unitState(DAEMON)).mainPid), {
      ...WAIT,
      what: 'a new daemon',
    });
    await leaver.systemctl('start', DAEMON);
    const lastOf = (runs: string[], event: string) =>
      runs.findLastIndex((run) => run.startsWith(event) && run.includes(`; w2 198.18.0.12 backend ${LABELS_OF_W2}`));
    // on a slow machine the host whose daemon was killed may come back at the same moment, and be told in the same run
    const isBack = async () => {
      const runs = await heard('w3', 'members');
      const left = lastOf(runs, 'member-leave ');
      if (left >= 0 && lastOf(runs, 'member-join ') > left) return true;
      throw new Error(runs.join('\n'));
    };
    await until(isBack, { ...WAIT, what: 'w3 to be told that w2 is back' });
    // the third host was told who led when it came, and who led in its place when the daemon was killed
    const changes = async () => (await heard('w3', 'leader')).map((run) => run.split('; ')[1]);
    const [before, after] = ['w1 w1 - -', 'w3 w3 frontend role=frontend,zone=a'];
    await untilEqual(changes, [`${before} -`, `${after} w1`], { ...WAIT, what: 'the change of the leader to be told' });
    expect((await cluster.leader()).name).toBe('w3');
    await watcher.mustSh('rm', '/var/lib/hold-members');
    const about = (runs: string[]) => runs.filter((run) => run.includes('; w2 ')).map((run) => run.split(' ')[0]);
    // at least once: the run that was under way may have come to its end before the new daemon repeated it
    await until(
      async () => {
        const seen = about(await heard('w1', 'members')).join(', ');
        if (/^member-join(, member-leave){1,2}, member-join$/.test(seen)) return true;
        throw new Error(seen);
      },
      { ...WAIT, what: 'both to be told' },
    );
  });

  it('are told that a host which lost its power has failed, and what was registered there is gone', async () => {
    await host('w2').powerOff();
    await untilHeard(
      'w1',
      'members',
      `member-failed 1 role=backend labels=${LABELS_OF_W2}; w2 198.18.0.12 backend ${LABELS_OF_W2}`,
    );
    const gone = `unregistered 1 role=server labels=${LABELS_OF_W2}; w2 198.18.0.12 server ${LABELS_OF_W2} web 8080 w2`;
    await untilHeard('w1', 'web', gone);
    await untilHeard('w3', 'web', gone);
  });

  it('one that hangs and one that forks for ever were killed with all their processes, and held up nobody', async () => {
    for (const name of ['hangs', 'forks'])
      await cluster.untilJournal(
        host('w3'),
        new RegExp(
          `the hook /bin/sh /opt/${name}, told member-join w2: it was still running after \\d s, and was killed with all its processes; tried again in 1 s`,
        ),
      );
    await cluster.untilJournal(host('w3'), 'the hook /bin/sh /opt/hangs, told member-join w2: done');
    expect((await host('w3').sh('pgrep', '-f', 'sleep 6[12]6')).stdout).toBe('');
    expect(await cluster.metric(host('w3'), 'servicewatcher_hook_runs_total{result="timeout"}')).toBe(2);
  });

  it('have their output in the journal, to be found by what they were told', async () => {
    const found = await host('w1').mustSh(
      'journalctl',
      '--quiet',
      '-o',
      'cat',
      'SERVICEWATCHER_HOOK_EVENT=member-join',
    );
    expect(found).toContain('heard of member-join');
    expect(found).toContain('the hook /bin/sh /opt/told members, told member-join w2: done');
  });
});
