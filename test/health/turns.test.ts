import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/health/turns.ts';

const never = new AbortController().signal;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Work that ends when it is told to. */
class Work {
  running = 0;
  most = 0;
  readonly begun: string[] = [];
  private readonly ends: (() => void)[] = [];

  do(name: string): () => Promise<string> {
    return () => {
      this.running += 1;
      this.most = Math.max(this.most, this.running);
      this.begun.push(name);
      return new Promise((resolve) => {
        this.ends.push(() => {
          this.running -= 1;
          resolve(name);
        });
      });
    };
  }

  async endOne(): Promise<void> {
    this.ends.shift()?.();
    await settle();
  }
}

describe('turns', () => {
  it('go to so many at once, and then to who came first', async () => {
    const turns = new Turns(2);
    const work = new Work();
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => turns.run(work.do(name), never));
    await settle();
    expect(work.begun).toEqual(['a', 'b']);
    for (let index = 0; index < 5; index += 1) await work.endOne();
    expect(work.begun).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(work.most).toBe(2);
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('pass over those who have gone', async () => {
    const turns = new Turns(1);
    const work = new Work();
    const gone = new AbortController();
    const first = turns.run(work.do('a'), never);
    const second = turns.run(work.do('b'), gone.signal);
    const third = turns.run(work.do('c'), never);
    gone.abort();
    expect(await second).toBeUndefined();
    await work.endOne();
    await work.endOne();
    expect(work.begun).toEqual(['a', 'c']);
    await Promise.all([first, third]);
    expect(await turns.run(work.do('d'), AbortSignal.abort())).toBeUndefined();
  });

  it('are given back when the work throws', async () => {
    const turns = new Turns(1);
    await expect(turns.run(() => Promise.reject(new Error('no')), never)).rejects.toThrow('no');
    expect(await turns.run(async () => 1, never)).toBe(1);
  });
});
