/** Parts of payloads, as schemas: names, and what a service has beside its placement. */
import * as z from 'zod';
import { isHostName, isInstanceKey, isLabel, isServiceName, isUnitName } from './names.ts';
import { HOOK_EVENTS } from './spec.ts';

export const natural = z.int().nonnegative();
export const host = z.string().refine(isHostName, 'is not the name of a host');
export const unit = z.string().refine(isUnitName, 'is not the name of a service unit');
export const serviceName = z
  .string()
  .refine((name) => isServiceName(name) || isUnitName(`${name}.service`), 'is not the name of a service');
export const instanceKey = z.string().refine(isInstanceKey, 'is not an instance of a unit');
export const label = z.string().refine(isLabel, 'is not a label');

/** All labels of a host together, as JSON: every member, template and hook reads them. */
export const MAX_LABELS_BYTES = 32 * 1024;
/** What is published with a registration, as JSON: every reader of the label gets it, with every instance. */
export const MAX_INFO_BYTES = 64 * 1024;

const command = z.tuple([z.string()], z.string());
const texts = z.record(z.string(), z.string());

export const attachments = {
  check: z
    .object({
      probe: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('http'), url: z.string() }),
        z.object({ kind: z.literal('tcp'), address: z.string() }),
        z.object({ kind: z.literal('exec'), command }),
      ]),
      intervalMs: natural,
      timeoutMs: natural,
      healthyAfter: natural,
      unhealthyAfter: natural,
      startPeriodMs: natural,
      onUnhealthy: z.enum(['report', 'restart', 'move']),
      limitPerHour: natural,
    })
    .optional(),
  discovery: z
    .object({
      label,
      port: natural.optional(),
      role: z.string().optional(),
      info: texts.optional(),
      onlyHealthy: z.boolean(),
      deregistrationDelayMs: natural.optional(),
    })
    .optional(),
  start: z.object({ atOnce: natural, until: z.enum(['active', 'healthy']), timeoutMs: natural }).optional(),
  after: z.array(z.object({ service: serviceName, where: z.enum(['anywhere', 'same-host']) })).optional(),
};

const on = z.object({ labels: texts.optional(), service: serviceName.optional() });

export const template = z.object({
  source: z.string(),
  destination: z.string(),
  on,
  check: command.optional(),
  reload: z
    .discriminatedUnion('kind', [
      z.object({ kind: z.literal('unit'), unit }),
      z.object({ kind: z.literal('exec'), command }),
    ])
    .optional(),
  mode: natural,
  owner: z.string().optional(),
  debounceMs: natural,
});

export const hook = z.object({
  events: z.array(z.enum(HOOK_EVENTS)),
  on,
  filter: z.object({
    host: z.string().optional(),
    service: z.string().optional(),
    label: z.string().optional(),
    role: z.string().optional(),
  }),
  run: command,
  timeoutMs: natural,
});
