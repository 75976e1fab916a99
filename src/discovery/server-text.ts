/** A server in the words of a command: its address as text, placeholders, environment. Pure. */
import type { Command } from '../shared/attachments.ts';
import type { Registration } from './registration.ts';
import { endpoint } from './select.ts';

/** `10.0.0.1:1883`, `[fd00::1]:1883`; the address alone where there is no port. */
export function serverAddress({ address, port }: Pick<Registration, 'address' | 'port'>): string {
  return port === undefined ? address : endpoint(address, port);
}

const PLACEHOLDER = /\{(address|host|port)\}/g;

/**
 * The command with `{address}`, `{host}` and `{port}` replaced in each word; all else in braces stays. Undefined when it
 * asks for a port and the server has none.
 */
export function fillCommand(command: Command, server: Registration): Command | undefined {
  const values = { address: server.address, host: server.host, port: server.port };
  if (values.port === undefined && command.some((word) => word.includes('{port}'))) return undefined;
  const fill = (word: string) =>
    word.replace(PLACEHOLDER, (whole, name: string) => {
      if (name === 'address' || name === 'host' || name === 'port') return String(values[name]);
      return whole;
    });
  const [program, ...args] = command;
  return [fill(program), ...args.map(fill)];
}

/** What the command finds in its environment; undefined: the variable is not to be there. */
export function serverEnvironment(server: Registration): Record<string, string | undefined> {
  return {
    SERVICEWATCHER_ADDRESS: server.address,
    SERVICEWATCHER_HOST: server.host,
    SERVICEWATCHER_PORT: server.port === undefined ? undefined : String(server.port),
  };
}
