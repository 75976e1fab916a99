/** Programs of the user's, the ill-behaved ones above all. */
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command } from '../../src/shared/attachments.ts';
import { OOM_SCORE_ADJ, type RunOptions, runCommand } from '../../src/shared/run-command.ts';
import { until } from '../harness/until.ts';

const sh = (script: string): Command => ['/bin/sh', '-c', script];

function run(command: Command, options: Partial<RunOptions> = {}) {
  const defaults = { timeoutMs: 10_000, signal: new AbortController().signal, maxOutputBytes: 1_000 };
  return runCommand(command, { ...defaults, ...options });
}

/** A zombie that nobody has reaped yet is gone, too. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a program', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'run-command-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is killed before the daemon when memory runs out, and what it starts, too', async () => {
    const wait = 'until [ "$(cat /proc/self/oom_score_adj)" = "$0" ]; do sleep 0.01; done; echo so';
    const command: Command = ['/bin/sh', '-c', wait, `${OOM_SCORE_ADJ}`];
    expect(await run(command)).toEqual({ kind: 'exited', code: 0, output: 'so\n' });
  });

  /** Pids that a script wrote, one a line, once there are so many. */
  const pids = (count: number) =>
    until(
      async () => {
        const text = await readFile(join(folder, 'pids'), 'utf8').catch(() => '');
        const found = text.split('\n').filter((line) => line !== '');
        return found.length === count ? found.map(Number) : undefined;
      },
      { deadlineMs: 10_000, what: `${count} pids` },
    );

  const gone = (list: readonly number[]) =>
    until(() => !list.some(isAlive), { deadlineMs: 10_000, what: 'all of them to be gone' });

  it('that ends by itself answers its code and what it printed on both streams', async () => {
    expect(await run(sh('echo out; echo err >&2; exit 3'))).toEqual({
      kind: 'exited',
      code: 3,
      output: expect.stringMatching(/^(out\nerr\n|err\nout\n)$/),
    });
  });

  it('gets its arguments as they are, without a shell', async () => {
    const result = await run(['/usr/bin/printf', '%s|', '$HOME', '`id`', 'a b', '']);
    expect(result).toEqual({ kind: 'exited', code: 0, output: '$HOME|`id`|a b||' });
  });

  it('gets its input, and the environment beside that of the daemon', async () => {
    const result = await run(sh('cat; echo "$EXTRA $PATH"'), { stdin: 'in ', env: { EXTRA: 'more' } });
    expect(result).toEqual({ kind: 'exited', code: 0, output: `in more ${process.env.PATH}\n` });
  });

  it('finds its input empty when there is none', async () => {
    expect(await run(['/bin/cat'])).toEqual({ kind: 'exited', code: 0, output: '' });
  });

  it('that does not read a long input harms nobody', async () => {
    expect(await run(['/bin/true'], { stdin: 'x'.repeat(5_000_000) })).toMatchObject({ kind: 'exited', code: 0 });
  });

  it('is not told of the socket by which the daemon notifies systemd', async () => {
    process.env.NOTIFY_SOCKET = '/run/systemd/notify';
    try {
      expect(await run(sh('echo "[$NOTIFY_SOCKET]"'))).toMatchObject({ output: '[]\n' });
    } finally {
      delete process.env.NOTIFY_SOCKET;
    }
  });

  it('that is killed by somebody else says by which signal', async () => {
    expect(await run(sh('echo last; kill -SEGV $$'))).toEqual({ kind: 'killed', signal: 'SIGSEGV', output: 'last\n' });
  });

  it.each([
    ['that does not exist', ['/nowhere/at-all'], /ENOENT/],
    ['that may not be run', ['/etc/passwd'], /EACCES/],
    ['with a name that cannot be', ['/bin/echo\0'], /null bytes/],
    ['with an argument that cannot be', ['/bin/echo', 'a\0b'], /null bytes/],
    ['with arguments that are too long', ['/bin/echo', 'x'.repeat(1_000_000)], /E2BIG/],
  ] satisfies [string, Command, RegExp][])('%s says why it could not be started', async (_, command, why) => {
    expect(await run(command)).toEqual({ kind: 'failed', why: expect.stringMatching(why) });
  });

  it('that hangs is ended at its limit, and what it printed before is known', async () => {
    const result = await run(sh(`echo $$ >> ${folder}/pids; echo waiting; exec sleep 600`), { timeoutMs: 300 });
    expect(result).toEqual({ kind: 'timeout', output: 'waiting\n' });
    await gone(await pids(1));
  });

  it('that ignores SIGTERM is killed', async () => {
    const began = performance.now();
    const script = `trap '' TERM; echo $$ >> ${folder}/pids; while :; do sleep 0.05; done`;
    expect(await run(sh(script), { timeoutMs: 300 })).toEqual({ kind: 'timeout', output: '' });
    expect(performance.now() - began).toBeLessThan(5_000);
    await gone(await pids(1));
  });

  it('that ends in good order at SIGTERM can say so', async () => {
    const script = "trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    expect(await run(sh(script), { timeoutMs: 500 })).toEqual({
      kind: 'timeout',
      output: expect.stringMatching(/^up\n(.*\n)?tidied\n$/),
    });
  });

  it('leaves none of the processes behind that it forked, when its time is over', async () => {
    const script = `for i in 1 2 3; do (trap '' TERM; echo $i; exec sleep 600) & echo $! >> ${folder}/pids; done; wait`;
    expect(await run(sh(script), { timeoutMs: 300 })).toMatchObject({ kind: 'timeout' });
    await gone(await pids(3));
  });

  it('that ends while a child of its runs on is over, and the child is, too', async () => {
    const began = performance.now();
    const result = await run(sh(`sleep 600 & echo $! >> ${folder}/pids; echo done`));
    expect(result).toEqual({ kind: 'exited', code: 0, output: 'done\n' });
    expect(performance.now() - began).toBeLessThan(5_000);
    await gone(await pids(1));
  });

  it('is not waited for by way of a process in another session that holds its output', async () => {
    const began = performance.now();
    const pidFile = `${folder}/pids`;
    const getAway = `setsid sh -c 'echo $$ >> ${pidFile}; exec sleep 600' &`;
    const result = await run(sh(`${getAway} while [ ! -s ${pidFile} ]; do sleep 0.02; done; echo done`));
    const [escaped] = await pids(1);
    if (escaped !== undefined) process.kill(escaped, 'SIGKILL');
    expect(result).toEqual({ kind: 'exited', code: 0, output: 'done\n' });
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('that prints without end is read on, and only the beginning is kept', async () => {
    const result = await run(['/usr/bin/yes', 'spam'], { timeoutMs: 500, maxOutputBytes: 12 });
    expect(result).toEqual({ kind: 'timeout', output: 'spam\nspam\nsp' });
  });

  it('is not held up by what it prints beyond the limit', async () => {
    const result = await run(sh('head -c 3000000 /dev/zero | tr "\\0" x; exit 7'), { maxOutputBytes: 4 });
    expect(result).toEqual({ kind: 'exited', code: 7, output: 'xxxx' });
  });

  it('loses no more than the character that the limit cuts', async () => {
    expect(await run(['/usr/bin/printf', 'aéé'], { maxOutputBytes: 4 })).toMatchObject({ output: 'aé' });
  });

  it('is ended when the signal is aborted, with all its processes', async () => {
    const abort = new AbortController();
    const script = `sleep 600 & echo $! >> ${folder}/pids; echo $$ >> ${folder}/pids; echo up; wait`;
    const running = run(sh(script), { signal: abort.signal });
    const started = await pids(2);
    abort.abort();
    expect(await running).toMatchObject({ kind: 'aborted' });
    await gone(started);
  });

  it('is not started when the signal was aborted before', async () => {
    const result = await run(sh(`echo $$ >> ${folder}/pids`), { signal: AbortSignal.abort() });
    expect(result).toEqual({ kind: 'aborted', output: '' });
    await expect(readFile(join(folder, 'pids'))).rejects.toThrow('ENOENT');
  });

  it('leaves no listener at the signal', async () => {
    const { signal } = new AbortController();
    for (let index = 0; index < 3; index += 1) await run(['/bin/true'], { signal });
    await run(['/nowhere'], { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('leaves no open file behind', async () => {
    const open = () => process.getActiveResourcesInfo().filter((name) => /Pipe|Process/.test(name)).length;
    const before = open();
    for (let index = 0; index < 5; index += 1) await run(sh('echo x; sleep 600 & exit 0'));
    await until(() => open() <= before, { deadlineMs: 10_000, what: 'its pipes to be closed' });
  });
});
