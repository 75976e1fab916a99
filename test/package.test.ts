/** The package as others get it: what is packed, and its client library compiled and run from outside. */
import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRegistration, registrationPath } from '../src/discovery/registration.ts';
import { systemClock } from '../src/shared/clock.ts';
import { clientsPath, discoveryPath } from '../src/shared/znodes.ts';
import { connect } from '../src/shared/zookeeper/store.ts';
import { MemoryLog } from './fakes/log.ts';
import { projectRoot } from './harness/project.ts';
import { until, untilEqual } from './harness/until.ts';
import { TestServer } from './harness/zookeeper.ts';

const WAIT = { deadlineMs: 20_000, everyMs: 20 };

/** A folder with the package as npm unpacks it, and nothing else of this project. */
let folder: string;
let project: string;

function run(command: string, args: readonly string[], cwd: string): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { code: status, output: `${stdout}${stderr}` };
}

const tsc = (cwd: string) => run(process.execPath, [join(projectRoot, 'node_modules/typescript/bin/tsc')], cwd);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-package-'));
  const packed = run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], projectRoot);
  expect(packed.code, packed.output).toBe(0);
  project = join(folder, 'project');
  const modules = join(project, 'node_modules');
  const { version } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'));
  await mkdir(join(modules, 'servicewatcher'), { recursive: true });
  const unpack = ['-xzf', join(folder, `servicewatcher-${version}.tgz`), '--strip-components=1'];
  const unpacked = run('tar', unpack, join(modules, 'servicewatcher'));
  expect(unpacked.code, unpacked.output).toBe(0);
  // the example comes with the package
  await cp(join(modules, 'servicewatcher/deploy/examples/client'), project, { recursive: true });
  for (const name of ['@types', 'undici-types'])
    await symlink(join(projectRoot, 'node_modules', name), join(modules, name));
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the client library in a project of others', () => {
  it('compiles with the strictest settings, as an ES module that asks for its types', () => {
    const compiled = tsc(project);
    expect(compiled.output).toBe('');
    expect(compiled.code).toBe(0);
  });

  it('compiles with mqtt.js in the example of MQTT brokers, too', async () => {
    const other = join(project, 'mosquitto');
    await cp(join(project, 'node_modules/servicewatcher/deploy/examples/mosquitto'), other, { recursive: true });
    await symlink(join(projectRoot, 'node_modules/mqtt'), join(project, 'node_modules/mqtt'));
    const compiled = tsc(other);
    expect(compiled.output).toBe('');
    expect(compiled.code).toBe(0);
  });

  it('refuses at compile time what is not there, so that its types are seen', async () => {
    const other = join(folder, 'project/wrong');
    await mkdir(other);
    await cp(join(project, 'tsconfig.json'), join(other, 'tsconfig.json'));
    await writeFile(join(other, 'package.json'), '{"type": "module"}');
    const text = [
      "import { createPicker } from 'servicewatcher/client';",
      "const picker = createPicker({ servers: 'zk1', label: 'mqtt' });",
      'const port: number = picker.current.port;',
      "import 'servicewatcher/dist/cli.js';",
    ];
    await writeFile(join(other, 'subscriber.ts'), text.join('\n'));
    const { code, output } = tsc(other);
    expect(code).not.toBe(0);
    const errors = output.split('\n').filter((line) => line.startsWith('subscriber.ts'));
    expect(errors).toEqual([
      expect.stringMatching(/\(2,.*Property 'client' is missing .* required in type 'PickerOptions'/),
      expect.stringMatching(/\(3,.*'number \| undefined' is not assignable to type 'number'/),
      expect.stringMatching(/\(3,.*'picker\.current' is possibly 'undefined'/),
      expect.stringMatching(/\(4,.*Cannot find module .*'servicewatcher\/dist\/cli\.js'/),
    ]);
  });

  it('can be required by CommonJS, too', () => {
    const script = "console.log(Object.keys(require('servicewatcher/client')).sort().join())";
    const { output } = run(process.execPath, ['-e', script], project);
    expect(output.trim()).toBe('PickerReplacedError,connect,createPicker,hosts,watchLabel');
  });

  it('does what its example says, with a real ZooKeeper', async () => {
    const zookeeper = await TestServer.start();
    const servers = [`127.0.0.1:${zookeeper.port}`];
    const log = new MemoryLog();
    const store = connect({ servers, chroot: '/servicewatcher', sessionTimeoutMs: 4_000, clock: systemClock, log });
    try {
      await store.ensure(discoveryPath('mqtt'));
      for (const id of ['w1', 'w2']) {
        const server = { label: 'mqtt', id, host: id, address: id, port: 1883, info: { zone: 'a' }, healthy: true };
        await store.create(
          registrationPath('mqtt', id),
          encodeRegistration({ ...server, source: 'service' }),
          'ephemeral',
        );
      }
      const example = spawn(process.execPath, ['dist/subscriber.js', 'c1', ...servers], { cwd: project });
      let output = '';
      for (const stream of [example.stdout, example.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
      const ended = new Promise<number | null>((resolve) => example.once('exit', resolve));
      const lines = () => output.split('\n').slice(0, -1);
      await until(() => lines().length >= 2, { ...WAIT, what: 'a broker' });
      const [counted = ''] = (await store.children(clientsPath('mqtt'))) ?? [];
      const [, mine = 'none'] = counted.split('=');
      const other = mine === 'w1' ? 'w2' : 'w1';
      await store.remove(registrationPath('mqtt', mine));
      await until(() => lines().length >= 4, { ...WAIT, what: 'another' });
      expect(lines()).toEqual([
        'brokers: w1, w2',
        `using mqtt://${mine}:1883 in zone a`,
        `warn: ${mine} is not registered as mqtt any more; choosing another server for c1`,
        `using mqtt://${other}:1883 in zone a`,
      ]);
      example.kill('SIGTERM');
      expect(await ended).toBe(0);
      expect(lines().at(-1)).toBe('closed: this client counts no more');
      await untilEqual(() => store.children(clientsPath('mqtt')), [], { ...WAIT, what: 'nobody to count' });
    } finally {
      await store.close();
      await zookeeper.stop();
    }
  }, 60_000);
});
