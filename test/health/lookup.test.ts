/** Names that probes ask for: once at a time each, and a silent name server takes few threads. */
import type { LookupAddress } from 'node:dns';
import { expect, it } from 'vitest';
import { LOOKUPS_AT_ONCE, sharing } from '../../src/health/lookup.ts';

const HERE: LookupAddress = { address: '127.0.0.1', family: 4 };

/** `silent.…` is never answered, `none` has no address. */
function resolver() {
  const asked: string[] = [];
  const lookup = sharing((name) => {
    asked.push(name);
    if (name.startsWith('silent')) return new Promise(() => {});
    return name === 'none' ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve([HERE]);
  });
  const one = (name: string, all = false) =>
    new Promise((resolve) =>
      lookup(name, { all }, (error, address, family) => resolve(error?.message ?? [address, family])),
    );
  return { asked, one };
}

it('each name is asked for once for all who ask meanwhile, and anew afterwards', async () => {
  const { asked, one } = resolver();
  expect(await Promise.all(['w1', 'w1', 'w2', 'w1'].map((name) => one(name)))).toEqual(
    Array.from({ length: 4 }, () => ['127.0.0.1', 4]),
  );
  expect(asked).toEqual(['w1', 'w2']);
  expect(await one('w1', true)).toEqual([[HERE], undefined]);
  expect(asked).toEqual(['w1', 'w2', 'w1']);
});

it('a name without address is told to all who ask', async () => {
  const { one } = resolver();
  expect(await Promise.all([one('none'), one('none', true)])).toEqual(['ENOTFOUND', 'ENOTFOUND']);
});

it('a name that is never answered takes one place, however often it is asked for, and others are answered', async () => {
  const { asked, one } = resolver();
  for (let n = 0; n < 100; n++) void one('silent');
  expect(await one('w1')).toEqual(['127.0.0.1', 4]);
  expect(asked).toEqual(['silent', 'w1']);
});

it('names that are never answered take a few places only', async () => {
  const { asked, one } = resolver();
  for (let n = 0; n < 100; n++) void one(`silent.${n}`);
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toHaveLength(LOOKUPS_AT_ONCE);
});

it('a name that was answered before is where it was while the name server is silent, and nowhere when that says so', async () => {
  let answer: () => Promise<readonly LookupAddress[]> = () => Promise.resolve([HERE]);
  const lookup = sharing(() => answer());
  const one = () =>
    new Promise((resolve) => lookup('w1', {}, (error, address) => resolve(error === null ? address : error.message)));
  expect(await one()).toBe('127.0.0.1');
  answer = () => Promise.reject(Object.assign(new Error('no answer'), { code: 'EAI_AGAIN' }));
  expect(await one()).toBe('127.0.0.1');
  answer = () => Promise.reject(Object.assign(new Error('it is gone'), { code: 'ENOTFOUND' }));
  expect(await one()).toBe('it is gone');
  answer = () => new Promise(() => {});
  expect(await one()).toBe('127.0.0.1');
});
