import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostIntent, Member } from '../../src/shared/cluster.ts';
import * as payloads from '../../src/shared/payloads.ts';
import type { Service, SpecRecord } from '../../src/shared/spec.ts';
import { ACTIVE_STATES, type Desired, type Observed, type Why } from '../../src/shared/state.ts';

const epoch = fc.nat();
const host = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{1,5})?$/);
const name = fc.stringMatching(/^[A-Za-z0-9:_.\\-]{1,20}$/);
const key = fc.stringMatching(/^[A-Za-z0-9:.\\@-]{1,10}$/);
const unit = fc.oneof(
  name.map((stem) => `${stem}.service`),
  fc.tuple(name, key).map(([stem, instance]) => `${stem}@${instance}.service`),
);
const isolation = fc.constantFrom('keep' as const, 'stop' as const);
const text = fc.string({ unit: 'grapheme' });
/** JSON has no lone surrogates in UTF-8, and objects no own `__proto__` in our payloads. */
const label = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,10}$/);

const why: fc.Arbitrary<Why> = fc.oneof(
  fc.constantFrom('kept', 'adopted', 'every-host', 'least-loaded', 'forced').map((kind) => ({ kind }) as const),
  fc.record({
    kind: fc.constant('moved' as const),
    from: host,
    because: fc.oneof(
      fc.constantFrom('host-lost', 'surplus').map((kind) => ({ kind }) as const),
      fc.record({ kind: fc.constant('excluded' as const), reason: fc.constantFrom('failed', 'exclusive', 'held') }),
      fc.record({ kind: fc.constant('displaced' as const), by: unit }),
    ),
  }),
);
const desired: fc.Arbitrary<Desired> = fc.record({
  host,
  epoch,
  generation: epoch,
  spec: text,
  units: fc.array(
    fc.record(
      {
        unit,
        service: name,
        isolation,
        why,
        prestart: fc.record({ script: text, values: fc.dictionary(label, fc.array(host)) }),
      },
      { requiredKeys: ['unit', 'service', 'isolation', 'why'] },
    ),
  ),
});
const observed: fc.Arbitrary<Observed> = fc.record(
  {
    host,
    epoch,
    generation: epoch,
    refused: text,
    units: fc.array(
      fc.record(
        {
          unit,
          load: fc.constantFrom('loaded', 'not-found', 'masked', 'bad-setting', 'error', 'stub'),
          active: fc.constantFrom(...ACTIVE_STATES),
          sub: text,
          failure: fc.record({ kind: fc.constantFrom('failed', 'prestart', 'start-timeout', 'masked'), message: text }),
          waiting: text,
        },
        { requiredKeys: ['unit', 'load', 'active', 'sub'] },
      ),
    ),
  },
  { requiredKeys: ['host', 'epoch', 'generation', 'units'] },
);
const member: fc.Arbitrary<Member> = fc.record({
  host,
  machineId: text,
  address: text,
  url: text,
  labels: fc.dictionary(label, text),
  software: text,
  file: text,
  election: text,
});
const intent: fc.Arbitrary<HostIntent> = fc.record({
  host,
  state: fc.constantFrom('cordoned', 'draining'),
  since: text,
  why: text,
});
const common = { name, enabled: fc.boolean(), isolation, prestart: text };
const required: ['name', 'enabled', 'isolation', 'type'] = ['name', 'enabled', 'isolation', 'type'];
const service: fc.Arbitrary<Service> = fc.oneof(
  fc.record({ ...common, type: fc.constant('global' as const) }, { requiredKeys: required }),
  fc.record(
    { ...common, type: fc.constant('shared' as const), count: epoch },
    { requiredKeys: [...required, 'count'] },
  ),
  fc.record(
    {
      ...common,
      type: fc.constant('multi' as const),
      instances: fc.dictionary(key, epoch),
      force: fc.dictionary(key, host),
      exclusive: fc.boolean(),
    },
    { requiredKeys: [...required, 'instances', 'force', 'exclusive'] },
  ),
);
const specRecord: fc.Arbitrary<SpecRecord> = fc.record({
  spec: fc.record({
    services: fc.array(service),
    brake: fc.record({ above: fc.constantFrom(0, 0.25, 0.5, 1), atLeast: epoch, holdMs: epoch }),
  }),
  digest: text,
  proposedBy: text,
  at: text,
  earlier: fc.array(text),
});

/** Ties a type's generator, encoder and decoder together, whatever the type. */
function kind<T>(
  title: string,
  values: fc.Arbitrary<T>,
  encode: (value: T) => Buffer,
  decode: (data: Buffer, path: string) => payloads.Decoded<T>,
) {
  return {
    title,
    decode: (data: Buffer, path: string): payloads.Decoded<unknown> => decode(data, path),
    roundTrip: () =>
      fc.assert(
        fc.property(values, (value) => {
          expect(decode(encode(value), '/p')).toEqual({ ok: true, value: plain(value) });
        }),
      ),
    /** Every value with one place of its JSON replaced by something else. */
    damaged: fc.tuple(values, fc.nat(), fc.jsonValue()).map(([value, place, other]) => {
      const json: unknown = JSON.parse(encode(value).toString());
      return Buffer.from(JSON.stringify(replaceAt(json, { left: place % 12 }, other)));
    }),
  };
}

/** What JSON keeps of a value; fast-check makes objects without a prototype. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function replaceAt(json: unknown, counter: { left: number }, other: unknown): unknown {
  if (counter.left-- === 0) return other;
  if (Array.isArray(json)) return json.map((item) => replaceAt(item, counter, other));
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([k, v]) => [k, replaceAt(v, counter, other)]));
}

const kinds = [
  kind('desired', desired, payloads.encodeDesired, payloads.decodeDesired),
  kind('observed', observed, payloads.encodeObserved, payloads.decodeObserved),
  kind('member', member, payloads.encodeMember, payloads.decodeMember),
  kind('intent', intent, payloads.encodeHostIntent, payloads.decodeHostIntent),
  kind('spec', specRecord, payloads.encodeSpecRecord, payloads.decodeSpecRecord),
  kind('epoch', fc.record({ epoch, leader: host }), payloads.encodeEpoch, payloads.decodeEpoch),
  kind('election', fc.record({ host, machineId: text }), payloads.encodeElectionEntry, payloads.decodeElectionEntry),
];

describe.each(kinds)('payload $title', ({ decode, roundTrip, damaged }) => {
  test('comes back as it was written', () => {
    roundTrip();
  });

  test('arbitrary bytes are a problem that names the path, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decode(Buffer.from(bytes), '/some/path');
        expect(decoded.ok ? '' : decoded.problem).toMatch(/^\/some\/path /);
      }),
    );
  });

  test('arbitrary JSON, with the right version too, is a problem that names the path, never an exception', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (json, versioned) => {
        const whole = versioned && typeof json === 'object' && !Array.isArray(json) ? { ...json, version: 1 } : json;
        const decoded = decode(Buffer.from(JSON.stringify(whole)), '/some/path');
        expect(decoded.ok ? '' : decoded.problem).toMatch(/^\/some\/path .+; it is ignored$/s);
      }),
    );
  });

  test('a payload that is damaged in one place is either refused or still a valid one', () => {
    fc.assert(
      fc.property(damaged, (data) => {
        const decoded = decode(data, '/p');
        if (!decoded.ok) return;
        const again = decode(Buffer.from(JSON.stringify({ version: 1, ...Object(decoded.value) })), '/p');
        expect(again).toEqual(decoded);
      }),
    );
  });
});
