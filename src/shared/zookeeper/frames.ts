/** Cuts the byte stream from a ZooKeeper server into frames: an int32 length, then as many bytes. */

/** No honest answer is longer: the names of 250,000 children of the greatest length. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 4;

/** One per connection; holds what has come of a frame that is not complete yet. */
export class FrameSplitter {
  private chunks: Buffer[] = [];
  private buffered = 0;
  /** Bytes that must be there before anything can be cut off: the header, then the whole frame. */
  private needed = HEADER_BYTES;

  /** Answers the frames that `chunk` completes, each with its length in front. Throws on an impossible length. */
  push(chunk: Buffer): Buffer[] {
    this.chunks.push(chunk);
    this.buffered += chunk.length;
    if (this.buffered < this.needed) return [];

    const bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks, this.buffered);
    const frames: Buffer[] = [];
    let offset = 0;
    this.needed = HEADER_BYTES;
    while (bytes.length - offset >= HEADER_BYTES) {
      const length = bytes.readInt32BE(offset);
      if (length < 0 || length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes cannot be`);
      this.needed = HEADER_BYTES + length;
      if (bytes.length - offset < this.needed) break;
      frames.push(bytes.subarray(offset, offset + this.needed));
      offset += this.needed;
      this.needed = HEADER_BYTES;
    }
    this.chunks = offset < bytes.length ? [bytes.subarray(offset)] : [];
    this.buffered = bytes.length - offset;
    return frames;
  }
}
