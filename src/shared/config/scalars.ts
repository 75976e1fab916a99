/**
 * How single values are written: booleans, counts, durations, percentages. Every function answers undefined for text
 * it does not understand; what is allowed is said by the schema.
 */

/** Longest duration accepted; timers of Node.js fire at once beyond 2³¹ ms. */
export const MAX_DURATION_MS = 24 * 60 * 60 * 1000;
/** More instances than any cluster has hosts; keeps a slip of the finger from becoming work. */
export const MAX_COUNT = 1_000_000;

const NUMBER = /^\+?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][+-]?\d+)?$/;
const DURATION = /^(.*?)\s*(ms|s|m|h)$/;
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** The words of YAML 1.1, in which the original's files were written, and of YAML 1.2. */
export function readBoolean(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case 'true':
    case 'yes':
    case 'on':
      return true;
    case 'false':
    case 'no':
    case 'off':
      return false;
    default:
      return undefined;
  }
}

/** A number that is not negative: `3`, `0.5`, `.5`, `1_000`, `1e3`. */
export function readNumber(text: string): number | undefined {
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : undefined;
}

/**
 * A whole number from 0 to `MAX_COUNT`. Leading zeros are refused: `010` is 8 in YAML 1.1 and 10 in YAML 1.2, and
 * nobody can tell which one was meant.
 */
export function readCount(text: string): number | undefined {
  const value = readNumber(text);
  if (value === undefined || /^\+?0\d/.test(text)) return undefined;
  return Number.isInteger(value) && value <= MAX_COUNT ? value : undefined;
}

/** A duration in milliseconds, rounded up: a bare number counts seconds, else `500ms`, `4s`, `1.5m`, `2h`. */
export function readDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  const value = readNumber(match?.[1] ?? text);
  if (value === undefined) return undefined;
  const milliseconds = Math.ceil(value * UNIT_MS[unitOf(match?.[2])]);
  return milliseconds <= MAX_DURATION_MS ? milliseconds : undefined;
}

function unitOf(suffix: string | undefined): keyof typeof UNIT_MS {
  return suffix === 'ms' || suffix === 'm' || suffix === 'h' ? suffix : 's';
}

/** `50%` or `0.5` → 0.5; at most 100%. */
export function readFraction(text: string): number | undefined {
  const percent = text.endsWith('%');
  const value = readNumber(percent ? text.slice(0, -1).trimEnd() : text);
  if (value === undefined) return undefined;
  const fraction = percent ? value / 100 : value;
  return fraction <= 1 ? fraction : undefined;
}

/** A TCP port, 1 to 65535. */
export function readPort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Milliseconds as people write them: `500ms`, `4s`, `1m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds % 60_000 === 0 && milliseconds > 0) return `${milliseconds / 60_000}m`;
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}
