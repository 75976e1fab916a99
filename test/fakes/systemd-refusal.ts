/** The fake systemd does not take a job; `errorName` and message are those of the real one. */
export class FakeRefusal extends Error {
  constructor(
    readonly errorName: string,
    message: string,
  ) {
    super(message);
    this.name = 'FakeRefusal';
  }
}
