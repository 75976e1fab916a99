/** The three ways in which a call on the bus fails. Every rejection of `Bus.call` for a reason outside this program is one of these. */

/** The callee, or the bus in its place, answered with an error. */
export class BusCallError extends Error {
  constructor(
    /** D-Bus error name, `org.freedesktop.systemd1.NoSuchUnit`. */
    readonly errorName: string,
    message: string,
  ) {
    super(message);
    this.name = 'BusCallError';
  }
}

/** There is no connection, or it broke before the answer: the callee may or may not have acted. */
export class BusClosedError extends Error {
  constructor(why: string) {
    super(`not connected to the D-Bus system bus: ${why}`);
    this.name = 'BusClosedError';
  }
}

/** No answer in time: the callee may or may not have acted. */
export class BusDeadlineError extends Error {
  constructor(member: string, deadlineMs: number) {
    super(
      `systemd did not answer ${member} over D-Bus within ${deadlineMs} ms; is PID 1 or the system bus overloaded?`,
    );
    this.name = 'BusDeadlineError';
  }
}
