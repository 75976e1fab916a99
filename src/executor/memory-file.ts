/**
 * What an executor must remember across its own restarts, in one small file: which units are ours, the prestart values
 * they were started with, how those are registered that are not stopped at once, and the newest (epoch, generation) it obeyed. Losing it loses no unit: running units that are
 * desired here are adopted anyway.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import type { Logger } from '../shared/log.ts';
import { isUnitName } from '../shared/names.ts';
import { label, natural } from '../shared/payload-parts.ts';
import type { Version } from '../shared/state.ts';
import type { Farewell } from './departures.ts';

const schema = z.object({
  version: z.literal(1),
  applied: z.object({ epoch: z.int().min(0), generation: z.int().min(0) }),
  runOnce: z.array(z.string().refine(isUnitName)).default([]),
  units: z.record(z.string().refine(isUnitName), z.object({ startedWith: z.string().optional() })),
  farewells: z
    .record(z.string().refine(isUnitName), z.object({ service: z.string(), label, delayMs: natural }))
    .default({}),
});

export interface Remembered {
  readonly applied: Version;
  /** Units with `isolation: stop` of that version. */
  readonly runOnce: ReadonlySet<string>;
  /** Units that are ours → values they were started with, if known. */
  readonly units: ReadonlyMap<string, string | undefined>;
  /** Units that are stopped some time after their registration ended. */
  readonly farewells: ReadonlyMap<string, Farewell>;
}

export interface MemoryFile {
  /** What was saved last; empty when there is no readable file. */
  load(): Promise<Remembered>;
  /** Replaces the file atomically. Rejects when the disk refuses. */
  save(remembered: Remembered): Promise<void>;
}

const EMPTY: Remembered = {
  applied: { epoch: 0, generation: 0 },
  runOnce: new Set(),
  units: new Map(),
  farewells: new Map(),
};

/** Keeps the memory in `path`. */
export function memoryFile(path: string, log: Logger): MemoryFile {
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!missing)
          log.error(`${path} cannot be read (${String(error)}); units that run here are adopted again`, { path });
        return EMPTY;
      }
      const parsed = schema.safeParse(parseJson(text));
      if (!parsed.success) {
        log.error(`${path} is not readable and starts afresh; units that run here are adopted again`, { path });
        return EMPTY;
      }
      const units = new Map(Object.entries(parsed.data.units).map(([unit, entry]) => [unit, entry.startedWith]));
      const { applied, runOnce, farewells } = parsed.data;
      return { applied, runOnce: new Set(runOnce), units, farewells: new Map(Object.entries(farewells)) };
    },
    async save(remembered) {
      const units = Object.fromEntries([...remembered.units].map(([unit, startedWith]) => [unit, { startedWith }]));
      const temporary = `${path}.new`;
      const { applied, runOnce } = remembered;
      const farewells = Object.fromEntries(remembered.farewells);
      const text = JSON.stringify({ version: 1, applied, runOnce: [...runOnce], units, farewells });
      const write = () => writeFile(temporary, text, { mode: 0o600 });
      // starts wait for this: the folder is made when it turns out to be missing, not looked for each time
      await write().catch(async () => {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await write();
      });
      await rename(temporary, path);
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
