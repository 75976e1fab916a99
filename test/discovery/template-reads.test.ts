/** What a host reads of ZooKeeper for its templates, and what it does not. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SERVERS, TemplateWorld } from './template-world.ts';

let world: TemplateWorld;

beforeEach(async () => {
  world = await TemplateWorld.create();
});

afterEach(() => world.end());

describe('what templates read', () => {
  /** Reads that it takes until what happened is known. */
  async function readsOf(change: () => Promise<void>): Promise<number> {
    const before = world.reads;
    await change();
    await world.clock.advance(5_000);
    return world.reads - before;
  }

  beforeEach(async () => {
    await world.register('w1');
    await world.register('x1', 'other');
  });

  it('is what is registered under the labels that they name: of others, not even a change', async () => {
    await writeFile(world.source, SERVERS);
    await world.boot(world.template());
    expect(await world.read()).toBe('w1 ');
    expect(await readsOf(() => world.register('x2', 'other'))).toBe(0);
    expect(await readsOf(() => world.register('w2'))).toBe(2);
    expect(await world.read()).toBe('w1 w2 ');
  });

  it('follows the text of a template, to labels that it names then, and from those that it names no more', async () => {
    await writeFile(world.source, SERVERS);
    await world.boot(world.template());
    await writeFile(world.source, SERVERS.replace('web', 'other'));
    await world.clock.advance(20_000);
    expect(await world.read()).toBe('x1 ');
    expect(await readsOf(() => world.register('w2'))).toBe(0);
    expect(await readsOf(() => world.register('x2', 'other'))).toBe(2);
    expect(await world.read()).toBe('x1 x2 ');
  });

  it('is everything for one that lists all services, until that is no longer for this host', async () => {
    const all = join(world.folder, 'all.tpl');
    await writeFile(world.source, SERVERS);
    await writeFile(all, '{{#each services}}{{label}}/{{id}} {{/each}}');
    await world.boot(world.template(), world.template({ source: all, destination: world.file('all') }));
    expect(await readsOf(() => world.register('y1', 'new'))).toBeGreaterThanOrEqual(2);
    expect([await world.read(), await world.read('all')]).toEqual(['w1 ', 'new/y1 other/x1 web/w1 ']);
    await world.propose(world.template());
    await world.clock.advance(1_000);
    expect(await readsOf(() => world.register('y2', 'new'))).toBe(0);
    expect(await readsOf(() => world.register('w2'))).toBe(2);
    expect(await world.read()).toBe('w1 w2 ');
  });

  it('is nothing of discovery on a host that no template is for', async () => {
    await writeFile(world.source, SERVERS);
    await world.boot(world.template({ on: { labels: { role: 'other' } } }));
    expect(await readsOf(() => world.register('w2'))).toBe(0);
  });
});
