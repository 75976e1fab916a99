/** Services that are placed on no host, whatever hosts there are. Pure. */
import type { Service } from './spec.ts';

/** Why no instance of it is placed anywhere, a clause for people; undefined: it may be placed. */
export function whyNowhere(service: Service): string | undefined {
  if (!service.enabled) return 'it is disabled';
  switch (service.type) {
    case 'global':
      return undefined;
    case 'shared':
      return service.count > 0 ? undefined : 'its count is 0';
    case 'multi':
      return Object.values(service.instances).some((count) => count > 0) ? undefined : 'it has no instances';
  }
}
