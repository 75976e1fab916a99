import { describe, expect, it } from 'vitest';
import { readWatch, type WatchCheck, type WatchText } from '../../src/discovery/watch-check.ts';

const HERE = { host: 'w1', address: '198.18.0.1' };
const GOOD: WatchText = { label: 'web', 'service-id': 'web-1', 'monitor-url': 'http://127.0.0.1:9200/' };

function check(text: WatchText): WatchCheck {
  const read = readWatch(text, HERE);
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  return read.check;
}
const faults = (text: WatchText) => {
  const read = readWatch(text, HERE);
  return read.ok ? [] : read.faults.map(({ key, what }) => `${key} ${what}`);
};

describe('what is to be watched', () => {
  it('has defaults for all but label, id and probe', () => {
    expect(check(GOOD)).toEqual({
      serviceId: 'web-1',
      probe: { kind: 'http', url: 'http://127.0.0.1:9200/' },
      pauseMs: 3_000,
      timeoutMs: 2_000,
      healthyAfter: 1,
      unhealthyAfter: 1,
      registration: { label: 'web', id: 'w1:web-1', host: 'w1', address: '198.18.0.1', healthy: true, source: 'watch' },
    });
  });

  it('is registered with all that was given', () => {
    const more = { 'host-ip': 'fd00::1', port: '9300', role: 'data', 'service-info': 'zone=a, rack=b=c' };
    expect(check({ ...GOOD, ...more }).registration).toMatchObject({
      address: 'fd00::1',
      port: 9_300,
      role: 'data',
      info: { zone: 'a', rack: 'b=c' },
    });
  });

  it('takes info as JSON, as it is', () => {
    const info = '{"http_port": 9200, "names": ["a"], "deep": {"b": null}}';
    expect(check({ ...GOOD, 'service-info': info }).registration.info).toEqual(JSON.parse(info));
  });

  it('shows a failure within one interval: what a probe may take is part of it', () => {
    for (const interval of ['300ms', '1', '5s', '1m']) {
      const { pauseMs, timeoutMs } = check({ ...GOOD, interval });
      expect(timeoutMs).toBeGreaterThan(0);
      expect(pauseMs + timeoutMs, interval).toBe(
        { '300ms': 300, '1': 1_000, '5s': 5_000, '1m': 60_000 }[interval] ?? Number.NaN,
      );
    }
  });

  it.each<[string, WatchText, WatchCheck['probe']]>([
    ['a port', { tcp: '127.0.0.1:1883' }, { kind: 'tcp', address: '127.0.0.1:1883' }],
    ['a port of IPv6', { tcp: '[::1]:1883' }, { kind: 'tcp', address: '[::1]:1883' }],
    ['words', { exec: ['/bin/check', '-v', 'a b'] }, { kind: 'exec', command: ['/bin/check', '-v', 'a b'] }],
    ['one text', { exec: ["/bin/check -v 'a b'"] }, { kind: 'exec', command: ['/bin/check', '-v', 'a b'] }],
    ['https', { 'monitor-url': 'https://x/y?z' }, { kind: 'http', url: 'https://x/y?z' }],
  ])('probes %s', (_what, probe, expected) => {
    const { 'monitor-url': _, ...rest } = GOOD;
    expect(check({ ...rest, ...probe }).probe).toEqual(expected);
  });

  it.each<[WatchText, string]>([
    [{ label: 'a/b' }, 'label is "a/b"; write'],
    [{ label: 'a\nb' }, 'label is "a\\nb"; write'],
    [{ label: '..' }, 'label is ".."'],
    [{ 'service-id': 'a b' }, 'service-id is "a b"'],
    [{ 'service-id': 'a/b' }, 'service-id is "a/b"'],
    [{ 'service-id': '' }, 'service-id is ""'],
    [{ tcp: 'x:1' }, 'monitor-url stands beside tcp'],
    [{ 'monitor-url': 'ftp://x' }, 'monitor-url is "ftp://x"'],
    [{ 'monitor-url': 'http://' }, 'monitor-url is "http://"'],
    [{ 'monitor-url': undefined, tcp: 'x' }, 'tcp is "x"'],
    [{ 'monitor-url': undefined, tcp: 'x:70000' }, 'tcp is "x:70000"'],
    [{ 'monitor-url': undefined, tcp: '::1:80' }, 'tcp is "::1:80"'],
    [{ 'monitor-url': undefined, exec: '' }, 'exec names no program'],
    [{ 'monitor-url': undefined, exec: '"' }, 'exec has a quote'],
    [{ 'monitor-url': undefined }, 'monitor-url is missing; write one of monitor-url, tcp and exec'],
    [{ interval: '0' }, 'interval is "0"'],
    [{ interval: '1s', timeout: '1s' }, 'interval is 1000 ms; it must be 100 ms longer than the timeout'],
    [{ timeout: 'soon' }, 'timeout is "soon"'],
    [{ 'healthy-after': '0' }, 'healthy-after is "0"'],
    [{ 'unhealthy-after': '1.5' }, 'unhealthy-after is "1.5"'],
    [{ 'host-ip': 'a b' }, 'host-ip is "a b"'],
    [{ port: '0' }, 'port is "0"'],
    [{ role: 'a\nb' }, 'role is "a\\nb"'],
    [{ 'service-info': '{"a"' }, 'service-info is "{\\"a\\"", which begins like JSON'],
    [{ 'service-info': 'a=1,b' }, 'service-info has "b"; write a JSON object, or key=value'],
  ])('is refused with what is wrong: %j', (change, expected) => {
    expect(faults({ ...GOOD, ...change })).toEqual([expect.stringContaining(expected)]);
  });

  it('is refused with all that is wrong at once', () => {
    expect(faults({ tcp: 'x:1' }).map((fault) => fault.split(' ')[0])).toEqual(['label', 'service-id']);
  });

  it('is refused when its info is more than readers should be given', () => {
    const fill = (bytes: number) => ({ ...GOOD, 'service-info': { a: 'x'.repeat(bytes) } });
    expect(faults(fill(64 * 1024 - 8))).toEqual([]);
    expect(faults(fill(64 * 1024 - 7))).toEqual([
      expect.stringContaining('service-info takes 65 KiB, more than the 64'),
    ]);
    expect(faults(fill(2 * 1024 * 1024))).toEqual([expect.stringContaining('takes 2049 KiB')]);
  });
});
