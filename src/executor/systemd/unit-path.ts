/**
 * D-Bus object paths of units. systemd escapes every byte of a unit name outside `[A-Za-z0-9]`, and a leading digit, as
 * `_xx` (bus_label_escape in systemd's src/shared/bus-label.c).
 */

const PREFIX = '/org/freedesktop/systemd1/unit/';
const SERVICE_SUFFIX = '_2eservice';

/** `kafka@1.service` → `/org/freedesktop/systemd1/unit/kafka_401_2eservice`. The name is ASCII, as `isUnitName` ensures. */
export function unitPath(unit: string): string {
  const escaped = unit.replace(
    /[^A-Za-z0-9]|^[0-9]/g,
    (char) => `_${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return PREFIX + escaped;
}

/** True for the path of a unit of type service: one look at its end, so that other units' signals cost nothing more. */
export function isServicePath(path: string): boolean {
  return path.endsWith(SERVICE_SUFFIX) && path.startsWith(PREFIX);
}

/** The inverse of `unitPath`; undefined when the path is not one of a unit. */
export function unitOfPath(path: string): string | undefined {
  if (!path.startsWith(PREFIX)) return undefined;
  const label = path.slice(PREFIX.length);
  if (!/^([A-Za-z0-9]|_[0-9a-f]{2})+$/.test(label)) return undefined;
  return label.replace(/_([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
