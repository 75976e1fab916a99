/** What a service has beside its placement: `check`, `discovery`, `start`, `after`. */
import type * as z from 'zod';
import type { Attachments } from '../attachments.ts';
import type { Service } from '../spec.ts';
import { discoveryShape, readDiscovery } from './discovery.ts';
import type { Findings } from './findings.ts';
import { healthCheckShape, readHealthCheck } from './health-check.ts';
import { afterKeys, afterShape, readAfter, readStart, startKeys, startShape } from './start-order.ts';

/** The keys of a service, and the shape of what stands there. */
export const attachmentShapes = {
  check: healthCheckShape.nullish(),
  discovery: discoveryShape.nullish(),
  start: startShape.nullish(),
  after: afterShape.nullish(),
};
export type RawAttachments = { readonly [K in keyof typeof attachmentShapes]?: z.infer<(typeof attachmentShapes)[K]> };

/** Keys that may stand at each level below a service. */
export const ATTACHMENT_KEYS = {
  'services.check': Object.keys(healthCheckShape.shape),
  'services.discovery': Object.keys(discoveryShape.shape),
  'services.start': Object.keys(startKeys.shape),
  'services.after': Object.keys(afterKeys.shape),
};

/** Those that the service has; a key that is absent from the file is absent here. */
export function readAttachments(raw: RawAttachments, service: Service, index: number, findings: Findings): Attachments {
  const path = ['services', index] as const;
  const about = { name: service.name, checked: findings.present([...path, 'check']) };
  const check = raw.check ? readHealthCheck(raw.check, service, [...path, 'check'], findings) : undefined;
  const discovery = raw.discovery ? readDiscovery(raw.discovery, about, [...path, 'discovery'], findings) : undefined;
  const start = raw.start ? readStart(raw.start, about, [...path, 'start'], findings) : undefined;
  const after = raw.after ? readAfter(raw.after, [...path, 'after'], findings) : [];
  return {
    ...(check && { check }),
    ...(discovery && { discovery }),
    ...(start && { start }),
    ...(after.length > 0 && { after }),
  };
}
