import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from './lab.ts';
import { describeOnHosts } from './requirements.ts';
import { until } from './until.ts';

describeOnHosts('labs', () => {
  it('exist at the same time with the same addresses, and leave nothing behind', async () => {
    const [one, two] = await Promise.all([Lab.create({ hosts: 1 }), Lab.create({ hosts: 1 })]);
    await one.host('w1').write('/etc/who', 'one');
    expect((await two.host('w1').sh('cat', '/etc/who')).code).toBe(1);
    expect(two.host('w1').address).toBe(one.host('w1').address);
    await one.destroy();
    expect(traces(one.id)).toEqual([]);
    expect(await two.host('w1').mustSh('hostname')).toBe('w1\n');
    await two.destroy();
    expect(traces(two.id)).toEqual([]);
  });

  it('are removed by their owner when their guardian was killed', async () => {
    const lab = await Lab.create({ hosts: 1 });
    const guardian = processesOf(lab.id).find(({ command }) => command.includes('--when-input-ends'));
    process.kill(guardian?.pid ?? Number.NaN, 'SIGKILL');
    await lab.destroy();
    expect(traces(lab.id)).toEqual([]);
  });

  describe('made by another process', () => {
    const program = join(process.cwd(), `dist/lab-owner-${process.pid}.mjs`);
    beforeAll(async () => {
      await build({
        stdin: {
          contents: `import { Lab } from './lab.ts';
            const lab = await Lab.create({ hosts: 1, zookeeper: 1 });
            console.log(lab.id);
            if (process.argv[2] === 'once') {
              console.log(await lab.host('w1').mustSh('hostname'));
              await lab.destroy();
            } else setInterval(() => {}, 1000);`,
          resolveDir: join(process.cwd(), 'test/harness'),
        },
        bundle: true,
        platform: 'node',
        format: 'esm',
        // Below the checkout, where the harness finds the files beside it.
        outfile: program,
      });
    });
    afterAll(() => rm(program));

    async function startOwner(): Promise<{ id: string; kill: () => Promise<void> }> {
      const owner = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
      const gone = once(owner, 'exit');
      const [id] = await Promise.race([once(owner.stdout, 'data'), gone.then(() => [''])]);
      return {
        id: String(id).trim(),
        async kill() {
          owner.kill('SIGKILL');
          await gone;
        },
      };
    }

    it('are gone soon after it is killed', async () => {
      const owner = await startOwner();
      expect(traces(owner.id)).not.toEqual([]);
      await owner.kill();
      await until(() => traces(owner.id).length === 0, { deadlineMs: 10_000, what: 'the lab to be gone' });
    });

    it('can be made on a machine whose PID 1 is systemd', async () => {
      const outer = await Lab.create({ hosts: 1 });
      const machine = outer.host('w1');
      const own = ['systemd-run', '--pipe', '--wait', '--quiet', '--property=Delegate=yes'];
      const inner = await machine.run([...own, 'node', program, 'once'], { deadlineMs: 60_000 });
      expect(inner).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f]{4}\nw1\n/) });
      expect((await machine.sh('sh', '-c', 'ls /tmp /run/netns /sys/fs/cgroup')).stdout).not.toContain('swl-');
      await outer.destroy();
    });

    it('are swept up by the next one when it was killed together with the guardian', async () => {
      const owner = await startOwner();
      const guardians = processesOf(owner.id).filter(({ command }) => command.includes('--when-input-ends'));
      expect(guardians).toHaveLength(1);
      for (const { pid } of guardians) process.kill(pid, 'SIGKILL');
      await owner.kill();
      expect(traces(owner.id)).not.toEqual([]);
      const next = await Lab.create({ hosts: 0 });
      expect(traces(owner.id)).toEqual([]);
      await next.destroy();
    });
  });
});

/** All that is on this machine of a lab: mounts, namespaces, control groups, folders, processes. */
function traces(id: string): string[] {
  const listed = (folder: string) =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(`swl-${id}`)) : [];
  return [
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`swl-${id}`)),
    ...['/run/netns', '/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd', tmpdir()].flatMap(listed),
    ...processesOf(id).map(({ command }) => command),
  ];
}

function processesOf(id: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map((name) => {
      try {
        return { pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') };
      } catch {
        return { pid: Number(name), command: '' };
      }
    })
    .filter(({ command }) => command.includes(`swl-${id}`));
}
