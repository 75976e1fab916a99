/** Outages as read from journals. */
import { expect, it } from 'vitest';
import { disconnectedMs, parseJournal, undecidedMs } from './outage.ts';

const ALL = { fromMs: 0, untilMs: 5000 };
const line = (atMs: number, text: string) => ({ atMs, text });

it('a daemon that lost its connection twice was without for the longer of the two', () => {
  const lines = [
    line(100, 'connection to ZooKeeper lost session=1 why="it closed the connection"'),
    line(150, 'ZooKeeper server cannot be used server=zk2:2181'),
    line(400, 'connected to ZooKeeper server=zk3:2181'),
    line(900, 'connection to ZooKeeper lost session=1'),
    line(1000, 'connected to ZooKeeper server=zk1:2181'),
  ];
  expect(disconnectedMs(lines, ALL)).toBe(300);
});

it('a connection that is not back counts until the end, and none that was lost is no outage', () => {
  expect(disconnectedMs([line(100, 'connection to ZooKeeper lost session=1')], ALL)).toBe(4900);
  expect(disconnectedMs([line(100, 'connected to ZooKeeper server=zk1:2181')], ALL)).toBe(0);
});

it('an outage counts as far as it lies within the time that is asked for', () => {
  const lines = [
    line(100, 'connection to ZooKeeper lost session=1'),
    line(700, 'connected to ZooKeeper server=zk1:2181'),
  ];
  expect(disconnectedMs(lines, { fromMs: 300, untilMs: 5000 })).toBe(400);
  expect(disconnectedMs(lines, { fromMs: 300, untilMs: 400 })).toBe(100);
  expect(disconnectedMs(lines, { fromMs: 800, untilMs: 5000 })).toBe(0);
});

it('nothing can be decided from the end of a term until another leader has decided', () => {
  const lines = [
    line(720, 'the placement stands as it was written before this term'),
    line(100, 'no longer the leader: the connection to ZooKeeper is in doubt'),
    line(600, 'leading with epoch 2 epoch=2'),
  ];
  expect(undecidedMs(lines, ALL)).toBe(620);
  expect(undecidedMs([...lines, line(800, 'no longer the leader: x')], ALL)).toBe(4200);
});

it('journald’s own times are used, and messages that are not text have none', () => {
  const text = '{"__MONOTONIC_TIMESTAMP":"1500","MESSAGE":"hello"}\n{"__MONOTONIC_TIMESTAMP":"2500","MESSAGE":[1,2]}\n';
  expect(parseJournal(text)).toEqual([line(1.5, 'hello'), line(2.5, '')]);
  expect(() => parseJournal('{"MESSAGE":"no time"}')).toThrow('not a line of the journal');
});
