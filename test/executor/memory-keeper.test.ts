import { beforeEach, describe, expect, it } from 'vitest';
import type { MemoryFile, Remembered } from '../../src/executor/memory-file.ts';
import { MemoryKeeper } from '../../src/executor/memory-keeper.ts';
import { FakeMemory } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';

/** A disk that is as slow as the test wants, and refuses when it is told to. */
class SlowFile implements MemoryFile {
  onDisk: Remembered = new FakeMemory().remembered;
  refusal: string | undefined;
  /** Writes that were begun, and those of them that are not over. */
  writes = 0;
  underWay = 0;
  mostAtOnce = 0;
  private readonly ends: (() => void)[] = [];

  async load(): Promise<Remembered> {
    return this.onDisk;
  }

  async save(remembered: Remembered): Promise<void> {
    this.writes += 1;
    this.underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.underWay);
    await new Promise<void>((resolve) => this.ends.push(resolve));
    this.underWay -= 1;
    if (this.refusal !== undefined) throw new Error(this.refusal);
    this.onDisk = remembered;
  }

  /** The write under way comes to its end. */
  async finish(): Promise<void> {
    await settled();
    this.ends.shift()?.();
    await settled();
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

let file: SlowFile;
let log: MemoryLog;
let now: Remembered;
let keeper: MemoryKeeper;

beforeEach(() => {
  file = new SlowFile();
  log = new MemoryLog();
  now = file.onDisk;
  keeper = new MemoryKeeper(file, () => now, log);
});

function obey(generation: number, ...units: string[]): void {
  now = { ...now, applied: { epoch: 1, generation }, units: new Map(units.map((unit) => [unit, undefined])) };
}

/** All that was asked for is on disk, or was refused, while the disk goes on by itself. */
async function saved(): Promise<void> {
  let over = false;
  void keeper.saved.then(() => {
    over = true;
  });
  for (let writes = 0; !over; writes++) {
    if (writes > 100) throw new Error('it writes for ever');
    await file.finish();
  }
}

describe('the memory that is kept', () => {
  it('is what the process before has saved', async () => {
    obey(7, 'a.service');
    file.onDisk = now;
    expect(await keeper.load()).toBe(now);
  });

  it('is not written before something asks for it', async () => {
    await keeper.load();
    await keeper.saved;
    expect(file.writes).toBe(0);
  });

  it('is on disk once `saved` has resolved, and not taken for saved before', async () => {
    obey(1, 'a.service');
    keeper.save();
    let isSaved = false;
    void keeper.saved.then(() => {
      isSaved = true;
    });
    await settled();
    expect([isSaved, file.underWay]).toEqual([false, 1]);
    await file.finish();
    expect([isSaved, file.onDisk]).toEqual([true, now]);
  });

  it('is written once for changes of one moment, as it is when the write begins', async () => {
    obey(1, 'a.service');
    keeper.save();
    keeper.save();
    obey(2, 'a.service', 'b.service');
    await saved();
    expect([file.writes, file.onDisk]).toEqual([1, now]);
  });

  it('is written once more for all the changes that come while it is being written, and never twice at a time', async () => {
    obey(1, 'a.service');
    keeper.save();
    await settled();
    for (let generation = 2; generation <= 50; generation++) {
      obey(generation, `a${generation}.service`);
      keeper.save();
      keeper.saveApplied(now.applied);
      await settled();
    }
    expect(file.writes).toBe(1);
    await saved();
    expect([file.writes, file.mostAtOnce, file.onDisk]).toEqual([2, 1, now]);
  });

  it('counts as saved only when the change that came during a write is on disk, too', async () => {
    keeper.save();
    await settled();
    obey(2);
    keeper.save();
    let isSaved = false;
    void keeper.saved.then(() => {
      isSaved = true;
    });
    await file.finish();
    expect(isSaved).toBe(false);
    await file.finish();
    expect([isSaved, file.onDisk]).toEqual([true, now]);
  });
});

describe('the version that was obeyed', () => {
  it('is written when it is another than the saved one, once', async () => {
    obey(1);
    for (let pass = 0; pass < 5; pass++) {
      keeper.saveApplied(now.applied);
      await saved();
    }
    expect([file.writes, file.onDisk.applied]).toEqual([1, { epoch: 1, generation: 1 }]);
  });

  it('is not written anew after a start with what the process before has saved', async () => {
    obey(7);
    file.onDisk = now;
    keeper.saveApplied((await keeper.load()).applied);
    await saved();
    expect(file.writes).toBe(0);
  });

  it('is not written by itself when it was written together with a unit', async () => {
    obey(1, 'a.service');
    keeper.save();
    await saved();
    keeper.saveApplied(now.applied);
    await saved();
    expect(file.writes).toBe(1);
  });
});

describe('a disk that refuses', () => {
  beforeEach(() => {
    file.refusal = 'ENOSPC: no space left on device';
    obey(1, 'a.service');
    keeper.save();
  });

  it('keeps nobody waiting for ever, and is complained of with its reason', async () => {
    await saved();
    expect(log.at('error')).toEqual([
      'the state file could not be written: ENOSPC: no space left on device; tried again',
    ]);
  });

  it('is asked again by the next pass, though nothing has changed, until it takes what is to be kept', async () => {
    await saved();
    keeper.saveApplied(now.applied);
    await saved();
    file.refusal = undefined;
    keeper.saveApplied(now.applied);
    await saved();
    expect([file.writes, file.onDisk]).toEqual([3, now]);
    keeper.saveApplied(now.applied);
    await saved();
    expect(file.writes).toBe(3);
  });

  it('is complained of once for each of its reasons, and again when it had taken something meanwhile', async () => {
    const again = async (refusal: string | undefined) => {
      file.refusal = refusal;
      keeper.save();
      await saved();
    };
    const full = file.refusal;
    await again(full);
    await again('EROFS: read-only file system');
    await again(undefined);
    await again('EROFS: read-only file system');
    expect(log.at('error').map((line) => line.split(': ')[1])).toEqual(['ENOSPC', 'EROFS', 'EROFS']);
  });

  it('does not end the process when what is to be kept cannot be told', async () => {
    const broken = new MemoryKeeper(
      file,
      () => {
        throw new Error('a bug');
      },
      log,
    );
    broken.save();
    await broken.saved;
    expect(log.at('error')).toContain('the state file could not be written: a bug; tried again');
  });
});
