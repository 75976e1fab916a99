import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryFile, type Remembered } from '../../src/executor/memory-file.ts';
import { MemoryLog } from '../fakes/log.ts';

let folder: string;
let path: string;
let log: MemoryLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-memory-'));
  path = join(folder, 'state', 'units.json');
  log = new MemoryLog();
});
afterEach(() => rm(folder, { recursive: true }));

const SOME: Remembered = {
  applied: { epoch: 3, generation: 17 },
  runOnce: new Set(['b@1.service']),
  units: new Map([
    ['a.service', '{"c":["w1"]}'],
    ['b@1.service', undefined],
  ]),
  farewells: new Map([['a.service', { service: 'a', label: 'web', delayMs: 5_000 }]]),
};
const NOTHING: Remembered = {
  applied: { epoch: 0, generation: 0 },
  runOnce: new Set(),
  units: new Map(),
  farewells: new Map(),
};

describe('the memory of an executor', () => {
  it('is what was saved last', async () => {
    await memoryFile(path, log).save(NOTHING);
    await memoryFile(path, log).save(SOME);
    expect(await memoryFile(path, log).load()).toEqual(SOME);
  });

  it('of a daemon before knows of no units that part from others', async () => {
    await memoryFile(path, log).save(SOME);
    const { farewells: _, ...earlier } = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify(earlier));
    expect(await memoryFile(path, log).load()).toEqual({ ...SOME, farewells: new Map() });
  });

  it('is empty where there is no file', async () => {
    expect(await memoryFile(path, log).load()).toEqual(NOTHING);
    expect(log.entries).toEqual([]);
  });

  it.each([
    '',
    'nonsense',
    '{"version":2}',
    '{"version":1,"applied":{"epoch":-1,"generation":0},"units":{}}',
    '{"version":1,"applied":{"epoch":1,"generation":0},"units":{"../a":{}}}',
    '{"version":1,"applied":{"epoch":1,"generation":0},"units":{},"farewells":{"a.service":{"service":"a","label":"../a","delayMs":1}}}',
    '[]',
  ])('is empty, and says so, when the file reads %j', async (text) => {
    await memoryFile(path, log).save(SOME);
    await writeFile(path, text);
    expect(await memoryFile(path, log).load()).toEqual(NOTHING);
    expect(log.at('error')[0]).toContain(path);
  });

  it('is for its owner only, and leaves no other file behind', async () => {
    await memoryFile(path, log).save(SOME);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'state'))).toEqual(['units.json']);
  });

  it('that cannot be written is told to the caller, and the old one stays', async () => {
    await memoryFile(path, log).save(SOME);
    const before = await readFile(path, 'utf8');
    await expect(memoryFile(join(path, 'below-a-file'), log).save(NOTHING)).rejects.toThrow();
    expect(await readFile(path, 'utf8')).toBe(before);
  });
});
