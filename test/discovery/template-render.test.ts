/** What templates are rendered from, what they can do, and how mistakes in them are told. */
import { describe, expect, it } from 'vitest';
import type { Registration } from '../../src/discovery/registration.ts';
import { templateData } from '../../src/discovery/template-data.ts';
import { MAX_RENDERED_BYTES, renderTemplate } from '../../src/discovery/template-render.ts';

function entry(id: string, more: Partial<Registration> = {}): Registration {
  return { label: 'web', id, host: id, address: id, port: 80, healthy: true, source: 'service', ...more };
}

const DATA = templateData({
  host: 'w2',
  address: '10.0.0.2',
  members: [
    { host: 'w2', address: '10.0.0.2', labels: { rack: 'b' } },
    { host: 'w1', address: '10.0.0.1', labels: { rack: 'c' } },
  ],
  registrations: [
    entry('w2', { role: 'front', port: 90 }),
    entry('w1', { role: 'back', port: 100, info: { zone: 'a' } }),
    entry('m1', { label: 'mqtt' }),
  ],
  desired: [
    { host: 'w2', units: [{ unit: 'web.service', service: 'web', isolation: 'keep', why: { kind: 'kept' } }] },
    {
      host: 'w1',
      units: [
        { unit: 'web.service', service: 'web', isolation: 'keep', why: { kind: 'kept' } },
        { unit: 'gone.service', service: 'gone', isolation: 'keep', why: { kind: 'kept' }, withdrawn: true },
      ],
    },
  ],
  leases: [
    {
      label: 'db',
      holder: { id: 'a', host: 'w1', since: '2026-01-01T00:00:00.000Z', timeoutMs: 300_000 },
      waiters: [],
    },
    {
      label: 'cache',
      waiters: [
        { id: 'c', host: 'w2' },
        { id: 'b', host: 'w1' },
      ],
    },
  ],
});
const render = (text: string, data = DATA) => renderTemplate('/etc/x.tpl', text, data);

describe('the data of templates', () => {
  it('has members, registrations by label and in one list, placements and leases, all sorted', () => {
    expect(DATA.members.map(({ host }) => host)).toEqual(['w1', 'w2']);
    expect(Object.keys(DATA.discovery)).toEqual(['mqtt', 'web']);
    expect(DATA.services.map(({ label, id }) => `${label}/${id}`)).toEqual(['mqtt/m1', 'web/w1', 'web/w2']);
    expect(DATA.placements).toEqual({ 'web.service': ['w1', 'w2'] });
    expect(Object.keys(DATA.leases)).toEqual(['cache', 'db']);
  });

  it('has backends in the words of templates that were written for Serf, none included', async () => {
    const template = 'backend nodes\n{{#each addresses}}\n  server {{ host }} {{ ip }}:3000 check\n{{/each}}\n';
    const member = (host: string, role: string) => ({ host, address: `10.0.0.${host.slice(1)}`, labels: { role } });
    const nothing = { host: 'w9', address: '10.0.0.9', registrations: [], desired: [], leases: [] };
    const members = [member('w2', 'backend'), member('w9', 'balancer'), member('w1', 'backend')];
    expect(await render(template, templateData({ ...nothing, members }))).toEqual({
      ok: true,
      text: 'backend nodes\n  server w1 10.0.0.1:3000 check\n  server w2 10.0.0.2:3000 check\n',
    });
    expect(await render(template)).toEqual({ ok: true, text: 'backend nodes\n' });
  });

  it('has this host and its address in the words of templates that were written for Serf', async () => {
    const template = 'Container {{ name }} has joined the network with the following IP address: {{ ip }}\n';
    expect(await render(template)).toEqual({
      ok: true,
      text: 'Container w2 has joined the network with the following IP address: 10.0.0.2\n',
    });
    // of another one where a list is gone through: theirs, or none
    expect(await render('{{#each members}}{{name}}{{ip}}{{/each}}{{#each members}}{{@root.ip}} {{/each}}')).toEqual({
      ok: true,
      text: '10.0.0.2 10.0.0.2 ',
    });
  });

  it('holds no control characters, whatever was registered', async () => {
    const evil = 'x\n  server evil 6.6.6.6:80\r\u2028\u0085';
    const cleaned = templateData({
      host: 'w1',
      address: 'w1',
      members: [{ host: 'w1', address: evil, labels: { [evil]: evil } }],
      registrations: [
        entry(evil, { address: evil, role: evil, info: { [evil]: evil, deep: { list: [evil, { [evil]: 1 }] } } }),
      ],
      desired: [],
      leases: [
        {
          label: 'db',
          holder: { id: evil, host: evil, address: evil, since: evil, timeoutMs: 1 },
          waiters: [{ id: evil, host: evil }],
        },
      ],
    });
    expect(JSON.stringify(cleaned)).not.toMatch(/\\[nru]|\p{Cc}|[\u2028\u2029]/u);
    const rendered = await render('{{#each services}}{{role}} {{json info}}{{/each}}', cleaned);
    expect(rendered.ok && rendered.text.split(/[\n\r\u2028\u0085]/)).toHaveLength(1);
  });

  it('is cut where values lie deeper than any template looks', () => {
    const info: Registration['info'] = { deep: JSON.parse(`${'['.repeat(3000)}1${']'.repeat(3000)}`) };
    const { services } = templateData({
      host: 'w1',
      address: 'w1',
      members: [],
      registrations: [entry('w1', { info })],
      desired: [],
      leases: [],
    });
    expect(JSON.stringify(services).length).toBeLessThan(300);
  });
});

describe('a template', () => {
  it.each([
    ['{{host}} {{members.length}}', 'w2 2'],
    ['{{#each (sort-by members "labels.rack")}}{{host}} {{/each}}', 'w2 w1 '],
    ['{{#each (sort-by discovery.web "port")}}{{port}} {{/each}}', '90 100 '],
    ['{{#each (where discovery.web "role" "back")}}{{id}}:{{info.zone}}{{/each}}', 'w1:a'],
    ['{{#each (where discovery.none "role" "back")}}x{{else}}none{{/each}}', 'none'],
    ['{{join (lookup placements "web.service") ", "}}', 'w1, w2'],
    ['{{default nothing "instead"}} {{default host "instead"}}', 'instead w2'],
    ['{{#if (eq host "w2")}}a{{/if}}{{#if (ne host "w2")}}b{{/if}}', 'a'],
    ['{{and host ""}} {{or "" host}} {{not host}} {{and members discovery.none}}', 'false true false false'],
    ['{{leases.db.holder.id}} on {{leases.db.holder.host}}, {{leases.db.waiters.length}} wait', 'a on w1, 0 wait'],
    ['{{#each leases.cache.waiters}}{{id}} {{/each}}{{#if leases.cache.holder}}held{{/if}}', 'c b '],
    ['{{#each leases}}{{@key}} {{/each}}{{#if leases.none}}x{{/if}}', 'cache db '],
    ['[{{nosuch}}{{nosuch.deeper}}{{#if nosuch}}x{{/if}}]', '[]'],
    ['{{json discovery.web.[0].info}}', '{"zone":"a"}'],
    ['{{upper host}} {{lower "AB"}} {{upper nothing}}', 'W2 ab '],
    ['<{{default "" "a&b<\'"}}>', "<a&b<'>"],
    [
      '[{{constructor}}{{host.constructor}}{{members.__proto__}}{{#with (lookup members "constructor")}}{{name}}{{/with}}]',
      '[]',
    ],
  ])('%s renders to %s', async (text, expected) => {
    expect(await render(text)).toEqual({ ok: true, text: expected });
  });

  it.each([
    ['a\n{{#each members}}\n{{/if}}\n', /^\/etc\/x\.tpl:2:\d+: each doesn't match if$/],
    ['a\n  {{#if}}x', /^\/etc\/x\.tpl:2:\d+: /],
    ['{{/if}}', /^\/etc\/x\.tpl:1:1: it cannot be parsed/],
    ['x\n\n {{nosuch host}}', /^\/etc\/x\.tpl:3:2: there is no helper nosuch; there are sort-by, where/],
    ['{{log host}}', /^\/etc\/x\.tpl:1:1: there is no helper log/],
    ['a\nb {{join host ","}}', /^\/etc\/x\.tpl:2:3: this is no list; write \(join LIST "separator"\)$/],
    ['{{upper}}', /^\/etc\/x\.tpl(:1:1)?: /],
    ['{{eq host}}', /^\/etc\/x\.tpl:1:1: eq has 1 values; write \(eq A B\)$/],
    ['{{#*inline "a"}}{{> a}}{{/inline}}{{> a}}', /^\/etc\/x\.tpl: Maximum call stack/],
  ])('%j is a mistake that is told with its place', async (text, problem) => {
    expect(await render(text)).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });

  it('that renders to more than 4 MiB is refused', async () => {
    const half = 'x'.repeat(MAX_RENDERED_BYTES / 2 + 1);
    expect(await render(half + half)).toEqual({
      ok: false,
      problem: `/etc/x.tpl: it renders to ${MAX_RENDERED_BYTES + 2} bytes; ${MAX_RENDERED_BYTES} are the most`,
    });
    expect(await render(`a\n {{#each members}}${half}{{/each}}`)).toEqual({
      ok: false,
      problem: `/etc/x.tpl:2:2: this renders to more than ${MAX_RENDERED_BYTES} bytes`,
    });
  });

  it.each([
    ['each within each', '{{#each @root.members}}', '{{/each}}', 30],
    ['blocks of lists', '{{#@root.members}}', '{{/@root.members}}', 30],
    ['helpers of long lists', '{{#each @root.members}}{{#if (sort-by @root.services "id")}}', '{{/if}}{{/each}}', 20],
  ])('ends where it would take for ever: %s', async (_what, open, close, depth) => {
    const begun = performance.now();
    const rendered = await render(`${open.repeat(depth)}x${close.repeat(depth)}`);
    expect(rendered.ok).toBe(false);
    expect(rendered).toEqual({
      ok: false,
      problem: expect.stringMatching(/^\/etc\/x\.tpl:1:\d+: it takes more than 200000 steps: there are too many lists/),
    });
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  it('may be of ten thousand registrations, some times', async () => {
    const many = templateData({
      host: 'w1',
      address: 'w1',
      members: [],
      registrations: Array.from({ length: 10_000 }, (_, n) => entry(`w${n}`, { role: n % 2 === 0 ? 'a' : 'b' })),
      desired: [],
      leases: [],
    });
    const list = '{{#each (sort-by (where discovery.web "role" "a") "id")}}{{id}} {{address}}:{{port}}\n{{/each}}';
    const rendered = await render(list.repeat(8), many);
    expect(rendered.ok && rendered.text.split('\n')).toHaveLength(40_001);
  });
});
