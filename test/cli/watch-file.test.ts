import { describe, expect, it } from 'vitest';
import { parseWatchFile } from '../../src/cli/watch-file.ts';

const HERE = { host: 'w1', address: 'w1' };

function problems(source: string): string[] {
  const parsed = parseWatchFile(source, HERE);
  return parsed.ok ? [] : parsed.problems.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

describe('a file of checks', () => {
  it('has one list item for each, with the options as keys', () => {
    const parsed = parseWatchFile(
      `
- label: web
  service-id: web-1
  monitor-url: http://127.0.0.1:80/
  service-info: {zone: a}
- {label: web, service-id: web-2, exec: [/bin/true, -x], interval: 1s}
`,
      HERE,
    );
    expect(
      parsed.ok && parsed.checks.map(({ registration, probe }) => [registration.id, registration.info, probe]),
    ).toEqual([
      ['w1:web-1', { zone: 'a' }, { kind: 'http', url: 'http://127.0.0.1:80/' }],
      ['w1:web-2', undefined, { kind: 'exec', command: ['/bin/true', '-x'] }],
    ]);
  });

  it.each([
    ['', '1:1: write a list of checks'],
    ['[]', '1:1: write a list of checks'],
    ['label: web', '1:1: write a list of checks'],
    ['- {label: web', 'not valid YAML'],
    ['- text', '1:3: write a list of checks'],
    ['- {label: web, service-id: a, tcp: "x:1", inteval: 1}', '1:43: inteval is no key here; did you mean interval?'],
    ['- {label: web, service-id: a, tcp: "x:1", port: [1]}', '1:43: port is not understood; write a text'],
    ['- {label: a/b, service-id: a, tcp: "x:1"}', '1:4: label is "a/b"'],
    ['- {label: web, service-id: a}', '1:3: monitor-url is missing'],
    ['- &a {label: web, service-id: a, tcp: "x:1"}\n- *a', 'web has this service-id already'],
  ])('is refused with the place of what is wrong: %j', (source, expected) => {
    expect(problems(source)).toEqual([expect.stringContaining(expected)]);
  });

  it('tells all that is wrong at once, in the order of the file', () => {
    const found = problems('- {label: a/b, service-id: a, tcp: x}\n- {label: web, service-id: "", tcp: "x:1"}\n');
    expect(found.map((problem) => problem.split(':')[0])).toEqual(['1', '1', '2']);
  });

  it('does not hold more than one process can watch', () => {
    const item = (n: number) => `- {label: web, service-id: n${n}, tcp: "x:1"}\n`;
    const file = (count: number) => Array.from({ length: count }, (_, n) => item(n)).join('');
    expect(problems(file(1_000))).toEqual([]);
    expect(problems(file(1_001))).toEqual([expect.stringContaining('1001 checks are more than the 1000')]);
  });
});
