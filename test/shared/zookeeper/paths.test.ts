import { describe, expect, it } from 'vitest';
import { Chroot, parentOf, pathFault } from '../../../src/shared/zookeeper/paths.ts';

it.each(['/', '/a', '/a/b.c', '/a/...', '/ä', '/a b'])('allows %j', (path) => {
  expect(pathFault(path)).toBeUndefined();
});

it.each(['', 'a', '/a/', '//', '/a//b', '/.', '/a/..', '/a/./b', '/\u0000', '/a\u007f', '/\ud800', '/\ufff0'])(
  'refuses %j, as ZooKeeper does',
  (path) => {
    expect(pathFault(path)).toBeTypeOf('string');
  },
);

it('knows the parent of a path', () => {
  expect(['/a/b', '/a', '/'].map(parentOf)).toEqual(['/a', '/', '/']);
});

describe('a chroot', () => {
  it('leads to paths on the server and back', () => {
    const chroot = new Chroot('/sw/prod');
    expect(chroot.levels()).toEqual(['/sw', '/sw/prod']);
    expect(chroot.toServer('/')).toBe('/sw/prod');
    expect(chroot.toServer('/a/b')).toBe('/sw/prod/a/b');
    expect(['/sw/prod', '/sw/prod/a', '/sw/production/a', '/sw'].map((path) => chroot.fromServer(path))).toEqual([
      '/',
      '/a',
      undefined,
      undefined,
    ]);
  });

  it.each(['', '/'])('of %j changes nothing', (none) => {
    const chroot = new Chroot(none);
    expect(chroot.levels()).toEqual([]);
    expect([chroot.toServer('/'), chroot.toServer('/a'), chroot.fromServer('/a')]).toEqual(['/', '/a', '/a']);
  });

  it('that is no path is named in the error', () => {
    expect(() => new Chroot('sw')).toThrow('zookeeper.chroot "sw"');
  });
});
