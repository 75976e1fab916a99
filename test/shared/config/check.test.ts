import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../../../src/cli/check.ts';
import { loadConfig } from '../../../src/shared/config/load-config.ts';

const EXAMPLE = fileURLToPath(new URL('../../../deploy/config.example.yml', import.meta.url));
const PLATFORM = fileURLToPath(new URL('../../fixtures/data-platform.yml', import.meta.url));

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'servicewatcher-check-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function run(file: string, json = false): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const code = await check(file, {
    json,
    stdout: { write: (text) => (written.out += text) },
    stderr: { write: (text) => (written.err += text) },
  });
  return { code, ...written };
}

async function fileWith(name: string, content: string | Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

describe('a right file', () => {
  test('the example that is shipped passes, and sums up what it declares', async () => {
    const { code, out, err } = await run(EXAMPLE);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.replace(/sha256:[0-9a-f]{64}/, 'DIGEST')).toBe(
      [
        `${EXAMPLE}: ok`,
        'services: 4 (1 global, 2 shared, 1 multi; 2 disabled)',
        'units: 6',
        'zookeeper: zk1.example.org:2181,zk2.example.org:2181,zk3.example.org:2181, below /servicewatcher',
        'spec: DIGEST',
        '',
      ].join('\n'),
    );
  });

  test('the example that is shipped says the defaults', async () => {
    const bare = await fileWith('bare.yml', 'zookeeper: {quorum: a}\nservices: []');
    const [example, defaults] = [await loadConfig(EXAMPLE), await loadConfig(bare)];
    if (!example.ok || !defaults.ok) throw new Error('not accepted');
    const { sessionTimeoutMs, chroot, timings } = example.config.zookeeper;
    expect({ sessionTimeoutMs, chroot, timings }).toEqual({
      sessionTimeoutMs: defaults.config.zookeeper.sessionTimeoutMs,
      chroot: defaults.config.zookeeper.chroot,
      timings: defaults.config.zookeeper.timings,
    });
    for (const key of ['http', 'onStop', 'stateDir'] as const)
      expect(example.config[key]).toEqual(defaults.config[key]);
    expect(example.config.spec.brake).toEqual(defaults.config.spec.brake);
    expect(example.config.host.name).toBe(defaults.config.host.name);
  });

  test('--json lists services and their units', async () => {
    const { code, out } = await run(PLATFORM, true);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      file: PLATFORM,
      warnings: [],
      zookeeper: { servers: ['zk1:2181', 'zk2:2181', 'zk3:2181'], chroot: '/servicewatcher' },
      services: expect.arrayContaining([
        {
          name: 'flink',
          type: 'multi',
          enabled: true,
          units: ['flink@jobmanager.service', 'flink@taskmanager.service'],
        },
      ]),
    });
  });

  test('templates and hooks are counted, and listed', async () => {
    const file = await fileWith(
      'outputs.yml',
      'zookeeper: {quorum: a}\nservices: []\ntemplates: [{source: /a, destination: /b}]\nhooks: [{on: unit-failed, run: c d}]',
    );
    expect((await run(file)).out).toContain('units: 0\ntemplates: 1\nhooks: 1\n');
    expect(JSON.parse((await run(file, true)).out)).toMatchObject({
      templates: [{ source: '/a', destination: '/b' }],
      hooks: [{ events: ['unit-failed'], run: ['c', 'd'] }],
    });
  });

  test('warnings are printed and do not fail it', async () => {
    const file = await fileWith('warned.yml', 'zookeeper: {quorum: a}\nservices:\n- {name: a, type: global, count: 1}');
    expect(await run(file)).toMatchObject({
      code: 0,
      err: `${file}:3:27: count means nothing for a global service and is ignored (warning)\n`,
    });
  });

  test('a byte order mark in front is ignored', async () => {
    const file = await fileWith('bom.yml', '\ufeffzookeper: {}\nzookeeper: {quorum: a}\nservices: []');
    expect((await run(file)).err).toBe(`${file}:1:1: unknown key zookeper; did you mean zookeeper?\n`);
  });
});

describe('a wrong file', () => {
  test('every problem is a line with file, line and column, and the exit code is 2', async () => {
    const file = await fileWith(
      'wrong.yml',
      'zookeeper: {quorum: a}\nservices:\n- {name: a, count: -1}\n- {name: b}\n',
    );
    const { code, out, err } = await run(file);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.split('\n').map((line) => line.replace(/: .*/, ''))).toEqual([`${file}:3:20`, `${file}:4:4`, '']);
  });

  test('--json lists the problems', async () => {
    const file = await fileWith('wrong.json.yml', 'zookeeper: {quorum: a}\nservices: x');
    const { code, out, err } = await run(file, true);
    expect({ code, err }).toEqual({ code: 2, err: '' });
    expect(JSON.parse(out)).toEqual({
      ok: false,
      file,
      problems: [{ line: 2, column: 11, message: 'services is x; write a list of services, each starting with -' }],
    });
  });

  test.each([
    [
      'a file that is not there',
      () => join(directory, 'absent.yml'),
      'cannot be read: there is no such file; name an existing, readable file with --config',
    ],
    [
      'a directory',
      () => directory,
      'cannot be read: it is a directory; name an existing, readable file with --config',
    ],
  ])('%s is said to be so', async (_name, path, message) => {
    expect(await run(path())).toEqual({ code: 2, out: '', err: `${path()}: ${message}\n` });
  });

  test('bytes that are not text are said to be so', async () => {
    const file = await fileWith('binary.yml', Buffer.from([0xff, 0xfe, 0x00]));
    expect((await run(file)).err).toBe(`${file}: is not UTF-8 text; save it as UTF-8\n`);
  });

  test('a file too large to be a configuration is not even parsed', async () => {
    const file = await fileWith('large.yml', '#'.repeat(2 * 1024 * 1024 + 1));
    expect((await run(file)).err).toBe(
      `${file}: the file has more than 2097152 characters; move long scripts and info into files of their own\n`,
    );
  });
});

describe('the templates of a file', () => {
  async function withTemplates(
    labels: string,
    ...sources: readonly (readonly [path: string, on: string])[]
  ): Promise<string> {
    const templates = sources.map(([path, on], at) => `  - {source: ${path}, destination: /etc/${at}, on: {${on}}}\n`);
    const host = labels === '' ? '' : `host: {labels: {${labels}}}\n`;
    return fileWith('templates.yml', `zookeeper: {quorum: a}\n${host}services: []\ntemplates:\n${templates.join('')}`);
  }

  test('are wrong with file, line and column when they cannot be parsed or ask for what does not exist, each once', async () => {
    const bad = await fileWith('bad.tpl', 'a\n{{#each members}}\n{{/if}}\n');
    const unknown = await fileWith('unknown.tpl', 'a\n\n {{nosuch\u001b host}}');
    const good = await fileWith('good.tpl', '{{#each members}}{{host}}{{/each}}');
    const file = await withTemplates(
      '',
      [bad, 'labels: {role: x}'],
      [unknown, ''],
      [good, ''],
      [bad, 'labels: {role: y}'],
    );
    const { code, out, err } = await run(file);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/bad\.tpl:2:\d+: each doesn't match if$/),
      expect.stringMatching(/unknown\.tpl:3:2: there is no helper nosuch\\x1b; there are /),
    ]);
    expect(JSON.parse((await run(file, true)).out)).toMatchObject({
      ok: false,
      problems: [
        { file: bad, line: 2 },
        { file: unknown, line: 3, column: 2 },
      ],
    });
  });

  test('may be missing; of those that this host has to render that is said', async () => {
    const file = await withTemplates(
      'role: x',
      ['/nonexistent/a.tpl', 'labels: {role: x}'],
      ['/nonexistent/b.tpl', 'labels: {role: y}'],
    );
    const { code, out, err } = await run(file);
    expect({ code, out: out.split('\n')[0] }).toEqual({ code: 0, out: `${file}: ok` });
    expect(err).toMatch(/^\/nonexistent\/a\.tpl: this template cannot be rendered here: .*ENOENT.* \(warning\)\n$/);
    expect(JSON.parse((await run(file, true)).out).warnings).toMatchObject([{ file: '/nonexistent/a.tpl', line: 0 }]);
  });
});
