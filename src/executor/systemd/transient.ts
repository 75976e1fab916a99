/** What systemd is told of a one-shot transient service. Property names: systemd's src/core/dbus-service.c and dbus-execute.c. */
import type { TransientCommand } from '../systemd.ts';
import { variant } from './bus.ts';

/** From SIGTERM at the end of the time limit to SIGKILL. */
const STOP_TIMEOUT_MS = 5_000;
/** What is added to the command's own limits before its job counts as lost. */
const GRACE_MS = 10_000;

/** Signature of StartTransientUnit: name, mode, properties, auxiliary units. */
export const TRANSIENT_SIGNATURE = 'ssa(sv)a(sa(sv))';

/**
 * Arguments of StartTransientUnit. No CollectMode is set: a failed command stays visible in `systemctl --failed` until
 * it is reset or run again.
 */
export function transientUnit(command: TransientCommand): unknown[] {
  const [program] = command.argv;
  // systemd expands $VARIABLES in the arguments of every service; "$$" stands for a plain "$" (systemd.service(5)).
  const argv = command.argv.map((argument) => argument.replaceAll('$', '$$$$'));
  const environment = Object.entries(command.environment).map(([name, value]) => `${name}=${value}`);
  const properties = [
    ['Description', variant('s', command.description)],
    ['Type', variant('s', 'oneshot')],
    ['ExecStart', variant('a(sasb)', [[program, argv, false]])],
    ['Environment', variant('as', environment)],
    ['TimeoutStartUSec', variant('t', microseconds(command.timeoutMs))],
    ['TimeoutStopUSec', variant('t', microseconds(STOP_TIMEOUT_MS))],
    ...optionalProperties(command),
  ];
  return [command.unit, 'fail', properties, []];
}

function optionalProperties({ inputFile, outputFile, journalFields, limits }: TransientCommand): unknown[] {
  const properties: unknown[] = [];
  if (inputFile !== undefined) properties.push(['StandardInputFile', variant('s', inputFile)]);
  // the other stream goes where this one does, unless it is told otherwise
  if (outputFile !== undefined) properties.push(['StandardOutputFile', variant('s', outputFile)]);
  if (journalFields !== undefined) {
    const fields = Object.entries(journalFields).map(([name, value]) => [...Buffer.from(`${name}=${value}`)]);
    properties.push(['LogExtraFields', variant('aay', fields)]);
  }
  if (limits !== undefined) {
    properties.push(['TasksMax', variant('t', BigInt(limits.tasks))]);
    properties.push(['MemoryMax', variant('t', BigInt(limits.memoryBytes))]);
    properties.push(['CPUWeight', variant('t', BigInt(limits.cpuWeight))]);
    if (limits.fileBytes !== undefined) properties.push(['LimitFSIZE', variant('t', BigInt(limits.fileBytes))]);
  }
  return properties;
}

/** How long the start job of a transient service may take: its own limits, and then some for a busy systemd. */
export function transientDeadlineMs(command: TransientCommand): number {
  return command.timeoutMs + STOP_TIMEOUT_MS + GRACE_MS;
}

function microseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000));
}
