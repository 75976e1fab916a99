import { beforeEach, describe, expect, it } from 'vitest';
import { Journal, type WriteEntry } from '../../src/shared/journal.ts';
import { FakeClock } from '../fakes/clock.ts';

let clock: FakeClock;
let entries: string[];
let lines: string[];
let atOnce: number;
let works: boolean;

beforeEach(() => {
  clock = new FakeClock();
  [entries, lines, atOnce, works] = [[], [], 0, true];
});

/** As `logger`, which takes 5 ms. */
const writeEntry: WriteEntry = async (entry) => {
  atOnce += 1;
  expect(atOnce).toBe(1);
  await new Promise<void>((resolve) => void clock.after(5, resolve));
  atOnce -= 1;
  if (works) entries.push(entry);
  return works;
};
const open = () => new Journal({ clock, writeLine: (line) => void lines.push(line), writeEntry });

describe('entries of the journal', () => {
  it('are written one after the other, in their order, and awaited at the end', async () => {
    const journal = open();
    for (const n of [1, 2, 3])
      journal.write(
        [
          ['MESSAGE', `event ${n}`],
          ['SERVICEWATCHER_UNIT', 'a.service'],
        ],
        'line',
      );
    expect(entries).toEqual([]);
    await clock.finish('the end', journal.flush());
    expect(entries).toEqual([1, 2, 3].map((n) => `MESSAGE=event ${n}\nSERVICEWATCHER_UNIT=a.service\n`));
    expect(lines).toEqual([]);
    journal.write([['MESSAGE', 'later']], 'line');
    await clock.finish('the end', journal.flush());
    expect(entries).toHaveLength(4);
  });

  it('are lines when the journal does not take them, and after three in a row it is not asked any more', async () => {
    works = false;
    const journal = open();
    for (const n of [1, 2, 3, 4]) journal.write([['MESSAGE', '']], `line ${n}`);
    await clock.finish('the end', journal.flush());
    expect(lines).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
    expect(clock.now()).toBe(20 + 3 * 5);
    works = true;
    journal.write([['MESSAGE', '']], 'line 5');
    expect(lines.at(-1)).toBe('line 5');
    expect(entries).toEqual([]);
  });

  it('one that the journal did not take does not stop the next ones', async () => {
    const journal = open();
    works = false;
    for (const n of [1, 2]) journal.write([['MESSAGE', '']], `line ${n}`);
    await clock.finish('the end', journal.flush());
    works = true;
    for (const n of [3, 4, 5]) journal.write([['MESSAGE', `${n}`]], `line ${n}`);
    await clock.finish('the end', journal.flush());
    expect(lines).toEqual(['line 1', 'line 2']);
    expect(entries).toHaveLength(3);
  });

  it('are lines when too many wait', async () => {
    const journal = open();
    for (let n = 0; n < 203; n++) journal.write([['MESSAGE', `${n}`]], `line ${n}`);
    expect(lines).toEqual(['line 200', 'line 201', 'line 202']);
    await clock.finish('the end', journal.flush());
    expect(entries).toHaveLength(200);
  });
});
