/** deploy/config.example.yml, read as it is once the `#` before each of its settings is taken away. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Located, parseLocated } from '../../../src/shared/config/located.ts';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';
import { KNOWN_KEYS } from '../../../src/shared/config/schema.ts';
import { projectRoot } from '../../harness/project.ts';

/** `# key: value`, `#   - key: value`; sentences have other words before their first colon, or none. */
const SETTING = /^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$/gm;
const EXAMPLE = readFileSync(join(projectRoot, 'deploy/config.example.yml'), 'utf8').replace(SETTING, '$1$2');

/** `services.check.http` of each key that stands in the file; those of maps with any keys are none. */
function keysOf(value: Located, level = ''): string[] {
  if (value.kind === 'list') return value.items.flatMap((item) => keysOf(item, level));
  if (value.kind !== 'map' || !Object.hasOwn(KNOWN_KEYS, level)) return [];
  return [...value.entries].flatMap(([key, entry]) => {
    const path = pathOf(level, key);
    return [path, ...keysOf(entry.value, path)];
  });
}

const pathOf = (level: string, key: string) => (level === '' ? key : `${level}.${key}`);

test('what stands in comments in the example is right, beside the rest', () => {
  expect(parseConfig(EXAMPLE, 'c.yml', 'w1')).toMatchObject({ ok: true, warnings: [] });
});

test('the example has every key there is', () => {
  const known = Object.entries(KNOWN_KEYS).flatMap(([level, keys]) => keys.map((key) => pathOf(level, key)));
  const used = keysOf(parseLocated(EXAMPLE).root).filter((path) => !path.startsWith('x-'));
  expect([...new Set(used)].sort()).toEqual(known.sort());
});
