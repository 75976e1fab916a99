import { describe, expect, it } from 'vitest';
import type { JournalFields } from '../../src/shared/journal.ts';
import { createLogger, type LoggerOptions } from '../../src/shared/log.ts';

function logger(format: LoggerOptions['format'], debug = true) {
  const lines: string[] = [];
  return { lines, log: createLogger({ write: (line) => void lines.push(line), format, debug }) };
}

describe('a log for the journal', () => {
  it('gives each level its priority, as sd-daemon(3) asks', () => {
    const { lines, log } = logger('journal');
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('it happened');
    expect(lines).toEqual(['<7>it happened', '<6>it happened', '<4>it happened', '<3>it happened']);
  });

  it('appends fields, quoted where they are no plain word, and leaves undefined ones out', () => {
    const { lines, log } = logger('journal');
    log.info('moved', { unit: 'a@1.service', epoch: 3, why: 'it said "no"', healthy: false, to: undefined });
    expect(lines).toEqual(['<6>moved unit=a@1.service epoch=3 why="it said \\"no\\"" healthy=false']);
  });

  it.each([
    ['a new line', 'a\n<3>forged', '<6>a\\n<3>forged'],
    ['a carriage return', 'a\rb', '<6>a\\x0db'],
    ['an escape sequence', 'a\u001b[31mb', '<6>a\\x1b[31mb'],
    ['a control character of 8 bits', 'a\u009bb', '<6>a\\x9bb'],
    ['a null byte', 'a\0b', '<6>a\\x00b'],
  ])('keeps an event with %s on one line, without it', (_what, message, expected) => {
    const { lines, log } = logger('journal');
    log.info(message);
    expect(lines).toEqual([expected]);
  });

  it('hands events to whoever gives them fields of their own, and nothing else', () => {
    const [lines, entries]: [string[], [JournalFields, string][]] = [[], []];
    const journal = { write: (fields: JournalFields, line: string) => void entries.push([fields, line]) };
    const log = createLogger({ write: (line) => void lines.push(line), format: 'journal', debug: true, journal });
    log.info('an ordinary line', { unit: 'a.service' });
    log.warn('a.service failed\nPRIORITY=0', { event: 'failed', unit: 'a.service', machineId: 'x\ny', to: undefined });
    expect(lines).toEqual(['<6>an ordinary line unit=a.service']);
    expect(entries).toEqual([
      [
        [
          ['MESSAGE', 'a.service failed\\nPRIORITY=0'],
          ['PRIORITY', '4'],
          ['SYSLOG_IDENTIFIER', 'servicewatcher'],
          ['OBJECT_PID', String(process.pid)],
          ['SERVICEWATCHER_EVENT', 'failed'],
          ['SERVICEWATCHER_UNIT', 'a.service'],
          ['SERVICEWATCHER_MACHINE_ID', 'x\\ny'],
        ],
        '<4>a.service failed\\nPRIORITY=0 event=failed unit=a.service machineId="x\\ny"',
      ],
    ]);
  });

  it.each(['\n', '\r', '\u001b', '\u007f', '\u009b', '\u2028'])('keeps %j out of fields', (character) => {
    const { lines, log } = logger('journal');
    log.info('x', { who: `a${character}b` });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain(character);
    expect(lines[0]).toMatch(/^<6>x who="a\\.*b"$/);
  });
});

describe('a log in other forms', () => {
  it('names the level for a terminal', () => {
    const { lines, log } = logger('terminal');
    log.warn('careful');
    log.error('broken');
    expect(lines).toEqual(['warn  careful', 'error broken']);
  });

  it('is one object a line as JSON', () => {
    const { lines, log } = logger('json');
    log.info('two\nlines', { epoch: 3, to: undefined });
    expect(lines).toEqual(['{"level":"info","message":"two\\nlines","epoch":3}']);
  });

  it.each(['journal', 'terminal', 'json'] as const)('as %s leaves debug out unless it is asked for', (format) => {
    const { lines, log } = logger(format, false);
    log.debug('detail');
    expect(lines).toEqual([]);
    log.info('event');
    expect(lines).toHaveLength(1);
  });
});
