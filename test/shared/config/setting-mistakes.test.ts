/** Mistakes of the settings beside the services: ZooKeeper and its times, the host, the brake and the rest. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';
import { fileProblems, HEAD, type Mistake } from './reading.ts';

const DURATION = 'write seconds (0.5) or 500ms, 4s, 1m, 2h';
const V6 = 'which is not supported here; write a host name that resolves to it, as host:port';

const ROWS: readonly Mistake[] = [
  // ZooKeeper
  [
    'an empty quorum',
    "zookeeper: {quorum: ''}\nservices: []",
    'c.yml:1:21: zookeeper.quorum is not understood: "" is not a server; write host:port, several parted by commas',
  ],
  [
    'an IPv6 address',
    "zookeeper: {quorum: '[::1]:2181'}\nservices: []",
    `c.yml:1:21: zookeeper.quorum is not understood: [::1]:2181 looks like an IPv6 address, ${V6}`,
  ],
  [
    'a bare IPv6 address in a list',
    "zookeeper:\n  quorum:\n  - zk1\n  - '::1'\nservices: []",
    `c.yml:4:5: zookeeper.quorum.1 is not understood: ::1 looks like an IPv6 address, ${V6}`,
  ],
  [
    'a port that is none',
    'zookeeper: {quorum: "zk1:99999"}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: zk1:99999 has no port from 1 to 65535 after its colon',
  ],
  [
    'a trailing comma',
    'zookeeper: {quorum: "zk1,"}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: "" is not a server; write host:port, several parted by commas',
  ],
  [
    'a quorum that is a map',
    'zookeeper: {quorum: {a: 1}}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is a map; write h1:2181,h2:2181, a list of servers, or embedded',
  ],
  [
    'an empty list of servers',
    'zookeeper: {quorum: []}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is a list; write h1:2181,h2:2181, a list of servers, or embedded',
  ],
  [
    'a relative chroot',
    'zookeeper: {quorum: a, chroot: sw}\nservices: []',
    'c.yml:1:32: zookeeper.chroot is not understood: sw is not a znode path; write an absolute one such as /servicewatcher, without a slash at its end',
  ],
  [
    'a chroot with dots',
    'zookeeper: {quorum: a, chroot: /a/../b}\nservices: []',
    'c.yml:1:32: zookeeper.chroot is not understood: /a/../b has a part . or .., which ZooKeeper refuses',
  ],
  [
    "ZooKeeper's own znode as chroot",
    'zookeeper: {quorum: a/zookeeper/x}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: /zookeeper/x is reserved for ZooKeeper itself; choose another path',
  ],
  [
    'two different chroots',
    'zookeeper: {quorum: a/b, chroot: /c}\nservices: []',
    'c.yml:1:34: zookeeper.chroot is /c, but zookeeper.quorum ends in /b; keep one of them',
  ],
  [
    'a session timeout that is too short for isolation: stop',
    'zookeeper: {quorum: a, session_timeout: 2999ms}\nservices: [{name: a, count: 1, isolation: stop}]',
    'c.yml:1:41: a has isolation: stop, for which session_timeout must be at least 3s, but it is 2999ms',
  ],
  [
    'a session timeout that is too short',
    'zookeeper: {quorum: a, session_timeout: 999ms}\nservices: []',
    `c.yml:1:41: zookeeper.session_timeout is 999ms; ${DURATION}, from 1s to 1m`,
  ],
  [
    'a session timeout that is too long',
    'zookeeper: {quorum: a, session_timeout: 61}\nservices: []',
    `c.yml:1:41: zookeeper.session_timeout is 61; ${DURATION}, from 1s to 1m`,
  ],
  [
    'a timing with an unknown unit',
    'zookeeper: {quorum: a, timings: {loop_tick: 1d}}\nservices: []',
    `c.yml:1:45: zookeeper.timings.loop_tick is 1d; ${DURATION}, from 10ms to 1440m`,
  ],
  [
    'a tick of nothing',
    'zookeeper: {quorum: a, timings: {loop_tick: 0}}\nservices: []',
    `c.yml:1:45: zookeeper.timings.loop_tick is 0; ${DURATION}, from 10ms to 1440m`,
  ],
  [
    'a negative timing',
    'zookeeper: {quorum: a, timings: {partitioner_boundary: -1}}\nservices: []',
    `c.yml:1:56: zookeeper.timings.partitioner_boundary is -1; ${DURATION}, from 0s to 1440m`,
  ],
  [
    'timings that contradict each other',
    'zookeeper: {quorum: a, timings: {loop_tick: 1, partitioner_reaction: 1500ms}}\nservices: []',
    'c.yml:1:70: partitioner_reaction (1500ms) is longer than loop_tick (1s): events would be gathered for longer than two passes may be apart; make it shorter',
  ],

  // The rest
  [
    'a listen address without a port',
    `${HEAD}services: []\nhttp: {listen: localhost}`,
    'c.yml:3:16: http.listen is localhost; write :9780, an address with a port such as 127.0.0.1:9780, or a port',
  ],
  ['http that is a word', `${HEAD}services: []\nhttp: on`, 'c.yml:3:7: http is on; write a map of settings: listen'],
  [
    'a host name with a slash',
    `${HEAD}services: []\nhost: {name: a/b}`,
    'c.yml:3:14: host.name is a/b, which cannot be the name of a host: letters, digits, - and _, in parts parted by dots',
  ],
  [
    'an address with a port',
    `${HEAD}services: []\nhost: {address: "a:1"}`,
    'c.yml:3:17: host.address is a:1; write a host name or an IPv4 address, without a port',
  ],
  [
    'a label with a space',
    `${HEAD}services: []\nhost: {labels: {a b: c}}`,
    'c.yml:3:17: "a b" cannot be a label: letters, digits and _ . / -, at most 63 characters',
  ],
  [
    'labels that take more than every member shall read',
    `${HEAD}services: []\nhost: {name: w1, labels: {a: ${'x'.repeat(40_000)}}}`,
    'c.yml:3:18: host.labels take 40 KiB, more than the 32 KiB that are published; shorten them',
  ],
  ['on_stop misspelt', `${HEAD}services: []\non_stop: kep`, 'c.yml:3:10: on_stop is kep; did you mean keep?'],
  [
    'a brake above everything',
    `${HEAD}services: []\nbrake: {above: 120%}`,
    'c.yml:3:16: brake.above is 120%; write a share of the hosts, from 0% to 100%',
  ],
  [
    'a brake above a bare number of percent',
    `${HEAD}services: []\nbrake: {above: 50}`,
    'c.yml:3:16: brake.above is 50; write a share of the hosts, from 0% to 100%',
  ],
  [
    'a brake for no host',
    `${HEAD}services: []\nbrake: {at_least: 0}`,
    'c.yml:3:19: brake.at_least is 0; write a whole number, 1 or more, without leading zeros',
  ],
  [
    'a relative state directory',
    `${HEAD}services: []\nstate_dir: state`,
    'c.yml:3:12: state_dir is state; write an absolute path, such as /var/lib/servicewatcher',
  ],
  [
    'a bus that is a path',
    `${HEAD}services: []\nsystemd: {bus: /run/bus}`,
    'c.yml:3:16: systemd.bus is /run/bus; write the address of a D-Bus, such as unix:path=/run/dbus/system_bus_socket',
  ],
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(ROWS)('%s', (_name, source, ...expected) => {
    expect(fileProblems(source)).toEqual(expected);
  });

  test('a machine whose own name cannot be used is told to set one', () => {
    const parsed = parseConfig(`${HEAD}services: []`, 'c.yml', 'my host');
    expect(parsed).toMatchObject({
      ok: false,
      problems: [{ line: 0, message: expect.stringContaining('set host.name') }],
    });
  });
});
