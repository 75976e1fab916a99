/** `servicewatcher release-lease`: ends a startup lease, if the id holds it. */
import { type Release, releaseLease } from '../discovery/lease.ts';
import { escapeControl } from '../shared/log.ts';
import { leaseFaults } from './acquire-lease.ts';
import { describeHolder } from './lease-lines.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface ReleaseLeaseOptions {
  readonly json: boolean;
  readonly label: string;
  readonly serviceId: string;
}

/** Answers 0 when the id does not hold the lease any more, 1 when another one does, saying who, and 2 and 3 as all commands do. */
export async function releaseLeaseCommand(file: string, options: ReleaseLeaseOptions): Promise<number> {
  const faults = leaseFaults(options);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0) return EXIT.usage;
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  return withStore(config, async (store) => tell(await releaseLease(store, options.label, options.serviceId), options));
}

function tell(release: Release, { json, label, serviceId: id }: ReleaseLeaseOptions): number {
  if (json) process.stdout.write(`${JSON.stringify({ label, id, ...release })}\n`);
  switch (release.kind) {
    case 'released':
      if (!json) process.stdout.write(`the lease ${label} is released\n`);
      return EXIT.ok;
    case 'free':
      if (!json) process.stdout.write(`the lease ${label} was held by nobody\n`);
      return EXIT.ok;
    case 'held':
      process.stderr.write(
        `the lease ${label} was not released: it is not held by ${id}, but by ${escapeControl(describeHolder(release.by))}\n`,
      );
      return EXIT.no;
  }
}
