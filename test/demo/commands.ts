/** What can be done to a running demo from another terminal. */
import type { Lab } from '../harness/lab.ts';

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

export const USAGE = `usage: npm run demo                          boot hosts, run the example, stay until Ctrl-C
       npm run demo -- --once                the same without a person, with timed failovers; exit 1 without them
and, while it runs, from another terminal:
       npm run demo -- off w2                cut a host's power (or kill a server: off zk1)
       npm run demo -- on w2                 boot it again
       npm run demo -- cut w2                pull its network cable
       npm run demo -- heal w2               plug it in again
       npm run demo -- fail w1 dummy_shared  kill a unit, so that it is failed
       npm run demo -- reset w1 dummy_shared let the host run it again (systemctl reset-failed)
       npm run demo -- sh w1 systemctl status
`;

/** Runs one command on the lab; a wrong one is answered with the usage and 2. Never rejects. */
export async function runCommand(lab: Lab, argv: readonly string[]): Promise<Outcome> {
  const [verb, name, ...rest] = argv;
  try {
    if (verb === undefined || name === undefined) return usage(`${verb ?? 'nothing'}: which machine?`);
    return name.startsWith('zk') ? await onServer(lab, verb, name) : await onHost(lab, verb, name, rest);
  } catch (error) {
    return { code: 1, output: `${error instanceof Error ? error.message : String(error)}\n` };
  }
}

async function onHost(lab: Lab, verb: string, name: string, rest: readonly string[]): Promise<Outcome> {
  const host = lab.host(name);
  const [unit] = rest;
  switch (verb) {
    case 'off':
      await host.powerOff();
      return done(`${name} is off`);
    case 'on':
      await host.start();
      return done(`${name} is on`);
    case 'cut':
      await host.cut();
      return done(`${name} is cut off`);
    case 'heal':
      await host.heal();
      return done(`${name} is connected`);
    case 'fail':
      if (unit === undefined) return usage('fail: which unit?');
      await host.systemctl('kill', '--signal=KILL', unit);
      return done(`${unit} was killed on ${name}`);
    case 'reset':
      if (unit === undefined) return usage('reset: which unit?');
      await host.systemctl('reset-failed', unit);
      return done(`${unit} may run on ${name} again`);
    case 'sh': {
      if (rest.length === 0) return usage('sh: which command?');
      const { code, stdout, stderr } = await host.sh(...rest);
      return { code, output: stdout + stderr };
    }
    default:
      return usage(`unknown command ${verb}`);
  }
}

async function onServer(lab: Lab, verb: string, name: string): Promise<Outcome> {
  const server = lab.zookeeper(name);
  switch (verb) {
    case 'off':
      await server.kill('SIGKILL');
      return done(`${name} was killed`);
    case 'on':
      await server.start();
      return done(`${name} is on`);
    case 'cut':
      await server.cut();
      return done(`${name} is cut off`);
    case 'heal':
      await server.heal();
      return done(`${name} is connected`);
    default:
      return usage(`${verb} is for hosts`);
  }
}

function done(what: string): Outcome {
  return { code: 0, output: `${what}\n` };
}

function usage(what: string): Outcome {
  return { code: 2, output: `${what}\n${USAGE}` };
}
