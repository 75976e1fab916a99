/**
 * Bad input to discovery, health, leases, picks, templates and hooks: a clear error where a user looks for it, and everything
 * else goes on: a bystander that is registered all the time, watched by a stream, and the daemons themselves.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 100 };
const DAEMON = 'servicewatcher.service';
const BYSTANDER = 'bystander.service';

/** Deaf to SIGTERM, and so is what it leaves behind. */
const HANGS = `trap '' TERM
sleep 6565 &
while :; do sleep 6565; done
`;
/** Once: more processes than a hook may have, half of them in sessions of their own, that all stay. */
const FORKS = `mkdir /var/lib/forked || exit 0
for n in $(seq 75); do
  setsid sleep 6464 &
  sleep 6464 &
done
exec sleep 6464
`;
const SETTINGS = `templates:
  - {source: /etc/bad.hbs, destination: /etc/out/bad}
  - {source: /etc/endless.hbs, destination: /etc/out/endless}
  - {source: /etc/refused.hbs, destination: /etc/out/refused, check: [/bin/sh, -c, 'echo no such backend >&2; exit 1', '{file}']}
  - {source: /etc/good.hbs, destination: /etc/out/good}
hooks:
  - {on: [member-join], run: [/bin/sh, /opt/forks], timeout: 2}
  - {on: [member-join], run: /opt/not-there}
  - {on: [registered, unregistered], filter: {label: by}, run: [/bin/sh, -c, 'cat >> /srv/told']}
`;
const SERVICES = [
  // its check asks for its host by name, as those of the lost ones do, whose names nobody answers for
  "{name: bystander, type: global, discovery: {label: by, port: 80}, check: {http: 'http://{address}:9780/healthz', interval: 500ms, timeout: 2s, unhealthy_after: 2}}",
  "{name: lost, instances: {a: 2, b: 2, c: 2, d: 2, e: 2, f: 2}, check: {http: 'http://{instance}.example.test/', unhealthy_after: 1}}",
  '{name: hung, type: global, check: {exec: [/bin/sh, /opt/hangs], interval: 500ms, timeout: 300ms, unhealthy_after: 1}, discovery: {}}',
];

describeOnHosts('bad input on two hosts, beside a service that is registered', () => {
  let cluster: Cluster;
  let w1: Host;
  let untouched: unknown;

  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 2,
      units: { [BYSTANDER]: sleeping, 'hung.service': sleeping, 'lost@.service': sleeping },
      files: {
        '/opt/hangs': HANGS,
        // nobody is there
        '/etc/resolv.conf': 'nameserver 198.18.0.250\noptions timeout:1 attempts:2\n',
        '/opt/forks': FORKS,
        '/etc/bad.hbs': 'one\n{{#each members}}\n  {{host}\n{{/each}}\n',
        '/etc/endless.hbs': `${'{{#each @root}}'.repeat(30)}x${'{{/each}}'.repeat(30)}`,
        '/etc/refused.hbs': 'x',
        '/etc/out/good': '',
        '/etc/good.hbs': '{{#each discovery.by}}{{id}} {{address}}:{{port}}\n{{/each}}',
      },
      settings: SETTINGS,
      services: SERVICES,
    });
    w1 = cluster.lab.host('w1');
    await untilEqual(() => idsOf('by'), ['w1', 'w2'], { ...WAIT, what: 'the bystanders' });
    const stream = ['curl', '-sN', '-o', '/srv/stream', 'http://127.0.0.1:9780/discovery/by/stream'];
    await w1.mustSh('systemd-run', '--quiet', '--unit=stream', ...stream);
    untouched = await whatMustNotChange();
  });
  afterAll(() => cluster?.destroy());

  const http = async (path: string) => {
    const { status, body } = await cluster.lab.http(w1, path);
    return { status, body: JSON.parse(body) };
  };
  const idsOf = async (label: string): Promise<string[]> =>
    (await http(`/discovery/${label}`)).body.map(({ id }: { id: string }) => id);
  const whatMustNotChange = async () => ({
    units: await cluster.pids(BYSTANDER, 'hung.service', DAEMON),
    registered: await idsOf('by'),
  });
  const command = (...argv: string[]) => w1.sh('servicewatcher', ...argv);
  const processes = async (host: Host, text: string): Promise<number> =>
    (await host.sh('pgrep', '-f', '-c', text)).stdout.trim().length === 0
      ? 0
      : Number((await host.sh('pgrep', '-f', '-c', text)).stdout.trim());

  it('a hook that forks more than it may is ended with all that it has left, and one that is not there is said so', async () => {
    for (const host of cluster.lab.hosts) {
      await cluster.untilJournal(
        host,
        /the hook \/bin\/sh \/opt\/forks, told member-join \S+( \S+)?: (it was still running after 2 s, and was killed with all its processes|it ended with status 2 \(exit-code\)); tried again in 1 s/,
      );
      await untilEqual(() => processes(host, '^sleep 6464'), 0, {
        ...WAIT,
        what: `${host.name} without its processes`,
      });
    }
    await cluster.untilJournal(
      w1,
      /the hook \/opt\/not-there, told member-join .*: it could not be executed: see that it is there, and executable; tried again/,
    );
  });

  it('templates that do not parse, never end, or are refused keep their files, and are told with their places', async () => {
    const expected = [
      ['/etc/out/bad', 'failed', /^\/etc\/bad\.hbs:3:\d+: it cannot be parsed/],
      ['/etc/out/endless', 'failed', /^\/etc\/endless\.hbs:1:\d+: .* steps/],
      ['/etc/out/refused', 'failed', /^the check .* ended with status 1: no such backend$/],
      ['/etc/out/good', 'current', undefined],
    ] as const;
    const seen = async () => (await http('/status')).body.templates;
    await until(async () => (await seen()).every(({ state }: { state: string }) => state !== 'waiting'), {
      ...WAIT,
      what: 'all templates to have been looked at',
    });
    const states = await seen();
    for (const [destination, state, problem] of expected) {
      const one = states.find((each: { destination: string }) => each.destination === destination);
      expect(one).toMatchObject({ state, ...(problem && { problem: expect.stringMatching(problem) }) });
      if (problem) await cluster.untilJournal(w1, `${destination} stays as it was, it is tried again`);
    }
    // what is tried again is beside its destination for as long as its check runs
    const written = async () => [(await w1.mustSh('ls', '-A', '/etc/out')).trim(), await w1.read('/etc/out/good')];
    await untilEqual(written, ['good', 'w1 w1:80\nw2 w2:80\n'], { ...WAIT, what: 'what is written' });
    const rendered = await command('render', '/etc/bad.hbs');
    expect([rendered.code, rendered.stdout]).toEqual([1, '']);
    expect(rendered.stderr).toMatch(/^\/etc\/bad\.hbs:3:\d+: it cannot be parsed/);
  });

  it('a check that hangs and ignores SIGTERM makes its own unit unhealthy, says why, and leaves nothing behind', async () => {
    const explained = await until(
      async () => {
        const { stdout } = await command('explain', 'hung');
        return stdout.match(/its check said: still running after 0\.3 s/g)?.length === 2 && stdout;
      },
      { ...WAIT, what: 'explain to say so of both hosts' },
    );
    expect(explained).toMatch(/w1: active, unhealthy/);
    expect(await idsOf('hung')).toEqual([]);
    expect(await processes(w1, '^sleep 6565')).toBeLessThanOrEqual(2);
  });

  it('checks of hosts whose names no name server answers fail alone, in their time', async () => {
    const said = async () =>
      (await command('explain', 'lost')).stdout.match(/its check said: no complete answer within 1 s/g)?.length === 12;
    await until(said, { ...WAIT, what: 'explain to say so of all' });
    const { stdout } = await command('explain', 'bystander');
    expect(stdout.match(/w[12]: active, healthy/g)).toHaveLength(2);
  });

  it('hooks that failed, and checks of templates, leave no failed unit behind', async () => {
    // the third attempt: no run of it begins within the time in which all are to be well
    for (const host of cluster.lab.hosts) {
      await cluster.untilJournal(
        host,
        /the hook \/opt\/not-there, told .*: it could not be executed: .*; tried again in 25 s/,
      );
      const failed = () => host.systemctl('list-units', '--plain', '--no-legend', '--failed', 'servicewatcher-*');
      // a check of a template that is tried again fails now and then, and has failed until the daemon has asked how it ended
      await untilEqual(failed, '', { ...WAIT, deadlineMs: 10_000, what: `the failed units of ${host.name}` });
    }
  });

  it('labels with slashes, newlines, dots or 5,000 characters are refused by every command, and over HTTP', async () => {
    const id = ['--service-id', 'x'];
    const refused: readonly (readonly [string, string, ...string[]])[] = [
      ['watch', 'a/b', ...id, '--tcp', 'x:1'],
      ['hosts', 'a\nb'],
      ['pick', '..', '--client', 'c'],
      ['acquire-lease', 'x'.repeat(5_000), ...id],
      ['release-lease', 'a/../b', ...id],
    ];
    const check = async ([name, label, ...rest]: readonly [string, string, ...string[]]) => {
      const { code, stdout, stderr } = await command(name, '--label', label, ...rest);
      expect([name, code, stdout]).toEqual([name, 2, '']);
      expect(stderr).toMatch(/^--label:? .*1 to 100 letters, digits and _ \. - *.*\n$/);
      expect(stderr.length).toBeLessThan(300);
    };
    await Promise.all(refused.map(check));
    for (const label of ['a%2Fb', 'a%0Ab', '..%2F..', 'x'.repeat(5_000)]) {
      const { status, body } = await http(`/discovery/${label}`);
      expect([status, body.error]).toEqual([400, expect.stringMatching(/ is not a label: letters, digits and/)]);
    }
  });

  it('a file with such a label, or with info of 2 MB, is refused with its place', async () => {
    const services = [
      `{name: a, count: 1, discovery: {label: "a/b"}}`,
      `{name: b, count: 1, discovery: {info: {x: ${'y'.repeat(2_000_000)}}}}`,
    ];
    await w1.write('/etc/wrong.yml', cluster.configuration('w1', services));
    const { code, stderr } = await command('check', '/etc/wrong.yml');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^\/etc\/wrong\.yml:\d+:\d+: discovery\.label is a\/b, which cannot be a label: /m);
    expect(stderr).toMatch(
      /^\/etc\/wrong\.yml:\d+:\d+: discovery\.info takes 1954 KiB, more than the 64 KiB that are published/m,
    );
    expect(stderr).toMatch(
      /^\/etc\/wrong\.yml:\d+:\d+: the services take \d+ KiB, .*; move long scripts and info into files/m,
    );
    await w1.write('/etc/big.json', JSON.stringify({ x: 'y'.repeat(2_000_000) }));
    const watch = ['watch', '--label', 'by', '--service-id', 'x', '--tcp', 'x:1', '--service-info', '@/etc/big.json'];
    const watched = await command(...watch);
    expect([watched.code, watched.stderr]).toEqual([
      2,
      expect.stringMatching(/^--service-info takes 1954 KiB, more than the 64 KiB/),
    ]);
  });

  it('what strangers write among the registrations is told, and everybody finds the others', async () => {
    const good = { version: 1, label: 'by', id: 'bad', host: 'w1', address: 'w1', healthy: true, source: 'watch' };
    const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    const all: Record<string, string> = {
      garbage: '{"version":1,"host":[',
      huge: JSON.stringify({ ...good, id: 'huge', info: { x: 'y'.repeat(900_000) } }),
      deep: JSON.stringify({ ...good, id: 'deep' }).replace('}', `,"info":{"x":${deep}}}`),
      lines: JSON.stringify({ ...good, id: 'lines', address: 'w1\nevil' }),
    };
    await cluster.inZooKeeper(async (store) => {
      for (const [name, text] of Object.entries(all))
        await store.create(`/discovery/by/${name}`, Buffer.from(text), 'ephemeral');
      for (const [name, why] of [
        ['garbage', 'does not hold JSON \\(21 bytes\\)'],
        ['huge', 'holds 900[0-9]{3} bytes, and 73728 are the most'],
        ['deep', 'is not valid: its values are nested too deeply'],
        ['lines', 'is not valid: address: is neither a host name nor an IP address'],
      ])
        await cluster.untilJournal(w1, new RegExp(`/discovery/by/${name} ${why}; it is ignored; it is not acted upon`));
      expect(await idsOf('by')).toEqual(['w1', 'w2']);
      const found = await command('hosts', '--label', 'by');
      expect([found.code, found.stdout]).toEqual([0, 'w1,w2\n']);
      expect((await command('pick', '--label', 'by', '--client', 'c')).stdout).toMatch(/^w[12]:80\n$/);
    });
  });

  it('a lease whose holder dies ends after its time, and the next one is told why it waits', async () => {
    const lease = ['--label', 'by', '--lease-timeout', '2s'];
    const long = ['--label', 'long', '--lease-timeout', '200s', '--service-id'];
    // their holders are no processes: nobody ever releases them
    await Promise.all([
      w1.mustSh('servicewatcher', 'acquire-lease', ...lease, '--service-id', 'dead'),
      w1.mustSh('servicewatcher', 'acquire-lease', ...long, 'dead'),
    ]);
    const early = await command('acquire-lease', ...long, 'next', '--acquire-timeout', '100ms');
    expect([early.code, early.stderr]).toEqual([1, expect.stringMatching(/dead on w1 since .*, for 200 s at most/)]);
    expect((await command('status')).stdout).toMatch(/^lease long: held by dead on w1 since /m);
    const next = await command('acquire-lease', ...lease, '--service-id', 'next', '--acquire-timeout', '20s');
    expect([next.code, next.stdout]).toEqual([
      0,
      expect.stringContaining('as its holder had it for longer than it may'),
    ]);
    expect((await command('release-lease', '--label', 'by', '--service-id', 'dead')).stderr).toContain(
      'held by dead, but by next',
    );
  });

  it('in all this nothing else was touched: the same processes, registered all the time, and nobody told otherwise', async () => {
    expect(await whatMustNotChange()).toEqual(untouched);
    const events = (await w1.read('/srv/stream')).match(/^event: .*$/gm);
    expect(events).toEqual(['event: list']);
    expect(await w1.read('/srv/told')).toMatch(/^(w[12]\t.*\n){2}$/);
    for (const host of cluster.lab.hosts) {
      expect(await host.systemctl('show', '--property=NRestarts', DAEMON)).toBe('NRestarts=0\n');
      expect(await host.journal(DAEMON)).not.toMatch(/this is a bug|a pass failed|unhandled/i);
    }
  });
});
