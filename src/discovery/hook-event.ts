/** What hooks are told of: one thing that happened to a member, a registration, a unit or the leadership. */
import * as z from 'zod';
import { host, natural, unit } from '../shared/payload-parts.ts';
import { HOOK_EVENTS } from '../shared/spec.ts';

const labels = z.record(z.string(), z.string());

/** As it is kept on disk between two runs. */
export const clusterEvent = z.object({
  event: z.enum(HOOK_EVENTS),
  /** The member, the registration's host, where the unit is (of one that moved: now), the new leader. */
  host,
  /** Where the host, or what is registered, is reached. */
  address: z.string().optional(),
  /** Of the registration, or of the unit's service; else the host's label `role`. */
  role: z.string().optional(),
  /** The host's labels. */
  labels: labels.optional(),
  /** The label that something is registered under, or that the unit's service registers under. */
  label: z.string().optional(),
  /** The registration's id, unique for its label. */
  id: z.string().optional(),
  port: natural.max(65_535).optional(),
  unit: unit.optional(),
  service: z.string().optional(),
  /** The host that had the unit, or led, before. */
  from: z.string().optional(),
  /** The host that has the unit, or leads, now. */
  to: z.string().optional(),
  /** One sentence for people. */
  why: z.string().optional(),
});

export type ClusterEvent = Readonly<z.infer<typeof clusterEvent>>;
