/** The trace of a run: a line for each event, for whoever wants them, and one number for all of them. */
export class Trace {
  private digest = 0x811c9dc5;
  private readonly bits = new DataView(new ArrayBuffer(8));

  constructor(private readonly write?: (line: string) => void) {}

  /** Of all events so far: the same for the same events at the same times. */
  get hash(): number {
    return this.digest >>> 0;
  }

  note(now: number, event: string): void {
    let { digest } = this;
    this.bits.setFloat64(0, now);
    for (const part of [0, 4]) digest = Math.imul(digest ^ this.bits.getInt32(part), 0x01000193);
    for (let index = 0; index < event.length; index++) digest = Math.imul(digest ^ event.charCodeAt(index), 0x01000193);
    this.digest = digest;
    this.write?.(`${(now / 1000).toFixed(4).padStart(10)}  ${event}`);
  }
}
