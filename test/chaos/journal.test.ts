import { describe, expect, it } from 'vitest';
import { readJournal } from './journal.ts';
import { readProcesses } from './processes.ts';
import { runsOf } from './runs.ts';

/** As systemd 252 wrote them, when `systemctl stop` had to kill a unit. */
const STOPPED = `{"UNIT":"t.service","_SOURCE_REALTIME_TIMESTAMP":"1795220102999764","INVOCATION_ID":"c16b","MESSAGE":"Started t.service.","JOB_TYPE":"start","JOB_RESULT":"done","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","__MONOTONIC_TIMESTAMP":"11719830731","_BOOT_ID":"41c5","_PID":"1","__REALTIME_TIMESTAMP":"1795220103001121"}
{"_BOOT_ID":"41c5","UNIT":"t.service","__MONOTONIC_TIMESTAMP":"11720341699","_SOURCE_REALTIME_TIMESTAMP":"1795220103512016","MESSAGE":"Stopping t.service...","__REALTIME_TIMESTAMP":"1795220103512088","_PID":"1","INVOCATION_ID":"c16b","JOB_TYPE":"stop","MESSAGE_ID":"de5b426a63be47a7b6ac3eaac82e2f6f"}
{"_SOURCE_REALTIME_TIMESTAMP":"1795220104679229","__REALTIME_TIMESTAMP":"1795220104679964","_BOOT_ID":"41c5","_PID":"1","INVOCATION_ID":"c16b","__MONOTONIC_TIMESTAMP":"11721509576","UNIT":"t.service","MESSAGE":"t.service: State 'stop-sigterm' timed out. Killing."}
{"UNIT":"t.service","__MONOTONIC_TIMESTAMP":"11721510004","_SOURCE_REALTIME_TIMESTAMP":"1795220104679794","EXIT_CODE":"killed","_BOOT_ID":"41c5","MESSAGE_ID":"98e322203f7a4ed290d09fe03c09fe15","INVOCATION_ID":"c16b","MESSAGE":"t.service: Main process exited, code=killed, status=9/KILL","__REALTIME_TIMESTAMP":"1795220104680393","COMMAND":"ExecStart","_PID":"1"}
{"INVOCATION_ID":"c16b","_SOURCE_REALTIME_TIMESTAMP":"1795220104680851","__REALTIME_TIMESTAMP":"1795220104682101","_BOOT_ID":"41c5","UNIT":"t.service","UNIT_RESULT":"timeout","MESSAGE_ID":"d9b373ed55a64feb8242e02dbe79a49c","__MONOTONIC_TIMESTAMP":"11721511712","MESSAGE":"t.service: Failed with result 'timeout'.","_PID":"1"}
{"_BOOT_ID":"41c5","MESSAGE_ID":"9d1aaa27d60140bd96365438aad20286","_PID":"1","__MONOTONIC_TIMESTAMP":"11721511797","__REALTIME_TIMESTAMP":"1795220104682186","JOB_RESULT":"done","JOB_TYPE":"stop","MESSAGE":"Stopped t.service.","UNIT":"t.service","_SOURCE_REALTIME_TIMESTAMP":"1795220104681094","INVOCATION_ID":"c16b"}
`;

describe('the journal', () => {
  it('tells a run from its start to the moment at which nothing is left of it, by the times at which it was said', () => {
    const [run, ...others] = runsOf(readJournal('w1', STOPPED));
    expect(others).toEqual([]);
    expect(run).toEqual({
      unit: 't.service',
      host: 'w1',
      boot: '41c5',
      invocation: 'c16b',
      from: expect.closeTo(11719829.374, 3),
      upAt: expect.closeTo(11719829.374, 3),
      endsAt: expect.closeTo(11720341.627, 3),
      endedBy: 'stopping',
      goneAt: expect.closeTo(11721510.462, 3),
      message: 'Stopping t.service...',
    });
  });

  it('tells of a start that failed that it never was up', () => {
    const failed = STOPPED.split('\n').slice(3).join('\n');
    expect(runsOf(readJournal('w1', failed))).toMatchObject([{ unit: 't.service' }]);
    expect(runsOf(readJournal('w1', failed))[0]).not.toHaveProperty('endsAt');
  });

  it('leaves out what others wrote, and messages that are no text', () => {
    const other =
      '{"__MONOTONIC_TIMESTAMP":"5","__REALTIME_TIMESTAMP":"6","_PID":"44","MESSAGE":"Started t.service.","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"t.service"}';
    const bytes =
      '{"__MONOTONIC_TIMESTAMP":"5000","__REALTIME_TIMESTAMP":"6","_PID":"44","_SYSTEMD_UNIT":"servicewatcher.service","MESSAGE":[1,2]}';
    expect(readJournal('w1', other)).toEqual([]);
    expect(readJournal('w1', `${bytes}\n`)).toEqual([
      { kind: 'daemon', host: 'w1', at: 5, boot: '', message: '', priority: 6 },
    ]);
  });

  it('is refused when it is none', () => {
    expect(() => readJournal('w1', '[]x')).toThrow();
    expect(() => readJournal('w1', '"text"')).toThrow('not an entry of a journal');
  });
});

describe('the log of the processes', () => {
  it('is read line by line; half a line is none', () => {
    expect(readProcesses('begin a.service w1 12 3.25\nal\nalive a.service w1 12 3.7')).toEqual([
      { what: 'begin', unit: 'a.service', host: 'w1', pid: 12, at: 3250 },
    ]);
  });
});
