/** Who may import whom (ARCHITECTURE.md): read from the text of the files, and the reader itself is tried first. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from './harness/project.ts';

interface Import {
  /** Path below `src` of a file of ours, else the module's name. */
  readonly target: string;
  readonly own: boolean;
  /** Nothing of it is left when the program runs. */
  readonly typeOnly: boolean;
}

/** Static imports, re-exports and dynamic imports; comments and strings that look like one do not count. */
function importsOf(file: string, text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  const statement = /^\s*(import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'([^'\n]+)'/gm;
  for (const [, , type, names, specifier] of code.matchAll(statement)) {
    if (specifier !== undefined) found.push(toImport(file, specifier, type !== undefined || onlyTypes(names)));
  }
  for (const [, specifier] of code.matchAll(/\bimport\(\s*'([^'\n]+)'\s*\)/g)) {
    if (specifier !== undefined) found.push(toImport(file, specifier, false));
  }
  return found;
}

/** `{ type A, type B }` */
function onlyTypes(names: string | undefined): boolean {
  const inner = /^\{([\s\S]*)\}$/.exec(names?.trim() ?? '')?.[1];
  const each = inner?.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()])) ?? [];
  return each.length > 0 && each.every((name) => name.startsWith('type '));
}

function toImport(file: string, specifier: string, typeOnly: boolean): Import {
  const own = specifier.startsWith('.');
  return { target: own ? posix.join(posix.dirname(file), specifier) : specifier, own, typeOnly };
}

const SRC = join(projectRoot, 'src');
const files = new Map(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => [name, readFileSync(join(SRC, name), 'utf8')] as const),
);

/** `FILE imports TARGET` for every import that breaks the rule. */
function breaches(among: RegExp, forbidden: (each: Import, file: string) => boolean, sources = files): string[] {
  return [...sources]
    .filter(([file]) => among.test(file))
    .flatMap(([file, text]) =>
      importsOf(file, text)
        .filter((each) => forbidden(each, file))
        .map(({ target }) => `${file} imports ${target}`),
    );
}

/** Files with an import of a module, or of a file within it; declarations of its types do not count. */
function importers(module: string, which: (each: Import) => boolean = () => true): string[] {
  const isOf = (each: Import) => (each.target === module || each.target.startsWith(`${module}/`)) && which(each);
  return [...files].flatMap(([file, text]) =>
    !file.endsWith('.d.ts') && importsOf(file, text).some(isOf) ? [file] : [],
  );
}

/** Decisions: plain functions of their inputs. */
const PURE = [
  'discovery/choose.ts',
  'discovery/hook-labels.ts',
  'discovery/hook-match.ts',
  'discovery/hook-text.ts',
  'discovery/hook-view.ts',
  'discovery/select.ts',
  'discovery/server-text.ts',
  'discovery/template-budget.ts',
  'discovery/template-data.ts',
  'discovery/template-helpers.ts',
  'executor/accept.ts',
  'executor/diff.ts',
  'executor/report.ts',
  'executor/start-conditions.ts',
  'executor/unit-events.ts',
  'health/fill.ts',
  'health/health-state.ts',
  'health/restart-limit.ts',
  'leader/after.ts',
  'leader/asked-moves.ts',
  'leader/assignments.ts',
  'leader/board.ts',
  'leader/brake.ts',
  'leader/decision.ts',
  'leader/hand-over.ts',
  'leader/inputs.ts',
  'leader/joining.ts',
  'leader/place.ts',
  'leader/placement.ts',
  'leader/placement-events.ts',
  'leader/place-healthy.ts',
  'leader/plan.ts',
  'leader/rebalance.ts',
  'leader/relocation.ts',
  'leader/render.ts',
  'leader/settled.ts',
  'leader/verify.ts',
  'leader/why.ts',
  'cli/cluster-status.ts',
  'cli/completion.ts',
  'cli/leader-notes.ts',
  'cli/dead-ends.ts',
  'shared/active-state.ts',
  'shared/attachments.ts',
  'shared/back-off.ts',
  'shared/cluster.ts',
  'shared/isolation-timing.ts',
  'shared/names.ts',
  'shared/prestart-text.ts',
  'shared/runs-nowhere.ts',
  'shared/spec.ts',
  'shared/state.ts',
  'shared/version.ts',
];
const isPure = (file: string) => PURE.includes(file) || /^leader\/(place|verify)\//.test(file);
/** What a pure file may name only as a type. */
const TYPES_FOR_PURE = [
  'discovery/hook-event.ts',
  'discovery/lease.ts',
  'discovery/registration.ts',
  'executor/systemd.ts',
  'shared/history.ts',
  'shared/snapshot.ts',
];
/** What makes the answer depend on more than the input. */
const IMPURE =
  /\b(Date\.now|new Date|Math\.random|performance\.|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|console\.|Promise|async|await|fetch\()/;

const impureWords = (text: string) => IMPURE.exec(text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, ''))?.[0];

describe('the reader of imports', () => {
  it('sees every form of import', () => {
    const text = [
      "import a from 'dbus-next';",
      "import type { B } from './b.ts';",
      'import {\n  c,\n  type D,\n} from "x";'.replaceAll('"', "'"),
      "import { type E, type F } from '../shared/e.ts';",
      "export { g } from './g.ts';",
      "export * from './h.ts';",
      "import './i.ts';",
      "const j = await import('../cli/j.ts');",
    ].join('\n');
    expect(
      importsOf('leader/x.ts', text).map(({ target, typeOnly }) => `${target}${typeOnly ? ' (type)' : ''}`),
    ).toEqual([
      'dbus-next',
      'leader/b.ts (type)',
      'x',
      'shared/e.ts (type)',
      'leader/g.ts',
      'leader/h.ts',
      'leader/i.ts',
      'cli/j.ts',
    ]);
  });

  it('sees none in comments', () => {
    expect(importsOf('x.ts', "/** import a from 'a'; */\n// import b from 'b';\n")).toEqual([]);
  });

  it('finds a breach where there is one', () => {
    const bad = new Map([['shared/x.ts', "import { Leader } from '../leader/leader.ts';"]]);
    expect(breaches(/^shared\//, ({ target }) => target.startsWith('leader/'), bad)).toEqual([
      'shared/x.ts imports leader/leader.ts',
    ]);
  });

  it('finds the clock, randomness and promises in a file, but not in its comments', () => {
    expect(impureWords('const now = Date.now();')).toBe('Date.now');
    expect(impureWords('export async function x() {}')).toBe('async');
    expect(impureWords('/** No Promise here. */ const a = 1; // Math.random')).toBeUndefined();
  });

  it('reads all the source there is', () => {
    expect(files.size).toBeGreaterThan(50);
    for (const file of PURE) expect([...files.keys()]).toContain(file);
    const resolved = breaches(/./, ({ own, target }) => own && !files.has(target));
    expect(resolved).toEqual([]);
  });
});

describe('imports', () => {
  it('of shared: nothing above it', () => {
    expect(breaches(/^shared\//, ({ own, target }) => own && !target.startsWith('shared/'))).toEqual([]);
  });

  it('of the leader: nothing of the executor, nor of what stands above both', () => {
    expect(breaches(/^leader\//, ({ own, target }) => own && !/^(leader|shared)\//.test(target))).toEqual([]);
  });

  it('of the executor: nothing of the leader, nor of what stands above both', () => {
    const forbidden = ({ own, target }: Import) => own && !/^(executor|health|shared)\//.test(target);
    expect(breaches(/^executor\//, forbidden)).toEqual([]);
  });

  it('of health: nothing but shared', () => {
    expect(breaches(/^health\//, ({ own, target }) => own && !/^(health|shared)\//.test(target))).toEqual([]);
  });

  it('of discovery: nothing but shared, so that commands and daemon can use it alike', () => {
    expect(breaches(/^discovery\//, ({ own, target }) => own && !/^(discovery|shared)\//.test(target))).toEqual([]);
  });

  it('of the HTTP interface: of leader, executor and discovery only types, and how registrations are written', () => {
    const forbidden = ({ own, target, typeOnly }: Import) =>
      own &&
      !/^(http|shared)\/|^discovery\/select\.ts$/.test(target) &&
      !(typeOnly && /^(leader|executor|discovery)\//.test(target));
    expect(breaches(/^http\//, forbidden)).toEqual([]);
  });

  it('that wire leader, executor and HTTP interface together: only those of the agent and the daemon', () => {
    const parts = (file: string, text: string) => {
      const values = importsOf(file, text).filter(({ typeOnly }) => !typeOnly);
      return new Set(values.flatMap(({ target }) => /^(leader|executor|http)\//.exec(target)?.[1] ?? []));
    };
    const wiring = [...files].filter(([file, text]) => parts(file, text).size > 1).map(([file]) => file);
    expect(wiring).toEqual(['agent.ts', 'daemon.ts']);
  });

  it('of the agent: only by the daemon', () => {
    expect(importers('agent.ts')).toEqual(['daemon.ts']);
  });

  it('of the client library: nothing but discovery and shared, as it is for programs of others', () => {
    expect(breaches(/^client\.ts$/, ({ own, target }) => own && !/^(discovery|shared)\//.test(target))).toEqual([]);
    expect(importers('client.ts')).toEqual([]);
  });

  it('of the daemon: only by the command line', () => {
    expect(breaches(/./, ({ target }, file) => target === 'daemon.ts' && !file.startsWith('cli'))).toEqual([]);
  });

  it.each(['dbus-next', 'node-zookeeper-client', 'yaml', 'fastify', 'prom-client', 'handlebars'])(
    'of %s stay within one module of ours',
    (module) => {
      const folders: Record<string, RegExp> = {
        'dbus-next': /^executor\/systemd\//,
        'node-zookeeper-client': /^shared\/zookeeper\//,
        yaml: /^shared\/config\//,
        fastify: /^(http\/|daemon\.ts)/,
        'prom-client': /^http\//,
        handlebars: /^discovery\/template-render\.ts$/,
      };
      const found = importers(module);
      expect(found.length).toBeGreaterThan(0);
      expect(found.filter((file) => !folders[module]?.test(file))).toEqual([]);
    },
  );

  it.each(['dbus-next', 'node-zookeeper-client'])('of the code of %s are in one file only', (module) => {
    expect(importers(module, ({ typeOnly }) => !typeOnly)).toHaveLength(1);
  });

  it.each(['node:https', 'node:tls', 'node:http2', 'node:zlib', 'node:cluster', 'node:inspector'])(
    'of %s: none, as the daemon would keep it in memory from its start (process.getBuiltinModule loads it when it is used)',
    (module) => {
      expect(importers(module)).toEqual([]);
      expect(importers(module.replace('node:', ''))).toEqual([]);
    },
  );

  it('name the file with its ending', () => {
    expect(breaches(/./, ({ own, target }) => own && !target.endsWith('.ts'))).toEqual([]);
  });
});

describe('a pure file', () => {
  const pure = [...files.keys()].filter(isPure);

  it.each(pure)('%s imports only pure files, and types', (file) => {
    const only = new RegExp(`^${file.replaceAll('.', '\\.')}$`);
    const forbidden = ({ target, typeOnly }: Import) =>
      !isPure(target) && !(typeOnly && TYPES_FOR_PURE.includes(target));
    expect(breaches(only, forbidden)).toEqual([]);
  });

  it.each(pure)('%s knows no clock, no chance, no promise and no input or output', (file) => {
    expect(impureWords(files.get(file) ?? '')).toBeUndefined();
  });
});
