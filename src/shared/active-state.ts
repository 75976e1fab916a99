/** What systemd's states of a unit mean for those who must know whether it may have processes. Pure. */
import type { ActiveState } from './state.ts';

/** True when the unit is neither running nor on its way up or down. */
export function isDown(active: ActiveState): boolean {
  switch (active) {
    case 'inactive':
    case 'failed':
      return true;
    case 'active':
    case 'reloading':
    case 'activating':
    case 'deactivating':
    case 'maintenance':
      return false;
  }
}
