/** How a file is replaced, with real programs in a real folder. */
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TemplateFile } from '../../src/discovery/template-file.ts';
import { runCommand } from '../../src/shared/run-command.ts';
import type { Template } from '../../src/shared/spec.ts';

let folder: string;
let destination: string;
let reloaded: string[];
let refusal: string | undefined;
let ending: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-template-'));
  destination = join(folder, 'etc.cfg');
  reloaded = [];
  refusal = undefined;
  ending = new AbortController();
});
afterEach(() => rm(folder, { recursive: true }));

function file(more: Partial<Template> = {}): TemplateFile {
  return new TemplateFile({
    template: { source: '/x.tpl', destination, on: {}, mode: 0o640, debounceMs: 0, ...more },
    folder: join(folder, 'marks'),
    reloadUnit: async (unit) => {
      reloaded.push(`${unit} with ${await readFile(destination, 'utf8')}`);
      return refusal;
    },
    run: ({ argv, ...options }) => runCommand(argv, options),
    signal: ending.signal,
  });
}
const inode = async () => (await stat(destination)).ino;
const others = async () => (await readdir(folder)).filter((name) => name.startsWith('.'));
const UNIT: Partial<Template> = { reload: { kind: 'unit', unit: 'haproxy.service' } };

describe('the file of a template', () => {
  it('is written with its permissions, then the unit is reloaded; the same again touches nothing', async () => {
    expect(await file(UNIT).apply('one')).toEqual({ kind: 'done', written: true, reloaded: true });
    expect((await stat(destination)).mode & 0o777).toBe(0o640);
    const before = await stat(destination);
    expect(await file(UNIT).apply('one')).toEqual({ kind: 'same' });
    expect(await stat(destination)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(reloaded).toEqual(['haproxy.service with one']);
    expect(await others()).toEqual([]);
  });

  it('is written again when its permissions are others, or it is a link', async () => {
    await writeFile(destination, 'one', { mode: 0o600 });
    expect(await file().apply('one')).toMatchObject({ kind: 'done', written: true });
    await rm(destination);
    await writeFile(join(folder, 'elsewhere'), 'one', { mode: 0o640 });
    await symlink('elsewhere', destination);
    expect(await file().apply('two')).toMatchObject({ kind: 'done', written: true });
    expect(await readFile(join(folder, 'elsewhere'), 'utf8')).toBe('one');
  });

  it.each([
    [['sh', '-c', 'echo line 3 is bad; exit 7', '{file}'], /the check sh .* ended with status 7: line 3 is bad$/],
    [['grep', '-q', 'good', '{file}'], /ended with status 1, and printed nothing$/],
    [['sh', '-c', 'kill -9 $$'], /was killed by SIGKILL/],
    [['/nonexistent/check'], /could not be started: /],
  ] as const)('stays as it was when the check %j fails', async ([program, ...args], problem) => {
    await writeFile(destination, 'old');
    const before = await inode();
    const applied = await file({ ...UNIT, check: [program, ...args] }).apply('new');
    expect(applied).toEqual({ kind: 'failed', written: false, problem: expect.stringMatching(problem) });
    expect([await readFile(destination, 'utf8'), await inode()]).toEqual(['old', before]);
    expect([reloaded, await others()]).toEqual([[], []]);
  });

  it('is checked as it will be, in the same folder', async () => {
    const check = ['sh', '-c', 'grep -q new "$1" && [ "$(dirname "$1")" = "$2" ]', 'check', '{file}', folder] as const;
    expect(await file({ check: [...check] }).apply('new')).toMatchObject({ kind: 'done' });
  });

  it('whose reload failed, or was never asked for, is reloaded the next time, without being written', async () => {
    refusal = 'it is masked';
    const problem = 'haproxy.service was not reloaded: it is masked';
    expect(await file(UNIT).apply('one')).toEqual({ kind: 'failed', written: true, problem });
    const before = await inode();
    refusal = undefined;
    expect(await file(UNIT).apply('one')).toEqual({ kind: 'done', written: false, reloaded: true });
    expect(await inode()).toBe(before);
    expect(await file(UNIT).apply('one')).toEqual({ kind: 'same' });
  });

  it('may be told by a program', async () => {
    const told = join(folder, 'told');
    const exec = (...command: [string, ...string[]]) => file({ reload: { kind: 'exec', command } });
    expect(await exec('cp', destination, told).apply('one')).toMatchObject({ reloaded: true });
    expect(await readFile(told, 'utf8')).toBe('one');
    const failed = await exec('false').apply('two');
    expect(failed).toEqual({
      kind: 'failed',
      written: true,
      problem: expect.stringMatching(/^the reload false ended with status 1/),
    });
  });

  it('is not replaced when its check is interrupted', async () => {
    const applied = file({ check: ['sleep', '60'] }).apply('new');
    ending.abort(new Error('the daemon ends'));
    expect(await applied).toMatchObject({ kind: 'failed', written: false });
    expect(await readdir(folder)).toEqual([]);
  });

  it('says what stands in its way', async () => {
    expect(await file({ owner: 'nosuchuser' }).apply('x')).toMatchObject({
      problem: expect.stringContaining('there is no user nosuchuser on this host'),
    });
    destination = join(folder, 'no/such');
    expect(await file().apply('x')).toMatchObject({ problem: expect.stringContaining('could not be written: ENOENT') });
    destination = folder;
    expect(await file().apply('x')).toMatchObject({ problem: expect.stringContaining('is there and is no file') });
  });
});
