/** What is said and done when a template, its check, its file or its reload is wrong. */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registrationPath } from '../../src/discovery/registration.ts';
import type { CommandResult } from '../../src/shared/run-command.ts';
import { CHECKED, SERVERS, TemplateWorld } from './template-world.ts';

let world: TemplateWorld;

beforeEach(async () => {
  world = await TemplateWorld.create();
});

afterEach(() => world.end());

const failing = (output: string): CommandResult => ({ kind: 'exited', code: 1, output });

describe('templates', () => {
  it('keep the old file when a check fails, say so once, and try again when something changes', async () => {
    await writeFile(world.source, SERVERS);
    await world.register('w1');
    await world.boot(world.template(CHECKED));
    world.endOf = (content) =>
      world.later(20, content.includes('w2') ? failing('w2 is bad') : { kind: 'exited', code: 0, output: '' });
    await world.register('w2');
    await world.clock.advance(50_000);
    expect([await world.read(), world.states, world.reloaded.length]).toEqual(['w1 ', ['out failed'], 1]);
    expect(world.checked.length).toBeGreaterThan(3);
    const said = `the template ${world.source}: the check look {file} ended with status 1: w2 is bad; ${world.file()} stays as it was, it is tried again in 15 s and when something changes`;
    expect(world.log.at('error')).toEqual([said]);
    expect([world.problem, world.templates.failed]).toEqual([
      'the check look {file} ended with status 1: w2 is bad',
      1,
    ]);
    await world.done(world.others.remove(registrationPath('web', 'w2')));
    await world.register('w3');
    await world.clock.advance(200);
    expect([await world.read(), world.states, world.templates.failed]).toEqual(['w1 w3 ', ['out current'], 0]);
    expect(world.log.at('info')).toContain(`the template ${world.source} is right again`);
  });

  it('say what is wrong again when the operator reloads', async () => {
    await writeFile(world.source, 'a\n  {{#each members}}');
    await world.boot(world.template());
    await world.clock.advance(60_000);
    const said = expect.stringMatching(/web\.tpl:2:\d+: it cannot be parsed: .*stays as it was/);
    expect(world.log.at('error')).toEqual([said]);
    world.templates.reload();
    await world.clock.advance(1_000);
    expect(world.log.at('error')).toEqual([said, said]);
    await writeFile(world.source, 'a');
    world.templates.reload();
    await world.clock.advance(1_000);
    expect([await world.read(), world.log.at('error').length]).toEqual(['a', 2]);
  });

  it('give a check that hangs 30 s, keep the old file, and delay no other template', async () => {
    await writeFile(world.source, SERVERS);
    await world.boot(world.template(CHECKED), world.template({ destination: world.file('other') }));
    world.endOf = async (_content, { timeoutMs }) => world.later(timeoutMs, { kind: 'timeout', output: '' });
    await world.register('w1');
    await world.clock.advance(29_000);
    expect([await world.read(), await world.read('other'), world.states]).toEqual([
      '',
      'w1 ',
      ['out current', 'other current'],
    ]);
    await world.register('w2');
    await world.clock.advance(1_000);
    expect([await world.read('other'), world.checked.at(-1)]).toEqual(['w1 w2 ', 'w1 ']);
    await world.clock.advance(1_000);
    expect([await world.read(), world.states]).toEqual(['', ['out failed', 'other current']]);
    expect(world.problem).toBe('the check look {file} did not end in time and was killed, and printed nothing');
    // what changed meanwhile is looked at right after
    expect(world.checked.at(-1)).toBe('w1 w2 ');
  });

  it.each([
    ['missing', async () => {}, /web\.tpl cannot be read: ENOENT/],
    ['a folder', () => mkdir(world.source), /web\.tpl is no file/],
    [
      'too large',
      () => writeFile(world.source, 'x'.repeat(1024 * 1024 + 1)),
      /web\.tpl has 1048577 bytes; 1048576 are the most/,
    ],
  ])('say that a template is %s, and render it within 15 s of its being there', async (_what, make, said) => {
    await make();
    await writeFile(world.file(), 'as it was');
    await world.boot(world.template());
    expect([await world.read(), world.problem]).toEqual(['as it was', expect.stringMatching(said)]);
    await rm(world.source, { recursive: true, force: true });
    await writeFile(world.source, 'now');
    await world.clock.advance(15_000);
    expect([await world.read(), world.states]).toEqual(['now', ['out current']]);
  });

  it('say that the folder of the file is missing, make none, and go on when it is there', async () => {
    await writeFile(world.source, 'text');
    const destination = join(world.folder, 'new/out');
    await world.boot(world.template({ destination }));
    expect(world.problem).toMatch(/new\/out could not be written: ENOENT/);
    await expect(stat(join(world.folder, 'new'))).rejects.toThrow('ENOENT');
    await mkdir(join(world.folder, 'new'));
    await world.clock.advance(15_000);
    expect([await world.read('new/out'), world.states]).toEqual(['text', ['new/out current']]);
  });

  it('go on where another is wrong', async () => {
    await writeFile(world.source, SERVERS);
    await writeFile(join(world.folder, 'bad.tpl'), '{{#each members}}');
    await world.boot(
      world.template(),
      world.template({ source: join(world.folder, 'bad.tpl'), destination: world.file('bad') }),
    );
    await world.register('w1');
    await world.clock.advance(1_000);
    expect([await world.read(), await world.read('bad'), world.states]).toEqual([
      'w1 ',
      'none',
      ['out current', 'bad failed'],
    ]);
  });

  it('are put right within 15 s when their file was changed by hand, and reloaded again when a reload failed', async () => {
    await writeFile(world.source, 'text');
    await world.boot(world.template(CHECKED));
    await writeFile(world.file(), 'other');
    world.refusal = 'it is masked';
    await world.clock.advance(16_000);
    expect([await world.read(), world.problem, world.written]).toEqual([
      'text',
      'web.service was not reloaded: it is masked',
      2,
    ]);
    expect(world.log.at('error')).toEqual([expect.stringContaining(`${world.file()} is written, it is tried again`)]);
    world.refusal = undefined;
    const before = world.reloaded.length;
    await world.clock.advance(16_000);
    expect([world.reloaded.length, world.states, world.written]).toEqual([before + 1, ['out current'], 2]);
    expect(world.log.at('info')).toContain(`${world.file()} is as it was: web.service was reloaded`);
  });
});
