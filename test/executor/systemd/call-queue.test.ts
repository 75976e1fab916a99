import { describe, expect, it } from 'vitest';
import { BusClosedError, BusDeadlineError } from '../../../src/executor/systemd/bus-error.ts';
import { CallQueue } from '../../../src/executor/systemd/call-queue.ts';
import { ManualClock } from './manual-clock.ts';

const settled = () => new Promise(setImmediate);

/** Calls that are answered by hand, in the order in which they were sent. */
function byHand() {
  const sent: {
    readonly name: string;
    readonly answer: (value: string) => void;
    readonly fail: (error: Error) => void;
  }[] = [];
  const send = (name: string) => () =>
    new Promise<string>((answer, fail) => {
      sent.push({ name, answer, fail });
    });
  return { sent, send };
}

describe('the queue of calls', () => {
  it('keeps no more than its limit in flight and sends the others in the order they came', async () => {
    const clock = new ManualClock();
    const queue = new CallQueue(clock, 2);
    const { sent, send } = byHand();
    const names = ['a', 'b', 'c', 'd'];
    const answers = names.map((name) => queue.run(name, 1000, send(name)));
    expect(sent.map(({ name }) => name)).toEqual(['a', 'b']);
    sent[1]?.answer('b');
    await settled();
    expect(sent.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    sent[0]?.fail(new Error('a fails'));
    await expect(answers[0]).rejects.toThrow('a fails');
    sent[2]?.answer('c');
    await settled();
    sent[3]?.answer('d');
    expect(await Promise.all(answers.slice(1))).toEqual(['b', 'c', 'd']);
    expect(clock.pending).toBe(0);
  });

  it('ends an unanswered call at its deadline and gives its place to the next', async () => {
    const clock = new ManualClock();
    const queue = new CallQueue(clock, 1);
    const { sent, send } = byHand();
    const first = expect(queue.run('Slow', 100, send('first'))).rejects.toThrow(BusDeadlineError);
    const second = queue.run('Next', 1000, send('second'));
    await clock.advance(100);
    await first;
    expect(sent.map(({ name }) => name)).toEqual(['first', 'second']);
    sent[0]?.answer('too late');
    sent[1]?.answer('in time');
    expect(await second).toBe('in time');
  });

  it('never sends a call whose deadline passed while it waited', async () => {
    const clock = new ManualClock();
    const queue = new CallQueue(clock, 1);
    const { sent, send } = byHand();
    const first = queue.run('First', 1000, send('first'));
    const second = expect(queue.run('Second', 100, send('second'))).rejects.toThrow('did not answer Second');
    await clock.advance(100);
    await second;
    sent[0]?.answer('done');
    await first;
    await settled();
    expect(sent.map(({ name }) => name)).toEqual(['first']);
  });

  it('fails everything when it is closed, and all that comes after', async () => {
    const clock = new ManualClock();
    const queue = new CallQueue(clock, 1);
    const { sent, send } = byHand();
    const calls = ['a', 'b'].map((name) => expect(queue.run(name, 1000, send(name))).rejects.toThrow(BusClosedError));
    queue.close('the bus left');
    await Promise.all(calls);
    await expect(queue.run('c', 1000, send('c'))).rejects.toThrow('the bus left');
    expect(sent.map(({ name }) => name)).toEqual(['a']);
    expect(clock.pending).toBe(0);
  });
});
