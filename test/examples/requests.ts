/** What `load.mjs` of deploy/examples/haproxy says of its requests, and what follows from it. Pure. */

/** One request that has ended; times in ms of `monotonicNow`'s clock. */
export interface Sent {
  readonly url: string;
  /** Over a connection that is kept. */
  readonly kept: boolean;
  readonly method: 'GET' | 'POST';
  readonly begun: number;
  readonly ended: number;
  /** Answered with 200. */
  readonly ok: boolean;
  /** When the oldest one was sent that is still under way; `null`: none is. */
  readonly oldest: number | null;
  /** The host that answered, or what went wrong. */
  readonly said: string;
}

/** The lines of the load's output; a last one that is not whole is left out. */
export function parseRequests(output: string): readonly Sent[] {
  const whole = output.slice(0, output.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Requests that were sent within the time. */
export function sentWithin(requests: readonly Sent[], from: number, to: number): readonly Sent[] {
  return requests.filter(({ begun }) => begun >= from && begun < to);
}

/** Requests that were under way at some moment of the time. */
export function inFlight(requests: readonly Sent[], from: number, to = from): readonly Sent[] {
  return requests.filter(({ begun, ended }) => begun <= to && ended >= from);
}

/** `412 requests, 0 failed; slowest 63 ms`, with what went wrong. */
export function summary(requests: readonly Sent[]): string {
  const failed = requests.filter(({ ok }) => !ok);
  const slowest = Math.max(0, ...requests.map(({ begun, ended }) => ended - begun));
  const why = [...new Set(failed.map(({ method, said }) => `${method}: ${said}`))].sort().join(', ');
  const told = why === '' ? '' : ` (${why})`;
  return `${requests.length} requests, ${failed.length} failed${told}; slowest ${Math.round(slowest)} ms`;
}
