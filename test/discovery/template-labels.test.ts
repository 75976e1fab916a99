import fc from 'fast-check';
import Handlebars from 'handlebars';
import { describe, expect, it } from 'vitest';
import type { Registration } from '../../src/discovery/registration.ts';
import { templateData } from '../../src/discovery/template-data.ts';
import { labelsSeenBy } from '../../src/discovery/template-labels.ts';
import { renderTemplate, templateLabels } from '../../src/discovery/template-render.ts';

describe('the labels that a template can see', () => {
  it.each<[string, string[] | 'all']>([
    ['global\n  maxconn 100\n', []],
    ['{{host}} {{#each members}}{{host}} {{address}}{{/each}}', []],
    ['{{#each discovery.web}}{{id}} {{address}}:{{port}} {{this.host}} {{@index}}{{/each}}', ['web']],
    ['{{#each (sort-by (where discovery.web "role" "backend") "id")}}{{json this}}{{/each}}', ['web']],
    [
      '{{#each discovery.[my-label]}}{{id}}{{else}}{{#each discovery.api}}{{id}}{{/each}}{{/each}}',
      ['my-label', 'api'],
    ],
    ['{{#each (lookup discovery "web")}}{{id}}{{/each}}', ['web']],
    [
      '{{#each members}}{{#each ../discovery.web}}{{id}}{{/each}}{{#each @root.discovery.api}}{{id}}{{/each}}{{/each}}',
      ['web', 'api'],
    ],
    ['{{#if discovery.web}}{{#with discovery.web.[0]}}{{json this}}{{/with}}{{/if}}', ['web']],
    ['{{#each discovery.web as |server|}}{{server.id}}{{/each}}', ['web']],
    ['{{json (lookup placements "web.service")}}{{default discovery.x discovery.y}}', ['x', 'y']],
    ['{{#each (lookup placements "web.service")}}{{this}}{{.}}{{/each}}', []],
    ['{{! discovery.web }}discovery.api', []],
    // what is no label, nothing is registered under
    ['{{discovery.[a/b]}}', []],
    ['{{#each services}}{{id}}{{/each}}', 'all'],
    ['{{#each discovery}}{{@key}}{{/each}}', 'all'],
    ['{{#each members}}{{#each (lookup ../discovery host)}}{{id}}{{/each}}{{/each}}', 'all'],
    ['{{#each (lookup discovery host)}}{{id}}{{/each}}', 'all'],
    ['{{json this}}', 'all'],
    ['{{json @root}}', 'all'],
    ['{{#if host}}{{json .}}{{/if}}', 'all'],
    ['{{#with this}}{{#with this}}{{json this}}{{/with}}{{/with}}', 'all'],
    ['{{#each members}}{{json ..}}{{/each}}', 'all'],
    ['{{#each discovery.web}}{{else}}{{json this}}{{/each}}', 'all'],
    ['{{#each (lookup this "services")}}{{id}}{{/each}}', 'all'],
    ['{{#each @root}}{{json this}}{{/each}}', 'all'],
    ['{{#*inline "x"}}{{id}}{{/inline}}{{#each members}}{{> x}}{{/each}}', 'all'],
  ])('of %j are %j', (text, expected) => {
    const seen = labelsSeenBy(Handlebars.parse(text));
    expect(seen === 'all' ? seen : [...seen]).toEqual(expected);
  });

  it('of one that cannot be parsed are none', async () => {
    expect(await templateLabels('{{#each discovery.web}}')).toEqual(new Set());
  });

  it('are all that it takes to render it: what is registered under others changes nothing', async () => {
    const expression = fc.constantFrom(
      'discovery.a',
      'discovery.b',
      '@root.discovery.c',
      '../discovery.b',
      '(lookup discovery "c")',
      '(lookup discovery host)',
      '(where discovery.a "host" host)',
      'discovery',
      'services',
      'members',
      'this',
      '@root',
      '..',
    );
    const { template } = fc.letrec<{ template: string; part: string }>((tie) => ({
      template: fc.array(tie('part'), { maxLength: 3 }).map((parts) => parts.join('')),
      part: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        expression.map((each) => `{{json ${each}}}`),
        fc.constantFrom('{{id}}', '{{this.host}}', '{{discovery.a.0.id}}', '{{../id}}', 'text'),
        fc
          .tuple(fc.constantFrom('each', 'with', 'if', 'unless'), expression, tie('template'), tie('template'))
          .map(([block, what, then, otherwise]) => `{{#${block} ${what}}}${then}{{else}}${otherwise}{{/${block}}}`),
      ),
    }));
    const ids = fc.uniqueArray(fc.constantFrom('w1', 'w2', 'w3'), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(template, fc.record({ a: ids, b: ids, c: ids, w1: ids }), async (text, registered) => {
        const labels = await templateLabels(text);
        const entries = Object.entries(registered).flatMap(([label, hosts]) => hosts.map((id) => entry(label, id)));
        const seen = entries.filter(({ label }) => labels === 'all' || labels.has(label));
        expect(await render(text, seen)).toEqual(await render(text, entries));
      }),
      { numRuns: 300 },
    );
  });
});

function entry(label: string, id: string): Registration {
  return { label, id, host: id, address: id, healthy: true, source: 'service' };
}

function render(text: string, registrations: readonly Registration[]) {
  const members = ['w1', 'w2'].map((host) => ({ host, address: host, labels: {} }));
  const data = templateData({ host: 'w1', address: 'w1', members, registrations, desired: [], leases: [] });
  return renderTemplate('x', text, data);
}
