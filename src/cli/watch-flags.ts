/** The options of `servicewatcher watch` as commander gives them → by their names. */
import type { WatchText } from '../discovery/watch-check.ts';

export interface WatchFlags {
  readonly label?: string;
  readonly serviceId?: string;
  readonly monitorUrl?: string;
  readonly tcp?: string;
  readonly exec?: string[];
  readonly interval?: string;
  readonly timeout?: string;
  readonly healthyAfter?: string;
  readonly unhealthyAfter?: string;
  readonly hostIp?: string;
  readonly serviceInfo?: string;
  readonly port?: string;
  readonly role?: string;
}

/** Only what was given. */
export function toWatchText(flags: WatchFlags): WatchText {
  const { serviceId, monitorUrl, healthyAfter, unhealthyAfter, hostIp, serviceInfo, ...rest } = flags;
  return {
    ...rest,
    ...(serviceId !== undefined && { 'service-id': serviceId }),
    ...(monitorUrl !== undefined && { 'monitor-url': monitorUrl }),
    ...(healthyAfter !== undefined && { 'healthy-after': healthyAfter }),
    ...(unhealthyAfter !== undefined && { 'unhealthy-after': unhealthyAfter }),
    ...(hostIp !== undefined && { 'host-ip': hostIp }),
    ...(serviceInfo !== undefined && { 'service-info': serviceInfo }),
  };
}
