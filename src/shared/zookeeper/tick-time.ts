/** How long a tick of a ZooKeeper server is, by the four-letter word `conf`: what units with `isolation: stop` are promised rests on it. */
import { fourLetterWord } from './four-letter-word.ts';

export interface TickTime {
  /** `host:port` */
  readonly server: string;
  /** Milliseconds; null: it does not say. */
  readonly tickTimeMs: number | null;
}

/** Asks one server; null when it refuses the word, or does not answer within `deadlineMs`. Never rejects. */
export async function askTickTime(server: string, deadlineMs: number): Promise<TickTime> {
  const colon = server.lastIndexOf(':');
  const port = Number(server.slice(colon + 1));
  const answer = await fourLetterWord(server.slice(0, colon), port, 'conf', deadlineMs).catch(() => '');
  const [, ms] = /^tickTime=(\d+)$/m.exec(answer) ?? [];
  return { server, tickTimeMs: ms === undefined ? null : Number(ms) };
}

/** What a person has to mend, one sentence each. `sessionTimeoutMs`: this host's. The sixth: SPEC.md, section 6, what the proof rests on. */
export function tickTimeWarnings(tickTimes: readonly TickTime[], sessionTimeoutMs: number): string[] {
  const mostMs = Math.floor(sessionTimeoutMs / 6);
  const unknown = tickTimes.flatMap(({ server, tickTimeMs }) => (tickTimeMs === null ? [server] : []));
  const long = tickTimes.flatMap(({ server, tickTimeMs: ms }) => (ms !== null && ms > mostMs ? [{ server, ms }] : []));
  const named = long.map(({ server, ms }) => `${server} (${ms} ms)`).join(', ');
  const neededS = (Math.max(0, ...long.map(({ ms }) => ms)) * 6) / 1000;
  return [
    ...(unknown.length === 0
      ? []
      : [`tickTime not known of ${unknown.join(', ')}: allow conf in 4lw.commands.whitelist of zoo.cfg there`]),
    ...(long.length === 0
      ? []
      : [
          `tickTime of ${named} is above a sixth of this host's session_timeout (${sessionTimeoutMs / 1000} s): two hosts may run a unit with isolation: stop for a moment; set it to ${mostMs} at most in zoo.cfg there, or session_timeout of every host to ${neededS} s`,
        ]),
  ];
}
