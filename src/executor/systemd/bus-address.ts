/** D-Bus addresses: which one is used, and what the client library needs to be told instead. */

/** Address of the system bus where the environment names no other (D-Bus specification, "System message bus"). */
const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

/** `DBUS_SYSTEM_BUS_ADDRESS` if set, else the well-known socket. */
export function systemBusAddress(environment: Readonly<Record<string, string | undefined>>): string {
  return environment.DBUS_SYSTEM_BUS_ADDRESS || SYSTEM_BUS;
}

/**
 * Splits a list of addresses (`a;b`) and rewrites each for dbus-next: `unix:path=` and `unix:abstract=` become its
 * `unix:socket=`, which is a plain Node socket on every installation, and `%xx` is decoded, which dbus-next does not do.
 * Throws an Error that says what is wrong with an address that dbus-next could not represent.
 */
export function parseBusAddress(list: string): readonly [string, ...string[]] {
  const [first, ...others] = list.split(';').filter((address) => address !== '');
  if (first === undefined)
    throw new Error('the D-Bus address is empty; give one such as unix:path=/run/dbus/system_bus_socket');
  return [rewrite(first), ...others.map(rewrite)];
}

function rewrite(address: string): string {
  const colon = address.indexOf(':');
  const transport = address.slice(0, colon);
  const parameters = new Map<string, string>();
  for (const pair of address.slice(colon + 1).split(',')) {
    const equals = pair.indexOf('=');
    if (colon < 1 || equals < 1) throw new Error(`"${address}" is not a D-Bus address; expected TRANSPORT:KEY=VALUE,…`);
    const value = unescapeValue(pair.slice(equals + 1), address);
    if (/[:,=;]/.test(value)) {
      throw new Error(
        `the D-Bus address "${address}" holds one of ":,=;" in a value, which is not supported; use another path`,
      );
    }
    parameters.set(pair.slice(0, equals), value);
  }
  switch (transport) {
    case 'unix': {
      const path = parameters.get('path');
      const abstract = parameters.get('abstract');
      if (path) return `unix:socket=${path}`;
      if (abstract) return `unix:socket=\0${abstract}`;
      throw new Error(
        `the D-Bus address "${address}" has neither path= nor abstract=; other kinds of unix: are not supported`,
      );
    }
    case 'tcp': {
      const port = parameters.get('port');
      if (!port) throw new Error(`the D-Bus address "${address}" has no port=`);
      return `tcp:host=${parameters.get('host') ?? 'localhost'},port=${port}`;
    }
    default:
      throw new Error(`the D-Bus transport "${transport}" in "${address}" is not supported; use unix: or tcp:`);
  }
}

function unescapeValue(value: string, address: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Error(`the D-Bus address "${address}" holds a "%" that is not followed by two hexadecimal digits`);
  }
}
