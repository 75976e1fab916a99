/** Real processes: each writes what it sees to a file, a line each. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServedCommand, type ServedCommandOptions } from '../../src/cli/served-command.ts';
import type { Registration } from '../../src/discovery/registration.ts';
import type { Command } from '../../src/shared/attachments.ts';
import { MemoryLog } from '../fakes/log.ts';
import { until, untilEqual } from '../harness/until.ts';

const WAIT = { deadlineMs: 15_000, everyMs: 10 };

let folder: string;
let log: MemoryLog;
const made: ServedCommand[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'served-command-'));
  log = new MemoryLog();
});

afterEach(async () => {
  for (const served of made.splice(0)) {
    served.pass('SIGKILL');
    await served.ended;
  }
  await rm(folder, { recursive: true, force: true });
});

const server = (id: string): Registration => ({
  ...{ label: 'mqtt', id, host: id, address: `10.0.0.${id.slice(1)}`, port: 1883, healthy: true, source: 'service' },
});

function serve(command: Command, options: Partial<ServedCommandOptions> = {}): ServedCommand {
  const served = new ServedCommand({ command, log, ...options });
  made.push(served);
  return served;
}

const shell = (script: string): Command => [
  '/bin/sh',
  '-c',
  `exec 2> /dev/null; ${script}`,
  'sh',
  join(folder, 'seen'),
  '{address}:{port}',
];

async function seen(): Promise<string[]> {
  const text = await readFile(join(folder, 'seen'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

const untilSeen = (lines: readonly string[]) =>
  untilEqual(async () => await seen(), [...lines], { ...WAIT, what: 'what the command saw' });

const FOR_EVER = 'echo "$2" >> "$1"; exec sleep 1000';

describe('a command with a server', () => {
  it('has it in its words and in its environment, and its code is the answer', async () => {
    const served = serve(
      shell('echo "$2 $SERVICEWATCHER_ADDRESS $SERVICEWATCHER_PORT $SERVICEWATCHER_HOST" > "$1"; exit 7'),
    );
    served.use(server('w1'));
    expect(await served.ended).toEqual({ code: 7 });
    expect(await seen()).toEqual(['10.0.0.1:1883 10.0.0.1 1883 w1']);
  });

  it('is started anew with another server, and nothing of the earlier one is left', async () => {
    const served = serve(shell('(trap "" TERM; echo $$ >> "$1.group"; sleep 1000) & echo "$2" >> "$1"; wait'));
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    const group = Number(await until(() => readFile(join(folder, 'seen.group'), 'utf8'), { ...WAIT, what: 'its pid' }));
    served.use(server('w2'));
    await untilSeen(['10.0.0.1:1883', '10.0.0.2:1883']);
    const isGone = () => {
      try {
        return !process.kill(-group, 0);
      } catch {
        return true;
      }
    };
    await until(isGone, { ...WAIT, what: 'the earlier processes to be gone' });
    expect(log.at('info')).toEqual(['restarting the command: its server is 10.0.0.2:1883 now']);
  });

  it('is killed when it does not end for another server, which it gets as it is by then', async () => {
    const served = serve(shell('trap "" TERM; echo "$2" >> "$1"; while :; do sleep 0.05; done'), { stopMs: 200 });
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    served.use(server('w2'));
    served.use(server('w3'));
    await untilSeen(['10.0.0.1:1883', '10.0.0.3:1883']);
    expect(log.at('warn')).toEqual(['the command did not end within 0.2 s of SIGTERM; killing it']);
    expect(log.at('info')).toEqual(['restarting the command: its server is 10.0.0.2:1883 now']);
  });

  it('is only sent a signal, if that is asked for', async () => {
    const served = serve(shell('trap "echo told >> \\"$1\\"" HUP; echo "$2" >> "$1"; while :; do sleep 0.05; done'), {
      signal: 'SIGHUP',
    });
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    served.use(server('w2'));
    await untilSeen(['10.0.0.1:1883', 'told']);
    expect(served.pass('SIGTERM')).toBe(true);
    expect(await served.ended).toEqual({ code: 143, signal: 'SIGTERM' });
  });

  it('gets the signals that are passed on, and what it makes of them is the answer', async () => {
    const served = serve(
      shell('trap "echo bye >> \\"$1\\"; exit 3" TERM; echo "$2" >> "$1"; while :; do sleep 0.05; done'),
    );
    expect(served.pass('SIGTERM')).toBe(false);
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    served.pass('SIGTERM');
    expect(await served.ended).toEqual({ code: 3 });
    expect(await seen()).toEqual(['10.0.0.1:1883', 'bye']);
  });

  it('is not started again when it is told to end while it is being restarted', async () => {
    const served = serve(shell('trap "sleep 0.3; exit 0" TERM; echo "$2" >> "$1"; while :; do sleep 0.05; done'));
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    served.use(server('w2'));
    served.pass('SIGTERM');
    expect(await served.ended).toEqual({ code: 0 });
    expect(await seen()).toEqual(['10.0.0.1:1883']);
  });

  it('is ended by `stop`, which is the end, too, when nothing was ever started', async () => {
    const never = serve(shell(FOR_EVER));
    never.stop();
    expect(await never.ended).toEqual({ code: 0 });
    const served = serve(shell(FOR_EVER));
    served.use(server('w1'));
    await untilSeen(['10.0.0.1:1883']);
    served.stop();
    expect(await served.ended).toEqual({ code: 143, signal: 'SIGTERM' });
  });

  it('that cannot be run is told, as shells do, by 127', async () => {
    const served = serve([join(folder, 'none'), '{address}']);
    served.use(server('w1'));
    expect(await served.ended).toEqual({ code: 127 });
    expect(log.at('error')).toEqual([expect.stringMatching(/none cannot be run: .*ENOENT/)]);
    const odd = serve(['/bin/true', 'a\0b']);
    odd.use(server('w1'));
    expect(await odd.ended).toEqual({ code: 127 });
  });

  it('that asks for a port is not run with a server that has none', async () => {
    const { port: _, ...portless } = server('w1');
    const served = serve(shell('echo never >> "$1"'));
    served.use(portless);
    expect(await served.ended).toEqual({ code: 127 });
    expect(log.at('error')).toEqual(['the command asks for {port}, but w1 is registered as mqtt without a port']);
    expect(await seen()).toEqual([]);
  });
});
