/** Whoever reads a template's file at any moment reads one content as a whole: the old one, or one that was right. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Applied, TemplateFile } from '../../src/discovery/template-file.ts';
import type { CommandResult } from '../../src/shared/run-command.ts';

const CHECKS = ['right', 'wrong', 'late', 'interrupted'] as const;

/** A content is a letter so often: one that is mixed of two, or cut, is found out. */
const content = fc.record({
  letter: fc.constantFrom('a', 'b', 'c', 'd'),
  length: fc.constantFrom(0, 1, 4_096, 65_537, 400_000),
});
const step = fc.record({
  content,
  check: fc.constantFrom(...CHECKS),
  reload: fc.constantFrom('done', 'refused'),
  /** The daemon begins anew before it. */
  anew: fc.boolean(),
  /** Somebody changed the permissions. */
  touched: fc.boolean(),
});

function resultOf(check: (typeof CHECKS)[number], ending: AbortController): CommandResult {
  switch (check) {
    case 'right':
      return { kind: 'exited', code: 0, output: '' };
    case 'wrong':
      return { kind: 'exited', code: 1, output: 'no' };
    case 'late':
      return { kind: 'timeout', output: '' };
    case 'interrupted':
      // the daemon ends after the check has
      ending.abort(new Error('the daemon ends'));
      return { kind: 'exited', code: 0, output: '' };
  }
}

it('is the old file or the new one, as a whole, whatever checks and reloads come to; each change is told at last', async () => {
  await fc.assert(
    fc.asyncProperty(content, fc.array(step, { minLength: 1, maxLength: 6 }), async (first, steps) => {
      const folder = await mkdtemp(join(tmpdir(), 'servicewatcher-property-'));
      const destination = join(folder, 'file');
      const textOf = ({ letter, length }: typeof first) => letter.repeat(length);
      const whole = new Set([first, ...steps.map((each) => each.content)].map(textOf));
      let current = textOf(first);
      await writeFile(destination, current, { mode: 0o644 });
      let next = current;
      /** What was there when somebody was told last. */
      let told = current;
      let ending = new AbortController();
      let now = steps[0];
      const make = () =>
        new TemplateFile({
          template: {
            source: '/x.tpl',
            destination,
            on: {},
            mode: 0o644,
            debounceMs: 0,
            check: ['look', '{file}'],
            reload: { kind: 'unit', unit: 'x.service' },
          },
          folder: join(folder, 'marks'),
          run: async ({ argv }) => {
            const seen = await readFile(argv[1] ?? '', 'utf8');
            if (seen !== next) throw new Error('the check looks at something else');
            return resultOf(now?.check ?? 'right', ending);
          },
          reloadUnit: async () => {
            if (now?.reload === 'refused') return 'it is masked';
            told = await readFile(destination, 'utf8');
            return undefined;
          },
          signal: ending.signal,
        });
      let file = make();
      let reading = true;
      const mixed: string[] = [];
      const reader = (async () => {
        while (reading) {
          const seen = await readFile(destination, 'utf8');
          if (!whole.has(seen)) mixed.push(`${seen.slice(0, 1)} ${seen.length}`);
        }
      })();
      try {
        for (now of steps) {
          if (now.anew || ending.signal.aborted) {
            ending = new AbortController();
            file = make();
          }
          if (now.touched) await chmod(destination, 0o600);
          next = textOf(now.content);
          const applied: Applied = await file.apply(next);
          const seen = await readFile(destination, 'utf8');
          const isNew = applied.kind !== 'failed' || applied.written || current === next;
          expect(seen).toBe(isNew ? next : current);
          // a daemon that ends replaces nothing any more
          if (now.check === 'interrupted') expect(applied.kind === 'done' && applied.written).toBe(false);
          if (applied.kind === 'done') expect((await stat(destination)).mode & 0o777).toBe(0o644);
          // nothing is told of what is not there, and all that is there is told in the end
          if (applied.kind !== 'failed') expect(told === seen || applied.kind === 'same').toBe(true);
          current = seen;
          next = seen;
        }
        now = { ...steps[0], content: first, check: 'right', reload: 'done', anew: true, touched: false };
        ending = new AbortController();
        await make().apply(current);
        expect(told).toBe(current);
        expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
        expect(await readdir(join(folder, 'marks')).catch(() => [])).toEqual([]);
      } finally {
        reading = false;
        await reader;
        await rm(folder, { recursive: true });
      }
      expect(mixed).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
